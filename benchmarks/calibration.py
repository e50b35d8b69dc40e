"""How often each rule is wrong, and how late: synthetic signals whose end is known, and the authors' recorded runs.

python benchmarks/calibration.py [runs]     writes docs/calibration.md; `runs` synthetic runs a cell, 500 by default
"""

import math
import os
import sys
from functools import partial
from itertools import product
from pathlib import Path

import recorded
import waiting
from scoring import detection, end_epochs, false_alarm, spread, table, words
from synthetic import (
    CHANGE,
    EPOCHS,
    Make,
    broken,
    decay,
    doubling_is_spent,
    drop,
    exponential,
    gain_is_spent,
    noise,
    power_law,
    rotation,
    steady,
)

from lightning_critperiod.rules import Forecast, LowOutlier, Plateau, Rule, Slope, Worthwhile

SHAPES = (("exponential", exponential), ("power law", power_law))
TARGET = Path(__file__).resolve().parents[1] / "docs" / "calibration.md"


def no_change(runs: int) -> str:
    rows = []
    for rule, change in (
        (Slope(), math.tan(math.radians(60))),
        (LowOutlier(), -1.0),
        (Plateau(3), -1.0),
        (Plateau(10), -1.0),
        (Forecast(), -1.0),
        (Worthwhile(0.05, "min"), -1.0),
    ):
        signals = [partial(noise, sd=0.01), partial(noise, sd=0.01, rho=0.9)]
        signals += [partial(steady, change=change, sd=sd * abs(change)) for sd in (0.001, 0.01, 0.1)]
        signals += [partial(steady, change=change, sd=0.1 * abs(change), rho=0.9)]
        # On a steady signal little of the gain so far is left shortly before the end: there `Forecast` may fire.
        by = EPOCHS * 9 // 10 if isinstance(rule, Forecast) else EPOCHS
        rows.append([words(rule), *(false_alarm(rule, make, runs, by) for make in signals)])
    return table(
        [
            "rule",
            "flat, white",
            "flat, AR(1) 0.9",
            "steady, 0.1%",
            "steady, 1%",
            "steady, 10%",
            "steady, AR(1) 10%",
        ],
        rows,
    )


def published_length(runs: int) -> str:
    make = partial(noise, sd=0.01)
    rows = [
        [words(rule), *(false_alarm(rule, make, runs, by, n=200) for by in (50, 100, 200))]
        for rule in (LowOutlier(min_epochs=0), LowOutlier(), LowOutlier(threshold=3.0))
    ]
    return table(["rule, 200 epochs", "by epoch 50", "by epoch 100", "by epoch 200"], rows)


def delays(runs: int) -> str:
    cases: list[tuple[Rule, str, Make, int]] = []
    for sd in (0.0, 0.002, 0.01):
        made = partial(broken, before=3.0, after=0.3, sd=sd)
        cases.append((Slope(), f"rate 3 -> 0.3, noise {sd}", made, CHANGE))
    for depth, rho in ((2.0, 0.0), (4.0, 0.0), (8.0, 0.0), (4.0, 0.9)):
        made = partial(drop, depth=depth, rho=rho)
        cases.append((LowOutlier(), f"drop of {depth:g} sd, AR(1) {rho:g}", made, CHANGE))
    for patience in (3, 10):
        for sd in (0.001, 0.01):
            made = partial(broken, before=-1.0, after=0.0, sd=sd)
            cases.append((Plateau(patience), f"falls, then flat, noise {sd}", made, CHANGE))
    for name, shape in SHAPES:
        ends = (Forecast(), gain_is_spent(shape, 0.05)), (Worthwhile(0.05, "min"), doubling_is_spent(shape, 0.05))
        for (rule, end), sd in product(ends, (0.0, 0.01, 0.05)):
            cases.append((rule, f"{name}, noise {sd}", partial(decay, shape=shape, sd=sd), end))
    rows = [[words(r), name, str(end), *detection(r, make, end, runs)] for r, name, make, end in cases]
    return table(["rule", "signal", "true end", "false alarms", "delay", "missed"], rows)


