"""A datamodule's loader at its declared volume where no callback drives."""

import functools
from typing import Any

import torch

from lightning_critperiod.data import Draws, at_volume
from lightning_critperiod.lightning_seam import finished_epochs, prepared
from lightning_critperiod.recipe import Volume


def declared_loader(loader: Any, volume: Volume, trainer: Any) -> Any:
    """A datamodule's loader that draws the declared volume where no callback drives.

    Sharded first, as Lightning would: each rank draws round(k (1 - r) n) of its own share, as with the callback.

    Args:
        loader: The plain loader.
        volume: What the datamodule declares.
        trainer: The datamodule's Trainer, None outside of one.

    Returns:
        A loader that Lightning does not shard again.
    """
    draws = Draws(volume, torch.initial_seed() % 2**63, lambda: draws.begun - 1, own=True)
    if trainer is not None:
        draws.epoch = functools.partial(finished_epochs, trainer)
        loader = prepared(trainer, loader)
    return at_volume(loader, draws)
