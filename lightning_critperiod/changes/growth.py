"""When something grows, step by step: at fractions of a run, by a rule, or with the end of the critical period."""

import math
from collections.abc import Mapping, Sequence

from lightning_critperiod.detector import ask
from lightning_critperiod.rules import Rule
from lightning_critperiod.timeline import Timeline

FULL_FROM = 0.75
"""Part of the planned epochs after which everything has its full size."""
FIRST_BY = 0.5
"""Part of the planned epochs after which the first of very many growths is due."""


class Growth:
    """How many of K growths have happened. A resumed run goes on exactly: it follows from what is decided and measured.

    Let E be the planned epochs, c the first epoch after the critical period and s the epoch of the last growth.

    - Fractions: growth k happens with epoch floor(at[k] E).
    - A rule: it is asked about the signal since s, as if the run had begun there, with E - s planned epochs.
    - Neither: the first growth is at c, the last one at 3/4 E, the others evenly between.

    Unless there are fractions, growth k of K happens at the latest with epoch floor(E (2 + k / K) / 4), the last one
    with 3/4 E.

    Args:
        at: Fractions of the run, ascending; None is none.
        rule: The rule that is asked; None is none.
    """

    def __init__(self, at: Sequence[float] | None, rule: Rule | None) -> None:
        self.at = at
        self.rule = rule
        self.forget()

    def forget(self) -> None:
        """A new run starts."""
        self._starts: list[int] = []
        self._next = 0

    def happened(self, epoch: int, growths: int, timeline: Timeline, history: Mapping[int, float]) -> int:
        """The number of growths up to the start of an epoch.

        Args:
            epoch: 0-based.
            growths: K.
            timeline: What is decided.
            history: 0-based epoch -> value of the signal.

        Returns:
            A number from 0 to K.
        """
        while self._next <= epoch:
            while len(self._starts) < growths and self._is_due(self._next, growths, timeline, history):
                self._starts.append(self._next)
            self._next += 1
        return sum(start <= epoch for start in self._starts)

    def _is_due(self, epoch: int, growths: int, timeline: Timeline, history: Mapping[int, float]) -> bool:
        number, epochs = len(self._starts), timeline.max_epochs
        if self.at is not None:
            return epochs is not None and number < len(self.at) and epoch >= _whole(self.at[number] * epochs)
        if epochs is not None and epoch >= _whole(epochs * self._latest(number, growths)):
            return True
        if self.rule is not None:
            return self._fires(self.rule, epoch, epochs, history)
        return epoch >= _with_the_period(number, growths, timeline)

    @staticmethod
    def _latest(number: int, growths: int) -> float:
        return FIRST_BY + (FULL_FROM - FIRST_BY) * (number + 1) / growths

    def _fires(self, rule: Rule, epoch: int, epochs: int | None, history: Mapping[int, float]) -> bool:
        start = self._starts[-1] if self._starts else 0
        since = {e - start: value for e, value in history.items() if start <= e < epoch}
        return ask(rule, since, epoch - start, None if epochs is None else epochs - start).end_epoch is not None


def _with_the_period(number: int, growths: int, timeline: Timeline) -> float:
    """The epoch of a growth that goes by the critical period; infinite while it is not over."""
    end, epochs = timeline.end_epoch, timeline.max_epochs
    if end is None or epochs is None:
        return math.inf
    return end + (FULL_FROM * epochs - end) * number / max(growths - 1, 1)


def _whole(epoch: float) -> int:
    # 1e-9: float noise in a product must not put off a growth by an epoch.
    return math.floor(epoch + 1e-9)
