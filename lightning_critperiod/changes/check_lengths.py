"""Refusals of Trainer arguments that do not go with epochs whose length changes, before the first batch."""

import math
from collections.abc import Mapping
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod.recipe import Volume


def check_lengths(trainer: Any, lengths: Mapping[Volume, float], known: bool, reloads: bool) -> None:
    """Refuse, by a ValueError, Trainer arguments that do not go with epochs of these lengths.

    ``max_steps`` may end the run before ``max_epochs`` would, a length can't become known, or
    ``reload_dataloaders_every_n_epochs`` makes Lightning reject, in mid-run, an epoch that is too short for another
    argument.

    Args:
        trainer: The Trainer that fits.
        lengths: Batches of an epoch of each volume of the recipe, infinite where they are not known.
        known: Whether the length of every train dataloader is known.
        reloads: Whether loaders are set up again whenever the volume changes.
    """
    if len(set(lengths.values())) > 1:
        _check_max_steps(trainer, max(lengths.values()))
    if trainer.fast_dev_run or trainer.overfit_batches:
        return
    if not known:
        _check_unknown(trainer)
    if trainer.reload_dataloaders_every_n_epochs or reloads:
        for volume, batches in lengths.items():
            _check_reload(trainer, volume, batches)
    if isinstance(trainer.limit_train_batches, int) and len(lengths) > len(set(lengths.values())):
        rank_zero_warn(
            f"limit_train_batches={trainer.limit_train_batches} cuts every epoch to the same length, whatever its "
            "volume: the recipe saves no batch."
        )


def _check_max_steps(trainer: Any, longest: float) -> None:
    steps = math.inf if longest == math.inf else math.ceil(longest / trainer.accumulate_grad_batches)
    epochs = math.inf if trainer.max_epochs is None or trainer.max_epochs < 0 else trainer.max_epochs
    if trainer.max_steps != -1 and trainer.max_steps < steps * epochs:
        raise ValueError(
            f"max_steps={trainer.max_steps} may end the run before max_epochs={trainer.max_epochs} does, so shorter "
            "epochs would only be more epochs and save nothing: give max_epochs alone, or observe_only=True."
        )


def _check_unknown(trainer: Any) -> None:
    """Without a length a loader's first complete pass tells it, if the loader is kept."""
    every = trainer.reload_dataloaders_every_n_epochs
    if every:
        raise ValueError(
            f"reload_dataloaders_every_n_epochs={every} keeps a train dataloader without a length from a complete pass "
            "that would tell it, so no volume can be applied: give the dataset a __len__, the Trainer an int "
            "limit_train_batches, leave reload_dataloaders_every_n_epochs out, or give observe_only=True."
        )


def _check_reload(trainer: Any, volume: Volume, batches: float) -> None:
    # A Trainer that validates by the clock has no val_check_interval.
    every, part = getattr(trainer, "val_check_interval", None), trainer.limit_train_batches
    if isinstance(every, int) and trainer.check_val_every_n_epoch is not None and every > batches:
        raise ValueError(
            f"val_check_interval={every} is longer than the {batches} batches of an epoch at {volume}, which "
            "Lightning rejects when reload_dataloaders_every_n_epochs is set: give a fraction, or do not reload."
        )
    if isinstance(part, float) and batches == 1 and part < 1:
        raise ValueError(
            f"limit_train_batches={part} may leave no batch of an epoch at {volume}, which Lightning rejects "
            "when reload_dataloaders_every_n_epochs is set: give an int, or do not reload."
        )
