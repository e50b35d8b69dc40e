"""A rule that looks ahead: little is left to gain on the saturating curve that the metric follows."""

import math
from dataclasses import dataclass
from statistics import NormalDist, linear_regression
from typing import Literal, NamedTuple

from lightning_critperiod.recipe import require_number
from lightning_critperiod.rules.base import History, Lines, Rule, require_last_epoch
from lightning_critperiod.rules.measured import may_judge, measured, require_min_epochs, require_mode

Points = list[tuple[int, float]]

# In Akaike's criterion a worse model by more than 10 has "essentially no support" (Burnham, Anderson 2002).
_EVIDENCE = 10.0
# A curve has three parameters and a variance: below six points the corrected criterion is not defined.
_LEAST_POINTS = 6
_CHI2_95 = NormalDist().inv_cdf(0.975) ** 2


class _Curve(NamedTuple):
    """a + b exp(-t / tau) with the best a and b; tau = inf is the limit, the straight line."""

    tau: float
    slope: float
    intercept: float
    residual: float

    def at(self, start: int, epoch: float) -> float:
        return self.intercept + self.slope * _basis(self.tau, start, epoch)


def _basis(tau: float, start: int, epoch: float) -> float:
    return float(epoch) if tau == math.inf else -math.expm1((start - epoch) / tau)


def _fit(points: Points, tau: float) -> _Curve:
    start = points[0][0]
    basis = [_basis(tau, start, t) for t, _ in points]
    values = [value for _, value in points]
    slope, intercept = linear_regression(basis, values)
    residual = math.fsum((y - intercept - slope * x) ** 2 for x, y in zip(basis, values, strict=True))
    return _Curve(tau, slope, intercept, residual)


def _best_curve(points: Points) -> _Curve:
    """The least residual: a geometric grid of time constants, narrowed four times around its best."""
    low, high = 0.5, 10.0 * (points[-1][0] - points[0][0])
    for _ in range(5):
        step = (high / low) ** (1 / 12)
        best = min((_fit(points, low * step**i) for i in range(13)), key=lambda curve: curve.residual)
        low, high = best.tau / step, best.tau * step
    return best


def _penalty(points: Points, parameters: int) -> float:
    """What Akaike's criterion, corrected for few points, adds to n ln(residual)."""
    return 2 * parameters * len(points) / (len(points) - parameters - 1)


def _saturating_curve(points: Points) -> _Curve | None:
    """The best curve, or None where a straight line is as good, or there is too little to tell."""
    values = [value for _, value in points]
    if len(points) < _LEAST_POINTS or min(values) == max(values):
        return None
    curve, line = _best_curve(points), _fit(points, math.inf)
    # Two fits that are exact up to float noise are equally good.
    noise = 1e-12 * len(points) * (max(values) - min(values)) ** 2
    gained = len(points) * math.log((line.residual + noise) / (curve.residual + noise))
    return curve if gained - _penalty(points, 4) + _penalty(points, 3) > _EVIDENCE else None


def _left(points: Points, tau: float, max_epochs: int) -> float:
    """Gain on the curve from the last measured epoch to the last of the run, over the gain so far."""
    so_far, rest = points[-1][0] - points[0][0], max_epochs - 1 - points[-1][0]
    return math.exp(-so_far / tau) * math.expm1(-rest / tau) / math.expm1(-so_far / tau)


def _edge(points: Points, best: _Curve, tau: float) -> float:
    """The time constant between the best and ``tau`` where the 95% profile likelihood interval ends."""
    inside, outside = best.tau, tau
    limit = best.residual * math.exp(_CHI2_95 / len(points))
    for _ in range(40):
        middle = math.sqrt(inside * outside)
        inside, outside = (middle, outside) if _fit(points, middle).residual <= limit else (inside, middle)
    return inside


@dataclass(frozen=True)
class Forecast(Rule):
    """Over when the metric's curve has less than ``min_gain`` of its gain so far left for the rest.

    All measured points (epoch t, value) are fitted by a + b exp(-t / tau), least squares. On that curve,
    the gain from the last measured epoch to the last of the run is compared with the gain from the first
    measured epoch to the last measured one: over when it is below ``min_gain`` times as much. Least squares
    over a and b is a straight-line fit at a given tau, so the search is over tau alone, on a grid that is
    narrowed around its best: no random start, no state.

    It abstains (no verdict) with fewer than six measured epochs; when the curve goes the wrong way for
    ``mode``; and when a straight line fits as well: unless Akaike's criterion, corrected for few points, of
    the line is more than 10 above the curve's (Burnham and Anderson 2002: "essentially no support"). So a
    metric that is flat, or falls evenly, or is independent noise, ends nothing.

    False alarms (docs/calibration.md, 100 epochs): 0% of the runs on flat or steady signals with independent noise; 16%
    on a flat and 41% on a steady signal when the noise is correlated from epoch to epoch (AR(1), 0.9). A curve with a
    long tail has more left than an exponential says: 100% on a power law, where it is early by a third of the run.

    Args:
        min_gain: Least gain left that is worth the full recipe, as a fraction of the gain so far, above 0.
        mode: "min" if lower is better, "max" if higher is.
        min_epochs: No verdict while fewer epochs are over; None is a tenth of the run, rounded up.

    Raises:
        TypeError: ``min_gain`` is not a number, or ``min_epochs`` is no int.
        ValueError: An argument is out of its range.

    >>> import math
    >>> val_loss = {epoch: 0.4 + 2 * math.exp(-epoch / 5) for epoch in range(17)}
    >>> Forecast()({e: val_loss[e] for e in range(15)}, max_epochs=50), Forecast()(val_loss, max_epochs=50)
    (False, True)
    >>> Forecast().why(val_loss, max_epochs=50)
    'has 4.2% of its gain so far left (95% interval 4.2% to 4.2%), below 5%'
    """

    min_gain: float = 0.05
    mode: Literal["min", "max"] = "min"
    min_epochs: int | None = None

    def __post_init__(self) -> None:
        require_number("min_gain", self.min_gain, low=0, open_low=True)
        require_mode(self.mode)
        require_min_epochs(self.min_epochs)

    def __call__(self, history: History, max_epochs: int | None) -> bool:
        """Whether the critical period is over."""
        if not may_judge(history, max_epochs, self.min_epochs):
            return False
        points = measured(history)
        curve = _saturating_curve(points)
        if curve is None or (curve.slope > 0) != (self.mode == "max"):
            return False
        return _left(points, curve.tau, require_last_epoch(self, max_epochs)) < self.min_gain

    def why(self, history: History, max_epochs: int | None) -> str:
        """The verdict in words that follow the signal's name."""
        points, max_epochs = measured(history), require_last_epoch(self, max_epochs)
        best = _best_curve(points)
        span = points[-1][0] - points[0][0]
        taus = (
            _edge(points, best, min(0.1, best.tau)),
            best.tau,
            _edge(points, best, max(100.0 * span, best.tau)),
        )
        low, left, high = (_left(points, tau, max_epochs) for tau in taus)
        interval = f"95% interval {low:.1%} to {high:.1%}"
        return f"has {left:.1%} of its gain so far left ({interval}), below {100 * self.min_gain:g}%"

    def lines(self, history: History, max_epochs: int | None) -> Lines:
        """The fitted curve up to the last epoch of the run; none where a straight line is as good."""
        points, max_epochs = measured(history), require_last_epoch(self, max_epochs)
        curve = _saturating_curve(points)
        if curve is None:
            return {}
        start = points[0][0]
        return {"fitted curve": [(float(epoch), curve.at(start, epoch)) for epoch in range(start, max_epochs)]}
