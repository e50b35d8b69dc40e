"""Leave validations of a fit out, as if nothing else had changed."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod.lightning_seam.override import Overrides

MOST_DRAWS = 1000


class SomeValidations:
    """Lets Lightning's validation loop run only where it is due.

    A dataloader takes a seed from PyTorch's random numbers whenever it is iterated, so a run with fewer validations
    would shuffle and drop out differently from there on. A validation that is left out takes as many numbers as the
    last one did that was not.

    Args:
        trainer: The trainer that fits.
        is_due: Asked whenever Lightning is about to validate.
    """

    def __init__(self, trainer: Any, is_due: Callable[[], bool]) -> None:
        loop = trainer.fit_loop.epoch_loop.val_loop
        run = loop.run
        self._overrides = Overrides()
        self._draws: int | None = 0
        self._has_warned = False

        @functools.wraps(run)
        def run_if_due() -> list[Any]:
            if not is_due():
                _draw(self._draws or 0, torch.default_generator)
                return []
            before = torch.get_rng_state()
            outputs: list[Any] = run()
            self._count(before)
            return outputs

        self._overrides.put(loop, "run", run_if_due)

    def undo(self) -> None:
        """Let every validation run."""
        self._overrides.undo()

    def _count(self, before: torch.Tensor) -> None:
        if self._has_warned:
            return
        self._draws = draws_between(before, torch.get_rng_state())
        if self._draws is None:
            self._has_warned = True
            rank_zero_warn(
                "Validation draws random numbers of its own, so with fewer validations training gets other random "
                "numbers than with all of them: the run is as good, but not bit-identical."
            )


def draws_between(before: torch.Tensor, after: torch.Tensor) -> int | None:
    """How many seeds were drawn between two states of PyTorch's random numbers; None if something else was."""
    generator = torch.Generator()
    generator.set_state(before)
    for draws in range(MOST_DRAWS):
        if torch.equal(generator.get_state(), after):
            return draws
        _draw(1, generator)
    return None


def only_checks_validations(callback: Any) -> bool:
    """Whether an EarlyStopping or a ModelCheckpoint was told to act after validations only."""
    names = ("_check_on_train_epoch_end", "_save_on_train_epoch_end")
    return any(getattr(callback, name, None) is False for name in names)


def _draw(seeds: int, generator: torch.Generator) -> None:
    """As a dataloader draws its seed."""
    for _ in range(seeds):
        torch.empty((), dtype=torch.int64).random_(generator=generator)
