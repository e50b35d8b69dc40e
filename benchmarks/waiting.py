"""Is a rule better if its signal is smoothed, or if it has to say so several epochs in a row?"""

from functools import partial

import numpy as np
from scoring import detection, false_alarm, share, spread, table, words
from synthetic import CHANGE, EPOCHS, Make, broken, drop, noise, steady

from lightning_critperiod.rules import LowOutlier, Plateau, Rule, Slope


def smoothed(rng: np.random.Generator, n: int, make: Make, weight: float) -> np.ndarray:
    """The exponential moving average of a signal: weight of the past, 1 - weight of the value."""
    values = make(rng, n)
    for t in range(1, n):
        values[t] = weight * values[t - 1] + (1 - weight) * values[t]
    return values


def smoothing(runs: int) -> str:
    rows = []
    for weight, patiences in ((0.0, (3, 5, 7, 10, 20)), (0.6, (3, 5, 10)), (0.9, (1, 3, 5))):
        for patience in patiences:
            rule = Plateau(patience)
            going_on = [partial(steady, change=-1.0, sd=sd) for sd in (0.02, 0.1)]
            alarms = [false_alarm(rule, partial(smoothed, make=make, weight=weight), runs) for make in going_on]
            ending = partial(broken, before=-1.0, after=0.0, sd=0.02)
            found = detection(rule, partial(smoothed, make=ending, weight=weight), CHANGE, runs)
            rows.append([words(rule), f"{weight:g}", *alarms, *found])
    head = ["rule", "smoothing", "steady 2%", "steady 10%", "false alarms", "delay", "missed"]
    return SMOOTHING + table(head, rows)


def first_streak(verdicts: list[bool], epochs: int) -> int | None:
    """The first epoch after `epochs` verdicts in a row: where a rule that is asked to be patient would end the period."""
    streak = 0
    for epoch, verdict in enumerate(verdicts):
        streak = streak + 1 if verdict else 0
        if streak == epochs:
            return epoch + 1
    return None


def verdicts(rule: Rule, make: Make, runs: int) -> list[list[bool]]:
    kept = []
    for seed in range(runs):
        values = make(np.random.default_rng(seed), EPOCHS).tolist()
        kept.append([rule(dict(enumerate(values[: n + 1])), EPOCHS) for n in range(EPOCHS)])
    return kept


def patience(runs: int) -> str:
    rising, slowing = (
        partial(steady, change=3.0**0.5, sd=0.01 * 3.0**0.5),
        partial(broken, before=3.0, after=0.3, sd=0.02),
    )
    white, falls = noise, partial(drop, depth=4.0)
    waves, falls_in_waves = partial(noise, rho=0.9), partial(drop, depth=4.0, rho=0.9)
    every = LowOutlier(every_n_epochs=1)
    cases: list[tuple[str, Rule, Make, Make, tuple[int, ...]]] = [
        ("rise, noise 1%", Slope(), rising, slowing, (1, 2, 3, 5)),
        *(("rise, noise 1%", Slope(window=window), rising, slowing, (1,)) for window in (10, 15)),
        *(("white", rule, white, falls, (1,)) for rule in (LowOutlier(), LowOutlier(2.0, 1), LowOutlier(3.0, 1))),
        ("white", every, white, falls, (1, 2, 3, 5)),
        *(("AR(1) 0.9", rule, waves, falls_in_waves, (1,)) for rule in (LowOutlier(), LowOutlier(3.0, 1))),
        ("AR(1) 0.9", every, waves, falls_in_waves, (1, 2, 3, 5)),
    ]
    rows = []
    for name, rule, going_on, ending, waits in cases:
        never, found = verdicts(rule, going_on, runs), verdicts(rule, ending, runs)
        for wait in waits:
            alarms = sum(first_streak(said, wait) is not None for said in never)
            ends = [first_streak(said, wait) for said in found]
            early = share(sum(end is not None and end < CHANGE for end in ends), runs)
            delays = spread([end - CHANGE for end in ends if end is not None])
            rows.append([
                name,
                words(rule),
                str(wait),
                share(alarms, runs),
                early,
                delays,
                share(ends.count(None), runs),
            ])
    head = ["signal", "rule", "epochs in a row", "false alarms, no end", "false alarms", "delay", "missed"]
    return PATIENCE + table(head, rows)


