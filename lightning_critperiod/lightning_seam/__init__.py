"""The only package that touches private attributes of Lightning, torch and codecarbon."""

from lightning_critperiod.lightning_seam.averaging import (
    GrowingAverage,
    averages_at_the_end,
    averages_weights,
    evaluate_quietly,
    growing_average,
    shards_weights,
)
from lightning_critperiod.lightning_seam.early_stopping import hand_on_stops
from lightning_critperiod.lightning_seam.epoch_length import how_length_is_told
from lightning_critperiod.lightning_seam.epoch_start import EpochStart
from lightning_critperiod.lightning_seam.fetches import Fetches
from lightning_critperiod.lightning_seam.flop_mode import FlopMode, unmakable_tensor
from lightning_critperiod.lightning_seam.loaders import (
    combined_batches,
    drop_train_loaders,
    give_back,
    has_loaders,
    is_cyclic,
    iterate_again,
    prepared,
    reload_train_loaders,
    train_loaders,
)
from lightning_critperiod.lightning_seam.override import Overrides
from lightning_critperiod.lightning_seam.privates import check_privates
from lightning_critperiod.lightning_seam.progress import (
    begin_next_epoch,
    begun_batches,
    epochs_in_steps,
    finished_epochs,
    last_epoch_again,
    optimizer_steps,
    planned_epochs,
    steps_before_epoch,
    steps_read,
    unfinished_batches,
)
from lightning_critperiod.lightning_seam.safely import Safely
from lightning_critperiod.lightning_seam.spawned import register, send_back
from lightning_critperiod.lightning_seam.step_total import StepTotal
from lightning_critperiod.lightning_seam.torch_loader import forget_workers, replace_parts
from lightning_critperiod.lightning_seam.tracked_hardware import how_obtained
from lightning_critperiod.lightning_seam.training_steps import (
    accumulates,
    around_training_steps,
    runs_the_model_repeatedly,
)
from lightning_critperiod.lightning_seam.validations import SomeValidations, only_checks_validations

__all__ = [
    "EpochStart",
    "Fetches",
    "FlopMode",
    "GrowingAverage",
    "Overrides",
    "Safely",
    "SomeValidations",
    "StepTotal",
    "accumulates",
    "around_training_steps",
    "averages_at_the_end",
    "averages_weights",
    "begin_next_epoch",
    "begun_batches",
    "check_privates",
    "combined_batches",
    "drop_train_loaders",
    "epochs_in_steps",
    "evaluate_quietly",
    "finished_epochs",
    "forget_workers",
    "give_back",
    "growing_average",
    "hand_on_stops",
    "has_loaders",
    "how_length_is_told",
    "how_obtained",
    "is_cyclic",
    "iterate_again",
    "last_epoch_again",
    "only_checks_validations",
    "optimizer_steps",
    "planned_epochs",
    "prepared",
    "register",
    "reload_train_loaders",
    "replace_parts",
    "runs_the_model_repeatedly",
    "send_back",
    "shards_weights",
    "steps_before_epoch",
    "steps_read",
    "train_loaders",
    "unfinished_batches",
    "unmakable_tensor",
]
