"""What the recorded runs say of layer rotation and the learning rate: the page, made from the runs alone."""

import json
import os
from collections import defaultdict
from statistics import mean

import numpy as np
from late_enough_judge import rotation_per_path
from scipy.stats import rankdata, spearmanr
from scoring import end_epoch, table

from lightning_critperiod.rules import Slope

WINDOW = 5  # epochs under the line, as in Slope
SMOOTH = 3  # epochs over which validation is averaged
GAIN = 1.0  # points of validation accuracy that count as learning that is not over

SIGNALS = {"rotation": lambda curves: curves["layer_rotation"], "rotation / sqrt(LR path)": rotation_per_path}


def load(folder):
    """schedule -> seed -> curves."""
    runs = defaultdict(dict)
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        runs[record["schedule"]][record["seed"]] = record["curves"]
    return runs


def angles(values):
    """Of the line through the last measured epochs, as Slope has it; none before there are enough."""
    per_epoch = [
        np.polyfit(range(WINDOW), values[e - WINDOW + 1 : e + 1], 1)[0] for e in range(WINDOW - 1, len(values))
    ]
    return [None] * (WINDOW - 1) + [float(np.degrees(np.arctan(slope * (len(values) - 1)))) for slope in per_epoch]


def recent(values, epoch):
    return mean(values[max(epoch - SMOOTH + 1, 0) : epoch + 1])


def gains(curves):
    """Epoch -> points of validation accuracy that the rest of the run still brings."""
    accuracy = [100 * value for value in curves["val_acc"]]
    return [recent(accuracy, len(accuracy) - 1) - recent(accuracy, epoch) for epoch in range(len(accuracy))]


def curves_table(runs, names, epochs):
    head = ["epoch", *(f"{name}: {what}" for name in names for what in ("LR", "angle", "acc"))]
    rows = []
    for epoch in epochs:
        row = [str(epoch)]
        for name in names:
            seeds = runs[name].values()
            row.append(f"{mean(c['lr'][epoch] for c in seeds):.3g}")
            row.append(f"{mean(angles(c['layer_rotation'])[epoch] for c in seeds):.0f}")
            row.append(f"{mean(100 * recent(c['val_acc'], epoch) for c in seeds):.1f}")
        rows.append(row)
    return table(head, rows)


def ends(runs, signal, rule):
    """schedule -> the epoch that the rule picks in every run, the number of epochs where it never fires."""
    picked = {}
    for name, seeds in runs.items():
        found = [(end_epoch(rule, SIGNALS[signal](c), len(c["lr"])), len(c["lr"])) for c in seeds.values()]
        picked[name] = [epochs if end is None else end for end, epochs in found]
    return picked


def published_table(runs):
    rows = []
    for name, picked in ends(runs, "rotation", Slope()).items():
        curves = list(runs[name].values())
        left = [gains(c)[end - 1] for c, end in zip(curves, picked, strict=True)]
        rate = [c["lr"][end - 1] / max(c["lr"]) for c, end in zip(curves, picked, strict=True)]
        loss = [recent(c["val_loss"], end - 1) for c, end in zip(curves, picked, strict=True)]
        last = [recent(c["val_loss"], len(c["val_loss"]) - 1) for c in curves]
        rows.append([
            name,
            ", ".join(map(str, picked)),
            f"{mean(rate):.2f}",
            f"{mean(left):+.1f} [{min(left):+.1f}, {max(left):+.1f}]",
            f"{mean(loss):.3f} -> {mean(last):.3f}",
        ])
    return table(["schedule", "fires after epochs", "LR then", "accuracy still gained", "val_loss"], rows)


def moved_table(runs):
    """How far a drop moves a rule whose history, weights and data are the same up to there."""
    rows = []
    for signal in SIGNALS:
        for angle in (45.0, 30.0, 20.0, 10.0):
            picked = ends(runs, signal, Slope(max_angle=angle))
            rows.append([signal, f"{angle:g}", *(", ".join(map(str, picked[name])) for name in runs)])
    return table(["signal", "degrees", *runs], rows)


def auc(scores, labels):
    """Probability that a score where the label holds is above one where it doesn't."""
    ranks, labels = rankdata(scores), np.asarray(labels)
    yes, no = labels.sum(), (~labels).sum()
    return (ranks[labels].sum() - yes * (yes + 1) / 2) / (yes * no)


