"""The rules that look ahead, Forecast and Worthwhile: against NumPy and SciPy, and on curves whose future is known."""

import math
import random
import statistics

import numpy as np
import pytest
from scipy.stats import t as student
from test_rules import agrees, finite, fires, is_early, random_history

from lightning_critperiod.rules import Forecast, Worthwhile


def limit_truth(rule, history, quantile=student.ppf):
    """NumPy's lines over log2(epochs), SciPy's quantile: (epochs so far, level now, upper limit of the gain)."""
    epochs, values = finite(history)
    if not len(epochs):
        return None
    t, up = epochs + 1, values * {"max": 1, "min": -1}[rule.mode]
    if np.sum(t > t[-1] / 2**0.5) < 4:
        return None
    limits, levels = [], []
    for start in (t[-1] / 2, t[-1] / 2**0.5):
        x, y = np.log2(t[t > start] / t[-1]), up[t > start]
        (slope, level), covariance = np.polyfit(x, y, 1, cov="unscaled")
        variance = np.sum((y - level - slope * x) ** 2) / (len(x) - 2)
        limits.append(slope + quantile(0.99, len(x) - 2) * np.sqrt(variance * covariance[0, 0]))
        levels.append(level)
    return int(t[-1]), levels[0], max(limits)


def worthwhile_truth(rule, history, max_epochs, quantile=student.ppf):
    found = limit_truth(rule, history, quantile)
    if found is None or max(history) + 1 == max_epochs:
        return False
    now, _, limit = found
    doublings = 1 if rule.horizon is None else max(np.log2(rule.horizon / now), 0)
    return bool(limit * doublings < rule.min_gain)


def forecast_truth(rule, history, max_epochs, quantile=student.ppf):
    found = limit_truth(rule, history, quantile)
    if found is None or is_early(rule, history, max_epochs) or max(history) + 1 == max_epochs:
        return False
    now, level, limit = found
    gained = level - {"max": 1, "min": -1}[rule.mode] * np.mean(finite(history)[1][:3])
    return bool(gained > 0 and limit * np.log2(max_epochs / now) < rule.min_gain * gained)


def nearly(truth):
    """The expansion of Student's quantile is up to 7% small at two degrees of freedom: there either verdict will do."""

    def verdicts(rule, history, max_epochs):
        small = truth(rule, history, max_epochs, lambda p, n: student.ppf(p, n) * (1 - 0.3 / n**2))
        return {small, truth(rule, history, max_epochs)}

    return verdicts


@pytest.mark.parametrize("rule", [Forecast(), Forecast(min_gain=0.3, mode="max", min_epochs=0)], ids=repr)
def test_forecast_agrees_with_numpy_and_scipy_at_every_epoch_of_random_histories(rule):
    assert agrees(rule, nearly(forecast_truth), range(60)) > 10


@pytest.mark.parametrize(
    "rule",
    [Worthwhile(0.2, "max"), Worthwhile(1.0, "min"), Worthwhile(0.05, "max", 60), Worthwhile(0.3, "min", 30)],
    ids=repr,
)
def test_worthwhile_agrees_with_numpy_and_scipy_at_every_epoch_of_random_histories(rule):
    assert agrees(rule, nearly(worthwhile_truth), range(60)) > 50


@pytest.mark.parametrize("max_epochs", [60, 200])
@pytest.mark.parametrize("tau", [2.0, 9.0])
@pytest.mark.parametrize("min_gain", [0.02, 0.2])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_forecast_is_never_early_on_an_exponential(max_epochs, tau, min_gain, mode):
    sign = 1 if mode == "min" else -1
    history = {e: sign * (0.3 + 2 * math.exp(-e / tau)) for e in range(max_epochs)}
    z = [math.exp(-e / tau) for e in range(max_epochs)]
    right = next(e for e in range(5, max_epochs) if z[e] - z[-1] < min_gain * (1 - z[e]))
    fired = fires(Forecast(min_gain, mode), history, max_epochs)
    assert right <= fired[0] < max_epochs * 0.9
    assert fired == list(range(fired[0], max_epochs - 1))  # not after the last epoch


