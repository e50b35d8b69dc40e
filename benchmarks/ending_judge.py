"""What the runs of `ending.py` say: every arm's cost and accuracy, the claims, and the choice of the settings."""

import json
import math
import random
from collections import defaultdict
from statistics import fmean

import numpy as np
from ending_rules import (
    CUTS,
    DECAYED,
    GUESSES,
    PARTS,
    STOPPING,
    begins,
    starts,
    stopped,
)
from scoring import table

from lightning_critperiod.studies.statistics import t_interval

OURS = "cooldown"
PLATEAUS = {
    "ReduceLROnPlateau, then stop": "plateau",
    "ReduceLROnPlateau, then stop, averaged": "averaged plateau",
}

PRICE = 0.5
"""Points that a doubling of the cost must bring to be worth it: the default of `EarlyCooldown`."""


class Record:
    """One set-up and seed: arm -> (cost as a part of the longest run, accuracy in percent)."""

    def __init__(self, found):
        self.found, self.epochs, self.seed = found, found["epochs"], found["seed"]
        by = "" if found["optimizer"] == "SGD" else f", {found['optimizer']}"
        self.setup = f"{found['data']}, {found['samples']} images{by}"
        self.cooldowns = {int(k): v for k, v in found["cooldowns"].items()}
        self.arms = self._arms()

    def _arms(self):
        found, epochs = self.found, self.epochs
        arms = {arm: self._cooldown(begins(epoch, epochs)) for arm, epoch in found["chosen"].items()}
        epoch = found["chosen"][OURS] or epochs
        epoch = epoch if str(epoch) in found["averaged"] else epochs
        arms["averaging only, same rule"] = epoch / epochs, found["averaged"][str(epoch)]
        whole = found["whole"]
        for name in STOPPING:
            end, best = stopped(found["curves"], name, epochs)
            arms[f"{name}, constant rate"] = end / epochs, found["raw"][str(best)]
            end, best = stopped(whole["curves"], name, epochs)
            arms[f"{name}, {DECAYED[0]}"] = end / epochs, whole["tests"][str(best)]
        for name, key in PLATEAUS.items():
            arms[name] = found[key]["epochs"] / epochs, found[key]["acc"]
        arms["short"] = arms[OURS][0], found["short"]
        arms["full"] = 1.0, whole["acc"]
        for name, part in GUESSES.items():
            arms[f"guessed: {name}"] = self._cooldown(starts(epochs)[part])
        for cut in CUTS:
            arms[f"budget of {cut:.0%}: cooldown"] = self._cooldown(starts(epochs)[cut])
            arms[f"budget of {cut:.0%}: {DECAYED[0]}, cut"] = cut, whole["tests"][str(round(cut * epochs))]
        return arms

    def _cooldown(self, epoch):
        found = self.cooldowns[epoch]
        return found["epochs"] / self.epochs, found["acc"]

    def at_cost(self, cost):
        """Accuracy of a cooldown of that cost, between those that were trained, over log(cost)."""
        return at_cost(self.cooldowns, cost * self.epochs)


def at_cost(cooldowns, epochs):
    known = sorted((each["epochs"], each["acc"]) for each in cooldowns.values())
    return float(np.interp(math.log(epochs), [math.log(e) for e, _ in known], [acc for _, acc in known]))


