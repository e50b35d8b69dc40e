"""The rules of the study of `Worthwhile`, asked after every epoch of a curve, and what became of their verdicts."""

from collections.abc import Callable
from statistics import fmean
from typing import NamedTuple

import numpy as np
from worthwhile_curves import Curve

from lightning_critperiod.rules import Forecast, History, Plateau, Worthwhile
from lightning_critperiod.rules.measured import measured

Verdict = Callable[[History, int], bool]


def doubling(curve: Curve, min_gain: float) -> Verdict:
    """The naive form: the mean of the last three values against that at half the time."""
    sign = 1 if curve.mode == "max" else -1

    def fires(history: History, epochs: int) -> bool:
        values, half = [sign * value for _, value in measured(history)], len(history) // 2
        return len(values) >= 8 and fmean(values[-3:]) - fmean(values[half - 3 : half]) < min_gain

    return fires


def exponential(curve: Curve, part: float) -> Verdict:
    """What `Forecast` was: a + b exp(-t / tau) has less than a part of the gain so far left until the last epoch."""

    def fires(history: History, epochs: int) -> bool:
        t, y = np.array(sorted(history)), np.array([history[e] for e in sorted(history)])
        if len(t) < max(6, epochs / 10) or np.ptp(y) == 0:
            return False
        taus = np.geomspace(0.5, 10 * t[-1], 60)
        basis = [np.stack([np.ones(len(t)), np.exp(-t / tau)], axis=1) for tau in taus]
        fits = [np.linalg.lstsq(x, y, rcond=None)[0] for x in basis]
        residuals = [float(np.sum((y - x @ fit) ** 2)) for x, fit in zip(basis, fits, strict=True)]
        best = int(np.argmin(residuals))
        line = np.sum((y - np.polyval(np.polyfit(t, y, 1), t)) ** 2)
        bent = len(t) * np.log((line + 1e-300) / (residuals[best] + 1e-300)) > 10
        now, last = np.exp(-np.array([t[-1], epochs - 1]) / taus[best])
        return bool(bent and (fits[best][1] < 0) == (curve.mode == "max") and now - last < part * (1 - now))

    return fires


RULES: dict[str, Callable[[Curve, float], Verdict]] = {
    "`Worthwhile`, horizon the end of the run": lambda c, p: Worthwhile(p * c.span, c.mode, len(c.values)),
    "`Worthwhile`, one doubling": lambda c, p: Worthwhile(p * c.span, c.mode),
    "doubling, naive": lambda c, p: doubling(c, p * c.span),
    "`Plateau(3, min_delta=min_gain)`": lambda c, p: Plateau(3, p * c.span, c.mode),
    "`Plateau(10, min_delta=min_gain)`": lambda c, p: Plateau(10, p * c.span, c.mode),
    "`Forecast(min_gain)`, of the gain so far": lambda c, p: Forecast(p, c.mode),
    "an exponential (`Forecast` before)": exponential,
}
WORTHWHILE, DOUBLING = list(RULES)[:2]
FORECAST, EXPONENTIAL = list(RULES)[-2:]


class Outcome(NamedTuple):
    """Of a rule on a curve; epoch None: it never fired. All in parts: of the run, and of min_gain."""

    curve: Curve
    epoch: int | None
    to_come: float
    saved: float
    possible: float
    delay: float

    @property
    def false_alarm(self) -> bool:
        return self.to_come > 1


def judge(name: str, curve: Curve, part: float) -> Outcome:
    """Ask a rule after every epoch but the last. What was to come is counted to the end of the run.

    For "one doubling" it is counted to twice the epoch at which the rule fired, for `Forecast` in parts of the gain so far.
    """
    fires, n = RULES[name](curve, part), len(curve.values)
    history: History = {}
    right = curve.right_epoch(part * curve.span)
    for epoch, value in enumerate(curve.values[:-1]):
        history[epoch] = value
        if fires(history, n):
            fired = epoch + 1
            gained = curve.best[epoch] - curve.best[0] if name in {FORECAST, EXPONENTIAL} else curve.span
            to_come = (
                curve.to_come(fired, 2 * fired if name == DOUBLING else n) / (part * gained) if gained > 0 else np.inf
            )
            return Outcome(curve, fired, to_come, 1 - fired / n, 1 - right / n, (fired - right) / n)
    return Outcome(curve, None, 0.0, 0.0, 1 - right / n, 1 - right / n)