def separation_table(runs):
    scores = {
        **{name: lambda c, name=name: angles(SIGNALS[name](c)) for name in SIGNALS},
        "the LR itself": lambda c: c["lr"],
        "epochs left": lambda c: list(range(len(c["lr"]), 0, -1)),
    }
    rows = []
    for name, score in scores.items():
        pooled, labels, with_lr = [], [], []
        for curves in (c for seeds in runs.values() for c in seeds.values()):
            values = score(curves)[WINDOW - 1 :]
            pooled += values
            labels += [gain > GAIN for gain in gains(curves)[WINDOW - 1 :]]
            if len(set(curves["lr"][WINDOW - 1 :])) > 1 and len(set(values)) > 1:
                with_lr.append(spearmanr(values, curves["lr"][WINDOW - 1 :]).statistic)
        rows.append([name, f"{auc(pooled, labels):.2f}", f"{mean(with_lr):+.2f}"])
    return table(["predictor", "AUC", "rank correlation with the LR"], rows)


PAGE = """# Layer rotation and the learning rate

Does a flat layer rotation mean that the model has stopped learning, or only that the learning rate is low?

**Both.** Layer rotation follows the learning rate, whether or not the model still learns. With every schedule whose rate
falls (OneCycle, cosine, step), the published rule fires before most of the accuracy that the falling rate brings. If you
decay the learning rate, let the rule wait for the decay: set `Slope(min_epochs=...)`, use a smaller angle, or switch at a
fixed epoch with `AtEpoch`.

The runs: ResNet-8 on the handwritten digits, SGD with momentum, {epochs} epochs, one view of every sample, seeds {seeds}. Only
the learning rate differs. The *angle*, in degrees, is that of the line which `Slope()` fits to the last {window} epochs.
*Accuracy* is validation accuracy in percent, the mean of the last {smooth} epochs.

## The same weights with and without a drop of the rate

*Drop* divides the learning rate by ten from epoch {low} on; *drop and back* restores it at epoch {back}. Up to epoch {before}
the three runs of a seed are identical. The table has the means over the seeds.

{curves}
{seen}
## Where the published rule fires, and what was still to come

*LR then* is a fraction of the highest rate of the run. *Accuracy still gained* is in points, with the lowest and the highest
run in brackets.

{published}
## Does it help to divide by the path of the learning rate?

The path is the sum of the learning rates so far, as a fraction of the total. For a random walk, rotation divided by the
square root of the path would be constant. The table has the epochs at which `Slope(max_angle=...)` ends the period, one
for each seed ({epochs}: never).

{moved}
How well does the angle separate epochs after which validation accuracy still rises by more than {gain:g} point from the other
epochs? All schedules, seeds and epochs together. An AUC of 0.5 is chance, 1 is a perfect separation. The last two rows need
no signal.

{separation}
{conclusion}
## How to reproduce it

`python benchmarks/lr_confound.py run` trains, `python benchmarks/lr_confound.py judge` writes this page from the runs in
`results/lr_confound`; do not edit it.
"""


def judge(folder, page, low, back):
    """Write the page from the runs."""
    runs = load(folder)
    epochs = len(next(iter(runs["constant"].values()))["lr"])
    chosen = sorted({*range(low - 1, min(low + 6, epochs)), back - 1, *range(back, back + 6, 1), epochs - 1})
    text = PAGE.format(
        epochs=epochs,
        seeds=", ".join(map(str, runs["constant"])),
        window=WINDOW,
        smooth=SMOOTH,
        gain=GAIN,
        low=low,
        back=back,
        before=low - 1,
        curves=curves_table(runs, ("constant", "drop", "drop and back"), chosen),
        published=published_table(runs),
        moved=moved_table(runs),
        separation=separation_table(runs),
        seen=SEEN,
        conclusion=CONCLUSION,
    )
    unfinished = page.with_suffix(".tmp")
    unfinished.write_text(text)
    os.replace(unfinished, page)


SEEN = """
From the same weights, a tenth of the learning rate makes the angle fall from above 45 degrees to almost zero within four
epochs. The published rule fires after two of them, while the drop is still raising the validation accuracy. By the time
the angle is near zero, accuracy has stopped rising, so here a later decision would have been right. But when the rate is
restored, the angle rises above 45 degrees again, while accuracy falls by ten points.
"""
CONCLUSION = """
Rotation does carry information: over all of these runs it separates better than the learning rate or the epochs left. How
much of that comes from the schedule, these runs cannot tell, because rotation and learning rate are strongly correlated.
Dividing by the square root of the path removes most of that correlation, and most of the information with it: nearly
everywhere such a rule fires as soon as it can. So the package does not offer it.
"""
