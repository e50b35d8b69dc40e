"""What every signal is."""

# ruff: file-ignore[empty-method-without-abstract-decorator] - hooks that do nothing unless overridden

from abc import ABC, abstractmethod
from typing import Any, Literal

from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod.rules import Rule


class Signal(ABC):
    """One float an epoch that describes the training dynamics.

    The callback calls ``measure`` once at the end of every training epoch, on every rank; rank 0's value
    counts, and another rank may return None. The other methods are called when their names say, and do
    nothing unless overridden; only driving code in ``lightning_critperiod.callback`` calls them. After the
    first batch none of them raises. If a signal cannot be measured as before, because the model changed or
    the metric is not logged, it goes on with what is left, or has no value, and says so with ``warn_once``. What
    ``state_dict`` returns is saved in the checkpoint: plain Python values and tensors only, so that the
    checkpoint loads with ``weights_only=True``.

    >>> class WeightNorm(Signal):
    ...     name = "weight_norm"
    ...     def measure(self, trainer, pl_module):
    ...         return sum(p.detach().square().sum().item() for p in pl_module.parameters()) ** 0.5
    """

    name: str
    """The key that values are logged under: ``critical_period/<name>``."""

    own_rule: Rule | None = None
    """The rule that is asked about this signal where none is given; None if there is none."""

    mode: Literal["min", "max"] | None = None
    """Whether "min" (lower) or "max" (higher) values are better; None if neither, or if nobody said so."""

    _said: frozenset[str] = frozenset()

    @abstractmethod
    def measure(self, trainer: Any, pl_module: Any) -> float | None:
        """The signal's value at the end of this epoch, or None if it was not measured."""

    def default_rule(self) -> Rule:
        """The signal's own rule.

        Returns:
            The published one, or ours where none was published.

        Raises:
            ValueError: It has none.
        """
        if self.own_rule is None:
            raise ValueError(
                f"rule must be given for {type(self).__name__}, which has none of its own: Plateau or Forecast."
            )
        return self.own_rule

    def warn_once(self, what: str, details: str = "") -> None:
        """Warn on rank 0 after the name of the signal's class, once for each ``what`` since the last ``reset``."""
        if what not in self._said:
            self._said |= {what}
            rank_zero_warn(f"{type(self).__name__}: {what}{details}")

    def reset(self) -> None:
        """Forget everything: a new run starts (before the checkpoint, if any, is loaded)."""
        self._said = frozenset()

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

    def teardown(self) -> None:
        """Called when the fit is over, however it ended: give back memory of a card. The state stays."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` returned. Called before ``on_train_start``."""