@pytest.mark.parametrize("mode", ["min", "max"])
def test_worthwhile_is_never_early_on_a_curve_that_is_concave_in_the_logarithm_of_the_epochs(mode):
    sign = 1 if mode == "min" else -1
    for shape in (lambda e: math.exp(-e / 12), lambda e: 1 / (1 + e / 4), lambda e: (1 + e) ** -0.7):
        history = {e: sign * shape(e) for e in range(400)}
        for min_gain in (0.02, 0.05, 0.2):
            fired = fires(Worthwhile(min_gain, mode), history, None)[0]
            assert shape(fired) - shape(2 * fired + 1) < min_gain
            horizon = fires(Worthwhile(min_gain, mode, horizon=100), history, None)[0]
            assert horizon < 100
            assert shape(horizon) - shape(99) < min_gain


def test_noise_delays_worthwhile_and_does_not_hasten_it():
    def fired(sd, seed):
        rng = random.Random(seed)
        noisy = {e: math.exp(-e / 12) + rng.gauss(0, sd) for e in range(120)}
        return (fires(Worthwhile(0.05, "min"), noisy, None) or [120])[0]

    clean = fired(0, 0)
    medians = [clean]
    for sd in (0.005, 0.02, 0.05):
        epochs = [fired(sd, seed) for seed in range(30)]
        assert min(epochs) >= clean - 1
        medians.append(statistics.median(epochs))
    assert medians == sorted(set(medians))


def test_worthwhile_says_on_a_flat_metric_that_nothing_is_to_come_as_soon_as_it_can_judge():
    flat = dict.fromkeys(range(20), 0.5)
    assert fires(Worthwhile(1e-9, "max"), flat, None) == list(range(10, 20))
    every_third = {e: v for e, v in dict.fromkeys(range(60), 0.5).items() if e % 3 == 2}
    assert fires(Worthwhile(1e-9, "max"), every_third, None)[0] == 32  # the fourth one since epoch 23


def test_worthwhile_needs_no_last_epoch_and_gives_no_verdict_after_it():
    history = {e: 0.9 - 0.5 / (e + 1) for e in range(60)}
    rule = Worthwhile(0.02, "max")
    assert fires(rule, history, None) == fires(rule, history, 1000) == list(range(25, 60))
    assert fires(rule, history, 60) == list(range(25, 59))


def test_worthwhile_ends_at_its_horizon_at_the_latest():
    rising = {e: float(e) for e in range(60)}
    assert fires(Worthwhile(0.1, "max"), rising, None) == []
    assert fires(Worthwhile(0.1, "max", horizon=40), rising, None) == list(range(39, 60))


@pytest.mark.parametrize(
    ("rule", "other"), [(Worthwhile(0.125, "min"), Worthwhile(128.0, "max")), (Forecast(), Forecast(mode="max"))]
)
def test_looking_ahead_depends_on_neither_the_unit_of_the_metric_nor_its_sign(rule, other):
    for seed in range(10):
        history = random_history(seed)
        turned = {epoch: -1024 * value for epoch, value in history.items()}
        assert fires(rule, history, 40) == fires(other, turned, 40)


@pytest.mark.parametrize(
    ("history", "why"),
    [
        (dict.fromkeys(range(60), 0.1), "no gain at all"),
        ({e: -2 * math.exp(-e / 5) for e in range(60)}, "the wrong way"),
        ({e: (e / 20) ** 3 for e in range(60)}, "the wrong way, ever faster"),
        ({e: 2 * math.exp(-e / 5) for e in (0, 10, 20, 40, 59)}, "two points in the last half doubling"),
        ({e: 3 - 0.05 * e for e in range(50)}, "an even gain that goes on"),
    ],
)
def test_forecast_abstains_from(history, why):
    assert fires(Forecast(), history, 60) == []


def test_forecast_never_says_that_less_than_nothing_is_left():
    history = {e: 1.0 + 2 * math.exp(-e / 3) + 0.001 * e for e in range(60)}
    assert fires(Forecast(), history, 100)[-1] == 59
    assert Forecast().why(history, 100) == "has at most 0.0% of its gain so far left, below 5%"
