"""What the decision changes in a run: each change applies itself for a phase and undoes itself."""

from lightning_critperiod.changes.cooldown import CooldownChange
from lightning_critperiod.changes.cooldown_trigger import CooldownTrigger
from lightning_critperiod.changes.declaration import DeclaredVolume, own_volume
from lightning_critperiod.changes.declared_loader import declared_loader
from lightning_critperiod.changes.driver import Driver
from lightning_critperiod.changes.growing_images import GrowingImages
from lightning_critperiod.changes.growing_length import GrowingLength
from lightning_critperiod.changes.guard import Guard, GuardWatch
from lightning_critperiod.changes.lr_clock import EpochClock
from lightning_critperiod.changes.phased import Phased
from lightning_critperiod.changes.train_loaders import TrainLoaders
from lightning_critperiod.changes.validate_sparsely import ValidateSparsely
from lightning_critperiod.changes.volume import VolumeChange

__all__ = [
    "CooldownChange",
    "CooldownTrigger",
    "DeclaredVolume",
    "Driver",
    "EpochClock",
    "GrowingImages",
    "GrowingLength",
    "Guard",
    "GuardWatch",
    "Phased",
    "TrainLoaders",
    "ValidateSparsely",
    "VolumeChange",
    "declared_loader",
    "own_volume",
]