def slope_sensitivity(runs: int) -> str:
    rows = []
    for window in (3, 5, 10, 20):
        rules = [Slope(window, angle) for angle in (15.0, 30.0, 45.0, 60.0)]
        for sd in (0.001, 0.01):
            made = partial(rotation, sd=sd)
            ends = [[end for end in end_epochs(rule, made, runs) if end] for rule in rules]
            rows.append([str(window), str(sd), *map(spread, ends)])
    return table(["window", "noise", "15 degrees", "30", "45", "60"], rows)


def outlier_sensitivity(runs: int) -> str:
    rows = []
    for every in (1, 5, 10):
        for threshold in (1.0, 1.5, 3.0):
            rule = LowOutlier(threshold, every)
            found = detection(rule, partial(drop, depth=4.0), CHANGE, runs)
            rows.append([words(rule), false_alarm(rule, noise, runs), *found])
    return table(["rule", "false alarms, no change", "false alarms", "delay", "missed"], rows)


def plateau_sensitivity(runs: int) -> str:
    rows = []
    for rule in [Plateau(p) for p in (3, 5, 10, 20)] + [Plateau(p, min_delta=0.02) for p in (3, 10)]:
        going_on = false_alarm(rule, partial(steady, change=-1.0, sd=0.02), runs)
        found = detection(rule, partial(broken, before=-1.0, after=0.0, sd=0.005), CHANGE, runs)
        rows.append([words(rule), going_on, *found])
    return table(["rule", "false alarms, steady 2%", "false alarms", "delay", "missed"], rows)


def forecast_sensitivity(runs: int) -> str:
    rows = []
    for min_gain in (0.02, 0.05, 0.1):
        for name, shape in SHAPES:
            end = gain_is_spent(shape, min_gain)
            found = detection(Forecast(min_gain), partial(decay, shape=shape, sd=0.01), end, runs)
            rows.append([f"{min_gain}", name, str(end), *found])
    return table(["min_gain", "signal", "true end", "false alarms", "delay", "missed"], rows)


def worthwhile_sensitivity(runs: int) -> str:
    rows = []
    for min_gain in (0.02, 0.05, 0.1):
        for name, shape in SHAPES:
            end = doubling_is_spent(shape, min_gain)
            found = detection(Worthwhile(min_gain, "min"), partial(decay, shape=shape, sd=0.01), end, runs)
            rows.append([f"{min_gain}", name, str(end), *found])
    return table(["min_gain", "signal", "true end", "false alarms", "delay", "missed"], rows)


