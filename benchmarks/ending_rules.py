"""The epochs of the arms of `ending.py`, read off the validation curves of a run; test data plays no part in them."""

from lightning_critperiod import Cooldown, Plateau, Worthwhile
from lightning_critperiod.detector import replay

RATES = (0.03, 0.1)
MIN_GAINS = (0.0025, 0.005, 0.01, 0.02, 0.04)
CONSTANT, DECAYED, MIN_GAIN = 0.1, ("linear", 0.1), 0.04
"""What was chosen of these, and of the shapes, on the development seeds."""

PARTS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0)
"""Lengths of the runs that a cooldown ends, as parts of the longest."""
GUESSES = {"a quarter": 0.25, "half": 0.5, "the whole": 1.0}
CUTS = (0.25, 0.5, 0.75)

STOPPING = {
    f"EarlyStopping, {metric.removeprefix('raw val_')}, patience {patience}": (metric, patience)
    for metric in ("raw val_loss", "raw val_acc")
    for patience in (3, 5, 10)
}


def rules(min_gain):
    """Arm -> its curve, and the rule that is asked about it."""
    return {
        "cooldown": ("val_acc", Worthwhile(min_gain, "max")),
        "cooldown, raw metric": ("raw val_acc", Worthwhile(min_gain, "max")),
        "cooldown, Plateau": ("val_acc", Plateau(patience=3, mode="max")),
    }


def fires(curves, name, rule):
    """After how many epochs the rule fires; None if it never does."""
    return replay(rule, dict(enumerate(curves[name])), None).end_epoch


def begins(epoch, epochs):
    """The epoch with which the cooldown begins: the rule's, or the one that is in time for the planned end."""
    latest = Cooldown().start(epochs)
    return latest if epoch is None else min(epoch, latest)


def starts(epochs):
    """Part of the longest run -> the epoch from which a cooldown ends there."""
    return {part: Cooldown().start(round(part * epochs)) for part in PARTS}


def stopped(curves, name, epochs):
    """EarlyStopping of that name: after how many epochs it stops, and which of them was the best so far."""
    metric, patience = STOPPING[name]
    mode = "min" if metric.endswith("loss") else "max"
    end = fires(curves, metric, Plateau(patience, mode=mode, min_epochs=0)) or epochs
    seen = curves[metric][:end]
    return end, 1 + seen.index((min if mode == "min" else max)(seen))
