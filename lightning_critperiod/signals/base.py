"""What every signal is."""

# ruff: file-ignore[empty-method-without-abstract-decorator] - hooks that do nothing unless overridden

from abc import ABC, abstractmethod
from typing import Any


class Signal(ABC):
    """One float an epoch that describes the training dynamics.

    The callback calls ``measure`` once at the end of every training epoch, on every rank; rank 0's value
    counts. The other methods are called at the time their names say and do nothing unless overridden; only
    driving code in ``lightning_critperiod.callback`` calls them. What ``state_dict`` returns is saved in the
    checkpoint: plain Python values and tensors only, so that the checkpoint loads with ``weights_only=True``.

    >>> class WeightNorm(Signal):
    ...     name = "weight_norm"
    ...     def measure(self, trainer, pl_module):
    ...         return sum(p.detach().square().sum().item() for p in pl_module.parameters()) ** 0.5
    """

    name: str
    """The key that values are logged under: ``critical_period/<name>``."""

    @abstractmethod
    def measure(self, trainer: Any, pl_module: Any) -> float | None:
        """The signal's value at the end of this epoch, or None if it was not measured."""

    def reset(self) -> None:
        """Forget everything: a new run starts (before the checkpoint, if any, is loaded)."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Called before the first batch of every fit; state that was restored is there already."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Called before every training step, with the batch as it goes into it."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any) -> None:
        """Called after every training step."""

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Called before every optimizer step, gradients in place."""

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Called before every validation inside fit (not before the sanity check)."""

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Called after every validation inside fit (not after the sanity check)."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` returned. Called before ``on_train_start``."""