def load(folder):
    """The records, with the placebo: the rule's part of the run of another set-up and seed."""
    records = [Record(json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
    for record in records:
        others = [each for each in records if each.setup != record.setup and each.seed != record.seed]
        if others:
            cost = random.Random(f"{record.setup} {record.seed}").choice(others).arms[OURS][0]
            record.arms["placebo"] = cost, record.at_cost(cost)
    return records


def interval(values):
    return t_interval(values) if len(values) > 1 else (-math.inf, math.inf)


def shown(values):
    low, high = interval(values)
    return f"{fmean(values):+.2f} [{low:+.2f}, {high:+.2f}]" if len(values) > 1 else f"{fmean(values):+.2f}"


def above(values, bound):
    """Whether the mean is above a bound, by its whole interval."""
    low, high = interval(values)
    return "held" if low > bound else "refuted" if high < bound else "open"


def worst(verdicts):
    return next(v for v in ("refuted", "open", "held") if v in {*verdicts} or v == "held")


def against(records, arm):
    """Ours minus an arm, in points, and in cost."""
    return [r.arms[OURS][1] - r.arms[arm][1] for r in records], [r.arms[OURS][0] - r.arms[arm][0] for r in records]


def claim_1(records):
    stopping = [arm for arm in records[0].arms if arm.startswith("EarlyStopping")]
    found, verdicts = [], []
    for arm in stopping:
        points, costs = against(records, arm)
        how = "ours"
        if fmean(costs) > 0:
            points, how = [r.at_cost(r.arms[arm][0]) - r.arms[arm][1] for r in records], "a cooldown of its cost"
        verdicts.append(above(points, 1))
        found.append(f"{arm}: {shown(points)} ({how})")
    return found, worst(verdicts)


def claim_2(records):
    points, _ = against(records, "short")
    return [shown(points)], above(points, -0.5)


def claim_3(records):
    found, verdicts = [], []
    for arm in PLATEAUS:
        points, costs = against(records, arm)
        low, high = interval(points)
        found.append(f"{arm}: {shown(points)} points, {shown([100 * c for c in costs])}% of the longest run in cost")
        refuted = high < 0 or interval(costs)[0] > 0
        verdicts.append("held" if low > -0.5 and fmean(costs) <= 0 else "refuted" if refuted else "open")
    return found, worst(verdicts)


def worth(outcome):
    """Accuracy less the price of its length."""
    cost, acc = outcome
    return acc - PRICE * math.log2(cost)


def regret(records, arm):
    """Points below the best length of each set-up, mean over the set-ups."""
    found = []
    for runs in by_setup(records).values():
        best = max(fmean(worth(run._cooldown(starts(run.epochs)[part])) for run in runs) for part in PARTS)
        found.append(best - fmean(worth(run.arms[arm]) for run in runs))
    return fmean(found)


def claim_4(records):
    found, verdicts = [f"ours {regret(records, OURS):.2f}"], []
    for name in GUESSES:
        arm = f"guessed: {name}"
        better = [worth(r.arms[OURS]) - worth(r.arms[arm]) for r in records]
        found.append(f"{arm} {regret(records, arm):.2f}, ours better by {shown(better)}")
        verdicts.append(above(better, 0))
    return found, worst(verdicts)


def generous(records):
    """The records of the set-ups in which a cooldown at half the length is within 0.5 points of one at the whole."""
    half, whole = "guessed: half", "guessed: the whole"
    chosen = {s for s, rs in by_setup(records).items() if fmean(r.arms[half][1] - r.arms[whole][1] for r in rs) >= -0.5}
    return [r for r in records if r.setup in chosen]


def claim_5(records):
    chosen = generous(records)
    if not chosen:
        return ["no set-up's full length is generous"], "open"
    points, costs = against(chosen, "full")
    saved = [-100 * cost for cost in costs]
    found = [f"{', '.join(sorted({r.setup for r in chosen}))}: {shown(points)} points, {shown(saved)}% saved"]
    verdict = above(points, -0.2)
    if verdict == "held" and fmean(saved) < 40:
        verdict = "open"
    return found, "refuted" if interval(saved)[1] < 40 else verdict


CLAIMS = (claim_1, claim_2, claim_3, claim_4, claim_5)


def by_setup(records):
    found = defaultdict(list)
    for record in sorted(records, key=lambda r: (r.found["samples"], r.setup, r.seed)):
        found[record.setup].append(record)
    return found


def verdicts(records):
    rows = []
    for number, claim in enumerate(CLAIMS, 1):
        found, verdict = claim(records) if records else (["no runs yet"], "open")
        rows.append([str(number), verdict, "<br>".join(found)])
    return table(["claim", "verdict", "found: mean and 95% interval over set-ups and seeds"], rows)


def arms_table(records):
    rows = []
    for arm in records[0].arms:
        runs = [r for r in records if arm in r.arms]
        points, _ = against(runs, arm)
        cost, acc = fmean(r.arms[arm][0] for r in runs), fmean(r.arms[arm][1] for r in runs)
        rows.append([arm, f"{cost:.0%}", f"{acc:.2f}", "" if arm == OURS else shown(points)])
    return table(["arm", "cost", "accuracy %", "ours minus it, points"], rows)


def lengths_table(records):
    rows = []
    for setup, runs in by_setup(records).items():
        epochs = runs[0].epochs
        ends = [fmean(r.cooldowns[starts(epochs)[part]]["acc"] for r in runs) for part in PARTS]
        rows.append([
            setup,
            str(len(runs)),
            *(f"{acc:.1f}" for acc in ends),
            f"{fmean(r.arms['full'][1] for r in runs):.1f}",
        ])
    return table(["set-up", "seeds", *(f"{part:.1%}" for part in PARTS), f"{DECAYED[0]}, whole"], rows)


def weights_of(records):
    ends = [each["weights"] for r in records for each in r.cooldowns.values()]
    return f"Of {len(ends)} cooldowns {ends.count('averaged')} ended with the averaged weights, the others with the raw ones."