SMOOTHING = """**Smoothing.** `Plateau` on the exponential moving average of its signal: two steady falls that do not end, with noise of 2% and
10% of the fall, and a fall that ends at epoch 40 (noise 0.02). The result is mixed. At a delay of 7 epochs, a smoothing of 0.6
halves the false alarms. At a delay of 12 epochs, patience 7 without smoothing is within 3 points of it. Against noise of 10%,
patience 20 without smoothing has a third of the false alarms of patience 5 at 0.9, and is as late. A few more epochs of
patience do more than smoothing, so `Plateau` has no argument for it. If you want smoothing, log a smoothed metric.

"""
PATIENCE = """**Waiting.** `Patient(rule, epochs)` fires when the rule has fired that many epochs in a row. Without an end: a rise at 60 degrees
with noise of 1%, and stationary noise. With an end at epoch 40: the rate falls from 3 to 0.3 (noise 0.02), and the value drops
by 4 standard deviations. A `LowOutlier` that looks at every epoch gains most: with `Patient` it beats both the published cadence
and a higher threshold, because a value that is low for one epoch is an outlier, and one that stays low is a change. For `Slope`
a longer window does as well.

"""
# Printed by the command that it names: that trains for ten minutes, which no table here should wait for.
APPROXIMATION = """**A cheaper signal.** `TrainingGradientConfusion` against `GradientConfusion` in the same training, as printed by
`python benchmarks/gradient_signals.py approximation` (digits, ResNet-8, batch size 32, 60 epochs, SGD at a constant rate of 0.1,
5 seeds; torch 2.14.1, 1 thread of 2 shared cores). *Difference*: the mean difference from the exact value over the epochs.
*Absolute*: the mean absolute difference. *Rank correlation*: with the exact value. Each is the median over the seeds, with the
least and the most in brackets. The last column has the epochs at which `LowOutlier(every_n_epochs=1)` ends the period, one for each
seed. "exact, 8 other batches" is the exact signal on another choice of probe batches.

| network | statistic | signal | difference | absolute | rank correlation | LowOutlier, every epoch |
| --- | --- | --- | --- | --- | --- | --- |
| BatchNorm | max | exact | 0 | 0 | 1 | 9, 48, 7, never, 6 |
| BatchNorm | max | exact, 8 other batches | +0.000 [-0.012, +0.015] | 0.082 [0.073, 0.093] | 0.65 [0.52, 0.72] | 11, 7, 7, 6, 11 |
| BatchNorm | max | of training | -0.478 [-0.504, -0.470] | 0.478 [0.470, 0.504] | 0.07 [-0.13, 0.11] | never, never, 20, never, 22 |
| BatchNorm | mean | of training | -0.342 [-0.392, -0.323] | 0.342 [0.323, 0.392] | -0.23 [-0.35, 0.08] | never 5 times |
| GroupNorm | max | exact | 0 | 0 | 1 | 10, 25, never, never, never |
| GroupNorm | max | exact, 8 other batches | -0.007 [-0.020, +0.014] | 0.092 [0.087, 0.105] | 0.40 [0.18, 0.57] | 6, never, never, 6, never |
| GroupNorm | max | of training | -0.145 [-0.175, -0.129] | 0.175 [0.164, 0.184] | 0.09 [-0.17, 0.15] | 6, never, 6, never, never |
| GroupNorm | mean | of training | -0.211 [-0.233, -0.197] | 0.211 [0.197, 0.233] | -0.15 [-0.24, 0.16] | never 5 times |

It costs a twentieth of the exact signal (4.5 against 89 CPU milliseconds an epoch; 0.7% against 14% of these short epochs), but
it measures something else. It does not follow the exact signal at all, neither with BatchNorm (training uses the statistics of
the batch, the exact signal the running ones) nor without. The choice of probe batches matters as well: on two sets of
batches the exact signal correlates with itself at 0.4 to 0.65, and the rule on it agrees in few seeds. Do not use one signal in
place of the other.
"""