DOCUMENT = """# False alarms and delays of the rules

How often does a rule end the critical period too early, and how late does it notice a real end? Here every rule is asked
about synthetic signals whose end is known, and about the authors' recorded runs.

**No rule is good on every signal. Choose the rule by the signal:**

- `Slope` needs a smooth signal. Noise of 1% is enough for a false alarm in nearly every run.
- `LowOutlier` misses most drops of 2 standard deviations. On noise that is correlated from epoch to epoch it has many false
  alarms. `Patient(LowOutlier(every_n_epochs=1), 3)` misses fewer drops, and on independent noise has fewer false alarms.
- `Plateau` ends the period on every signal that does not move. On a noisy signal it needs much patience.
- `Forecast` and `Worthwhile` have the fewest false alarms on a signal that still moves, but they are late. With much noise
  `Worthwhile` misses the end.

In all tables:

- *False alarms*: the share of the runs in which the rule fires before the true end, or at all if there is none.
- *Delay*: epochs from the true end to the epoch at which the rule fires, over the runs in which it fires. Negative: too early.
- *Missed*: the share of the runs in which the rule never fires.

A cell has {runs} synthetic runs of {epochs} epochs, unless the table says otherwise, and every rule has its default
`min_epochs`. Shares have a 95% interval (Wilson). Epochs are the median, with the 10% and 90% quantiles in brackets.

## Signals without an end: false alarms

The period lasts for the whole run, so firing at all is a false alarm. A *flat* signal is noise around a constant, either
independent (white) or with a correlation of 0.9 from one epoch to the next (AR(1)). A *steady* signal changes by the same
amount in every epoch, in the direction of progress (for `Slope`: a line at 60 degrees). Its noise is given as a share of
the whole change.

{no_change}
- `Plateau` looks for the end of a movement. A flat signal never moved, so the rule ends the period at once. Use it only with
  a signal that is known to move.
- `Slope` first asks for a rise (`Slope.published()` does not, and ends the period of a flat signal at once). It needs a
  smooth signal, because it multiplies the slope, with its noise, by the number of epochs.
- `Worthwhile(0.05, "min")` is right to fire on a flat signal, where nothing is left to gain. On the steady signals a doubling
  brings ten times its `min_gain`.
- `Forecast` compares what is left with the gain so far. On a steady signal less than 5% is left from epoch {steady_end} on, so
  only its alarms up to epoch 90 count.
- To `Forecast` and `Worthwhile`, noise that is correlated from epoch to epoch looks like a curve, so they fire earlier.
- `Forecast(mode="max")`, the rule for gradient predictiveness, is the mirror image; the same numbers hold.

The published rule for gradient confusion, in runs of the published length, on flat white noise:

{published_length}
## Signals with an end: delay

{delays}
- `Slope`: the signal rises at a rate of 3 per run, then at 0.3. The limit of 45 degrees is a rate of 1.
- `Plateau`: the signal falls by 0.4 in {change} epochs, then stays.
- `Forecast` and `Worthwhile`: the curves are exp(-t / 12) and 1 / (1 + t / 4). For `Forecast` the true end is the epoch from which
  the curve without noise has less than `min_gain` of its gain so far left; for `Worthwhile` it is the epoch from which the
  next doubling brings less than `min_gain`. Noise delays both rules, and with much noise `Worthwhile` misses the end.
  [the study on real curves](worthwhile.md) asks them about real curves.

## How the settings of a rule matter

`Slope`: the epoch at which it fires on 0.6 (1 - exp(-t / 15)), the shape of layer rotation. This curve rises at 45 degrees
at epoch 20.6. The rule cannot fire before epoch {tenth}: its default `min_epochs` is a tenth of the run.

{slope_sensitivity}
`LowOutlier`: no change at all, and a drop of 4 standard deviations at epoch {change}.

{outlier_sensitivity}
`Plateau`: a steady fall with 2% noise, and a fall that ends at epoch {change} (noise 0.005).

{plateau_sensitivity}
`Forecast`, noise 0.01:

{forecast_sensitivity}
`Worthwhile`, noise 0.01:

{worthwhile_sensitivity}
## Smoothing, waiting, and a cheaper signal

{smoothing}
{patience}
{approximation}
## The authors' recorded runs

{recorded}
## How to reproduce it

`python benchmarks/calibration.py` writes this page; the synthetic runs have the seeds 0, 1, 2, ...; do not edit it.
"""


def document(runs: int) -> str:
    tables = (no_change, published_length, delays, slope_sensitivity, outlier_sensitivity)
    tables += (plateau_sensitivity, forecast_sensitivity, worthwhile_sensitivity)
    tables += (waiting.smoothing, waiting.patience)
    parts = {make.__name__: make(runs) for make in tables} | {"approximation": waiting.APPROXIMATION}
    numbers = {"runs": runs, "epochs": EPOCHS, "change": CHANGE, "tenth": EPOCHS // 10}
    numbers["steady_end"] = gain_is_spent(lambda t: -t, Forecast().min_gain)
    return DOCUMENT.format(**parts, **numbers, recorded=recorded.report())


def main() -> None:
    text = document(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
    unfinished = TARGET.with_suffix(".tmp")
    unfinished.write_text(text)
    os.replace(unfinished, TARGET)


if __name__ == "__main__":
    main()
