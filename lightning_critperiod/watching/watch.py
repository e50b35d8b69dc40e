"""The signal and the guard of one run at work: measured once an epoch, then asked."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn

from lightning_critperiod.changes import Guard, GuardWatch
from lightning_critperiod.detector import Detector
from lightning_critperiod.lightning_seam import Safely
from lightning_critperiod.rules import Rule
from lightning_critperiod.rules.base import require_fit
from lightning_critperiod.rules.direction import direction
from lightning_critperiod.signals import Signal


class Watch:
    """Measures, and decides when the period is over and whether the changes are taken back.

    Args:
        signal: The signal that is measured.
        rule: The rule that is asked about it.
        guard: What takes the changes back; None is nothing.

    Attributes:
        detector: The history of the signal and the decision.
        guard: The guard's own history and decision; None without a guard.
        reason: The decision in words, or why there was none at the end of training.
        measured: The last epoch at whose end the signal was asked; it may have had no value.
        seconds: What measuring and deciding took in this process.
        safely: Turns a failure into a warning.
    """

    def __init__(self, signal: Signal, rule: Rule, guard: Guard | None) -> None:
        self.signal = signal
        self.rule = rule
        self.guard = None if guard is None else GuardWatch(guard)
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new run starts."""
        self.detector = Detector(self.signal.name, self.rule, None)
        self.measured = -1
        self.seconds = 0.0
        self.safely = Safely()
        self._why_not = ""
        self._signals = self._all  # but those that can't be measured in this run
        for part in (self.signal, self.guard):
            if part is not None:
                part.reset()

    @property
    def reason(self) -> str:
        """The decision in words; empty as long as there is none."""
        return self.detector.reason or self._why_not

    def check_run(self, max_epochs: int | None, acts: bool, again: bool = False) -> None:
        """Refuse a run in which the rule can't work; an observer then only measures.

        Args:
            max_epochs: Planned number of epochs; None for a run without a last epoch.
            acts: Whether the decision changes the run.
            again: Whether there was a fit before: a rule that could be used in that one is then only a warning.

        Raises:
            ValueError: The rule can't work in this run.
        """
        self.detector.max_epochs = max_epochs
        if not acts and max_epochs is None and not self.rule.open_ended:
            rank_zero_warn(
                f"{self.rule} needs a run with a last epoch: {self.signal.name} is measured, but the rule is not asked."
            )
            self.detector.judges = False
        elif self.detector.end_epoch is None:
            try:
                require_fit(self.rule, max_epochs)
            except ValueError as error:
                if not again:
                    raise
                rank_zero_warn(
                    f"The callback is kept from an earlier fit, and its rule cannot be used in this one: {error}"
                )
            self._say_what_cannot_happen(max_epochs)
        self._warn_of_the_other_mode()

    def _warn_of_the_other_mode(self) -> None:
        """A mode that was forgotten is "min": an accuracy that rises would then count as getting worse."""
        mode, by_name = getattr(self.rule, "mode", None), direction(self.signal.name)
        if mode in {"min", "max"} and by_name not in {None, mode}:
            better = "higher" if by_name == "max" else "lower"
            rank_zero_warn(
                f"{self.signal.name} is better when {better}, by its name, but {type(self.rule).__name__} has "
                f'mode="{mode}": give mode="{by_name}", unless this is meant.'
            )

    def _say_what_cannot_happen(self, max_epochs: int | None) -> None:
        least = self.rule.least_epochs
        if max_epochs is not None and max_epochs <= least:
            rank_zero_info(
                f"The critical period can't end in this run: {type(self.rule).__name__} needs {least} finished epochs, "
                f"and one more to act on; max_epochs is {max_epochs}."
            )

    def start(self, trainer: Any, pl_module: Any, acts: bool) -> None:
        """Training starts: here a signal may refuse it, if the run depends on it; else it is not measured.

        Args:
            trainer: The trainer of the run.
            pl_module: The module that is trained.
            acts: Whether the decision changes the run.
        """
        self._signals = self._all
        with self.timed():
            for signal in self._all:
                depends = acts and (signal is not self.signal or self.rule.reads_signal)
                try:
                    signal.on_train_start(trainer, pl_module)
                except Exception as error:
                    if depends:
                        raise
                    rank_zero_warn(f"{signal.name} is not measured in this run: {error}")
                    self._signals.remove(signal)

    def call(self, hook: str, *arguments: Any) -> None:
        """Call a hook of the signals.

        Args:
            hook: Its name.
            arguments: For it.
        """
        start = time.perf_counter()
        for signal in self._signals:
            with self.safely(f"measuring {signal.name}"):
                getattr(signal, hook)(*arguments)
        self.seconds += time.perf_counter() - start

    def teardown(self) -> None:
        """Let the signals give up what they hold. Not timed: a monitor has stopped measuring by then."""
        for signal in self._signals:
            with self.safely(f"tidying up after {signal.name}"):
                signal.teardown()

    def measure(self, trainer: Any, pl_module: Any, epoch: int) -> None:
        """Measure at the end of a 0-based epoch. Every rank calls it."""
        self.measured = epoch
        with self.timed():
            self.detector.record(epoch, self._value_of(self.signal, trainer, pl_module))
            if self.guard is not None:
                self.guard.record(epoch, self._value_of(self.guard.signal, trainer, pl_module))

    def decide(self, finished: int, acts: bool) -> None:
        """Ask the rule after ``finished`` epochs, and then the guard.

        Args:
            finished: Number of epochs that are over.
            acts: Whether the decision changes the run; there is nothing to take back where it does not.
        """
        if self.detector.ask(finished):
            rank_zero_info(self.detector.reason)
        if self.guard is not None and acts and self.guard.ask(finished, self.detector.end_epoch):
            rank_zero_info(self.guard.reason)

    def finish(self, finished: int) -> None:
        """Training ends after ``finished`` epochs."""
        if self.detector.end_epoch is None:
            with self.safely("saying why the rule did not fire"):
                self._why_not = self.detector.why_not(finished)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "history": dict(self.detector.history),
            "end_epoch": self.detector.end_epoch,
            "reason": self.detector.reason,
            "armed": self.detector.armed,
            "measured": self.measured,
            "signal": self.signal.state_dict(),
            "guard": None if self.guard is None else self.guard.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` returned; an older checkpoint has no guard."""
        self.detector.load(state["history"], state["end_epoch"], state["reason"])
        self.detector.armed = state.get("armed", True)
        self.measured = state["measured"]
        self.signal.load_state_dict(state["signal"])
        if self.guard is not None and state.get("guard"):
            self.guard.load_state_dict(state["guard"])

    def receive(self, found: dict[str, Any]) -> None:
        """Take what another process found: its state without that of the signal, and the reason whatever it is."""
        self.detector.load(found["history"], found["end_epoch"], found["reason"])
        self._why_not = found["reason"]
        self.measured = found["measured"]
        if self.guard is not None:
            self.guard.load_state_dict(found["guard"])

    @contextmanager
    def timed(self) -> Generator[None]:
        """Count the seconds inside as the detector's."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start

    @property
    def _all(self) -> list[Signal]:
        return [self.signal, *([] if self.guard is None else [self.guard.signal])]

    def _value_of(self, signal: Signal, trainer: Any, pl_module: Any) -> float | None:
        value = None
        with self.safely(f"measuring {signal.name}"):
            value = signal.measure(trainer, pl_module) if signal in self._signals else None
        # Rank 0's value counts: metrics that are not synchronised differ between ranks, decisions must not.
        value = trainer.strategy.broadcast(None if value is None else float(value))
        return None if value is None else float(value)
