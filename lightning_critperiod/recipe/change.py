"""What every change of a run is."""

# ruff: file-ignore[empty-method-without-abstract-decorator] - hooks that do nothing unless overridden

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from lightning_critperiod.timeline import Phase, Timeline

AS_COSTLY = ("augmentation_multiplier", "pruning_ratio", "cooldown")
"""Settings that make a step no cheaper: how many there are, and their learning rate."""


class Change(ABC):
    """Something in a run that has one setting for each phase. Write your own, and give it to ``Recipe(changes=[...])``.

    The callback calls ``setup`` when a fit begins (before the module configures its optimizers), ``start`` and then
    ``apply`` before the first batch, ``apply`` again before every further epoch, with the phase of that epoch, and
    ``undo`` when the fit ends or fails. To refuse what cannot work, raise a ValueError in ``setup`` or ``start``.

    >>> class WeightDecay(Change):
    ...     name = "weight_decay"
    ...     def setup(self, trainer, pl_module):
    ...         self.trainer, self.own = trainer, {}
    ...     def apply(self, phase):
    ...         for optimizer in self.trainer.optimizers:
    ...             for group in optimizer.param_groups:
    ...                 own = self.own.setdefault(id(group), group["weight_decay"])
    ...                 group["weight_decay"] = own if phase == "during" else 0.0
    ...     def undo(self):
    ...         self.own = {}
    """

    name: str
    """Unique in a recipe. What ``setting`` returns is logged as ``critical_period/<name>``."""

    needs_cooldown: bool = False
    """Whether it has a setting that only a cooldown uses: a recipe without one is refused."""

    def setup(self, trainer: Any, pl_module: Any) -> None:
        """Called when a fit begins. Its checkpoint may not be loaded yet."""

    def start(self, trainer: Any, pl_module: Any) -> None:
        """Called before the first batch: optimizers and loaders are there, and a checkpoint is loaded."""

    def look(self, timeline: Timeline, history: Mapping[int, float]) -> None:
        """Called before ``start`` and before every ``apply``.

        Args:
            timeline: The phases, by what is decided so far.
            history: 0-based epoch -> value of the callback's signal.
        """

    @abstractmethod
    def apply(self, phase: Phase) -> None:
        """Make the setting of ``phase`` hold. May be called any number of times with the same phase."""

    def undo(self) -> None:
        """Leave no trace. May be called more than once, and without ``setup``. State that is saved stays."""

    @property
    def setting(self) -> float | int | bool | str | None:
        """What holds now, for loggers and the report; None is nothing to say."""
        return None

    @property
    def relative_cost(self) -> float:
        """What a step of the epoch that runs costs, as a part of one in a cooldown; a ``Budget`` goes by it."""
        return 1.0

    @property
    def needs_new_loaders(self) -> bool:
        """Whether ``apply`` changed something for which the train dataloaders must be set up again."""
        return False

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Called before every training step, with the batch as it goes into it."""

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Called before every optimizer step, gradients in place."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, batch_idx: int) -> None:
        """Called after every training step."""

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Called when training has ended, by itself or early, but not by an exception."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: plain Python values and tensors only."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` returned. Called before ``start``."""
