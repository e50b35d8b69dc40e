"""Refusals: what the callback cannot work with, said before the first batch."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod.recipe import Recipe, Volume
from lightning_critperiod.rules import Rule
from lightning_critperiod.signals import Signal

LR_POLICIES = ("epoch_equivalent", "unchanged")


def check_arguments(signal: object, rule: object, recipe: object, lr_policy: object, observe_only: object) -> None:
    """Refuse arguments of the callback that are of the wrong kind.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: ``lr_policy`` is unknown.
    """
    for name, value, kind in (
        ("signal", signal, Signal),
        ("rule", rule, Rule),
        ("recipe", recipe, Recipe),
        ("observe_only", observe_only, bool),
    ):
        if not isinstance(value, kind) and (name, value) != ("rule", None):
            raise TypeError(f"{name} must be a {kind.__name__}, got {value!r}")
    if lr_policy not in LR_POLICIES:
        raise ValueError(f"lr_policy must be one of {LR_POLICIES}, got {lr_policy!r}")


def check_run(trainer: Any, rule: Rule, drivers: Sequence[object]) -> None:
    """Refuse a run that has no last epoch, that the rule cannot work in, or that two callbacks drive.

    Raises:
        ValueError: Any of these.
    """
    if len(drivers) > 1:
        raise ValueError(
            f"one CriticalPeriodCallback may drive a run, got {len(drivers)}: give all but one observe_only=True."
        )
    if trainer.max_epochs is None or trainer.max_epochs < 0:
        raise ValueError(
            f"max_epochs must be the number of epochs of the run, got {trainer.max_epochs}: the critical period is "
            "judged by the part of training that is over, so give Trainer(max_epochs=...)."
        )
    if not trainer.fast_dev_run:
        rule.check_run(trainer.max_epochs)


def check_lengths(trainer: Any, lengths: Mapping[Volume, float], sized: bool) -> None:
    """Refuse, by a ValueError, Trainer arguments that do not go with epochs of these lengths.

    ``max_steps`` may end the run before ``max_epochs`` would, a length can't become known, or
    ``reload_dataloaders_every_n_epochs`` makes Lightning reject, in mid-run, an epoch that is too short for another
    argument.

    Args:
        trainer: The Trainer that fits.
        lengths: Batches of an epoch of each volume of the recipe, infinite where they are not known.
        sized: Whether every train dataloader has a length.
    """
    _check_max_steps(trainer, max(lengths.values()))
    if trainer.fast_dev_run or trainer.overfit_batches:
        return
    if not sized:
        _check_unsized(trainer)
    if trainer.reload_dataloaders_every_n_epochs:
        for volume, batches in lengths.items():
            _check_reload(trainer, volume, batches)
    if isinstance(trainer.limit_train_batches, int) and len(lengths) > len(set(lengths.values())):
        rank_zero_warn(
            f"limit_train_batches={trainer.limit_train_batches} cuts every epoch to the same length, whatever its "
            "volume: the recipe saves no batch."
        )


def _check_max_steps(trainer: Any, longest: float) -> None:
    steps = math.inf if longest == math.inf else math.ceil(longest / trainer.accumulate_grad_batches)
    if trainer.max_steps != -1 and trainer.max_steps < steps * trainer.max_epochs:
        raise ValueError(
            f"max_steps={trainer.max_steps} may end the run before max_epochs={trainer.max_epochs} does, so shorter "
            "epochs would only be more epochs and save nothing: give max_epochs alone, or observe_only=True."
        )


def _check_unsized(trainer: Any) -> None:
    """Without a length a loader's first complete pass tells it, if it comes to one and is kept."""
    limited = isinstance(trainer.limit_train_batches, int)
    if limited or trainer.reload_dataloaders_every_n_epochs:
        name = "limit_train_batches" if limited else "reload_dataloaders_every_n_epochs"
        raise ValueError(
            f"{name}={getattr(trainer, name)} keeps a train dataloader without a length from a complete pass that "
            f"would tell it, so no volume can be applied: give the dataset a __len__, or leave {name} out."
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
