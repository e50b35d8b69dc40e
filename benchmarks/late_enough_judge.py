"""What the recorded runs say of each rule: where it switches, what that keeps and saves, with intervals over seeds."""

import json
import math
import statistics
from collections import defaultdict
from pathlib import Path

from scipy.stats import t as student

from lightning_critperiod import AtEpoch, Forecast, Plateau, Slope

MULTIPLIER = 3
MARGIN = 0.2  # points of test accuracy, stated beforehand


def rotation_per_path(curves):
    """Rotation against the path that the learning rate allowed: the sum of the rates so far, as part of the whole."""
    total = sum(curves["lr"])
    path = [sum(curves["lr"][: e + 1]) / total for e in range(len(curves["lr"]))]
    return [rotation / math.sqrt(p) for rotation, p in zip(curves["layer_rotation"], path, strict=True)]


SIGNALS = {
    "rotation": lambda curves: curves["layer_rotation"],
    "rotation / sqrt(LR path)": rotation_per_path,
    "val_loss": lambda curves: curves["val_loss"],
    "val_acc": lambda curves: curves["val_acc"],
    "train_loss": lambda curves: curves["train_loss"],
}

CANDIDATES = {
    "published: rotation, 45 degrees": ("rotation", Slope(after_rise=False)),
    **{
        f"rotation, {angle} degrees": ("rotation", Slope(max_angle=angle, after_rise=False))
        for angle in (30, 20, 10, 5)
    },
    **{
        f"rotation / sqrt(LR path), {a} degrees": ("rotation / sqrt(LR path)", Slope(max_angle=a, after_rise=False))
        for a in (30, 10, 0)
    },
    **{f"Forecast on val_loss, {gain}": ("val_loss", Forecast(min_gain=gain)) for gain in (0.05, 0.01)},
    "Forecast on train_loss, 0.05": ("train_loss", Forecast(min_gain=0.05)),
    "Plateau on val_acc, patience 3": ("val_acc", Plateau(patience=3, mode="max")),
    "Plateau on val_acc, patience 5": ("val_acc", Plateau(patience=5, mode="max")),
}


def fires(rule, values, epochs):
    """The first epoch after the period; ``epochs`` if the rule never fires."""
    histories = ({e: values[e] for e in range(n)} for n in range(1, epochs))
    return next((len(history) for history in histories if rule(history, epochs)), epochs)


def interpolated(kept, part):
    """Accuracy of a switch at a part of the run, between those that were trained; before the first one, the first."""
    parts = sorted(kept)
    if part <= parts[0]:
        return kept[parts[0]]
    high = next(p for p in parts if p >= part)
    low = parts[parts.index(high) - 1]
    weight = (part - low) / (high - low)
    return (1 - weight) * kept[low] + weight * kept[high]


def interval(values):
    """Mean and half the width of its 95% t-interval."""
    if len(values) < 2:
        return statistics.mean(values), math.nan
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), half


def load(folder):
    """(role, set-up) -> seed -> {"kept": part -> accuracy in %, "curves"}; only seeds whose runs are all there."""
    runs = defaultdict(lambda: defaultdict(lambda: {"kept": {}}))
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        run = runs[record["role"], record["setup"]][record["seed"]]
        run["kept"][record["part"]] = 100 * record["test_acc"]
        run.update({key: record[key] for key in ("curves",) if key in record})
    most = max((len(run["kept"]) for seeds in runs.values() for run in seeds.values()), default=0)
    return {key: {seed: run for seed, run in seeds.items() if len(run["kept"]) == most} for key, seeds in runs.items()}


def saved(part):
    """Part of the samples not drawn, when k goes from 3 to 1 there."""
    return (1 - part) * (1 - 1 / MULTIPLIER)


def share(outcomes):
    """Mean part of the samples that was not drawn; outcomes are (part, points against the full recipe), one a run."""
    return statistics.mean(saved(part) for part, _ in outcomes)


def verdict(outcomes):
    """Mean, half width and whether the whole interval is within the margin."""
    mean, half = interval([loss for _, loss in outcomes])
    return mean, half, "yes" if mean - half > -MARGIN else "no" if mean + half < -MARGIN else "open"


def row(name, outcomes):
    parts, (mean, half, said) = [part for part, _ in outcomes], verdict(outcomes)
    return (
        f"| {name} | {statistics.mean(parts):.2f} [{min(parts):.2f}, {max(parts):.2f}] | {100 * share(outcomes):.0f}% "
        f"| {mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}] | {said} |"
    )


def sweep_table(runs):
    lines = ["| set-up | seeds | full recipe % | " + " | ".join(f"{p:g}" for p in _parts(runs)) + " |"]
    lines.append("|---|---|---|" + "---|" * len(_parts(runs)))
    for (role, setup), seeds in runs.items():
        full = [run["kept"][1.0] for run in seeds.values()]
        cells = []
        for part in _parts(runs):
            mean, half = interval([run["kept"][part] - run["kept"][1.0] for run in seeds.values()])
            cells.append(f"{mean:+.2f} ± {half:.2f}")
        lines.append(f"| {setup} ({role}) | {len(full)} | {statistics.mean(full):.2f} | " + " | ".join(cells) + " |")
    return lines


def _parts(runs):
    return sorted({p for seeds in runs.values() for run in seeds.values() for p in run["kept"] if p < 1})


def outcomes_of_rules(runs, role, epochs):
    """Rule -> (part of the run at which it switches, points against the full recipe), one a run of these set-ups."""
    chosen = [run for (r, _), seeds in runs.items() if r == role for run in seeds.values()]
    found = {}
    for name, (signal, rule) in CANDIDATES.items():
        parts = [fires(rule, SIGNALS[signal](run["curves"]), epochs) / epochs for run in chosen]
        kept = zip(parts, chosen, strict=True)
        found[name] = [(p, interpolated(run["kept"], p) - run["kept"][1.0]) for p, run in kept]
    for part in _parts(runs):
        assert AtEpoch(round(part * epochs))(dict.fromkeys(range(round(part * epochs)), 0.0), epochs)
        found[f"AtEpoch at {part:g} of the run"] = [(part, run["kept"][part] - run["kept"][1.0]) for run in chosen]
    return found


def choose(outcomes):
    """The rule that saves most of those that lose, in the mean, at most half the margin; None if there is none."""
    within = [name for name in outcomes if verdict(outcomes[name])[0] >= -MARGIN / 2 and share(outcomes[name]) > 0]
    return max(within, key=lambda name: share(outcomes[name]), default=None)


def answer(development, confirmation):
    """Whether the rule that is chosen on one half of the set-ups holds up on the other, in words."""
    name = choose(development)
    if name is None:
        return [
            f"No rule that saves anything loses at most {MARGIN / 2} points, in the mean, in the development set-ups."
        ]
    (mean, half, _), (there, width, said) = verdict(development[name]), verdict(confirmation[name])
    held = {"yes": "show that it holds up", "no": "show that it does not", "open": "do not decide whether it holds up"}[
        said
    ]
    return [
        f"Of the rules whose mean loss in the development set-ups is at most "
        f"{MARGIN / 2} points, the one that saves most there was chosen: **{name}**",
        f"({mean:+.2f} ± {half:.2f} points at {100 * share(development[name]):.0f}% saved). The confirmation set-ups {held}: "
        f"{there:+.2f} ± {width:.2f} points at",
        f"{100 * share(confirmation[name]):.0f}% saved, against the margin of {MARGIN}.",
        "",
        *kept_in_both(development, confirmation),
    ]


def kept_in_both(development, confirmation):
    """What is within the margin by both intervals, whatever was chosen; found by looking at all of them."""
    both = [name for name in development if verdict(development[name])[2] == verdict(confirmation[name])[2] == "yes"]
    both.sort(key=lambda name: -share(confirmation[name]))
    found = [f"{name} ({100 * share(confirmation[name]):.0f}% saved in the confirmation set-ups)" for name in both]
    return [
        "These rules stay within the margin with their whole interval in both halves. They were found by looking at every "
        f"rule, so this is a hint, not a confirmation: {', '.join(found) or 'none'}."
    ]


def rule_table(outcomes):
    head = [
        "| rule | switches at | saved | points against full | within 0.2 |",
        "|---|---|---|---|---|",
    ]
    return [*head, *(row(name, found) for name, found in outcomes.items())]


def judge(folder, epochs, page):
    """Write the page from the runs."""
    runs = load(Path(folder))
    outcomes = {role: outcomes_of_rules(runs, role, epochs) for role in ("development", "confirmation")}
    lines = [
        "# Is there a rule that is late enough?",
        "",
        "Does any rule switch late enough to keep the accuracy of the full recipe, and still save samples? ResNet-8,",
        f"{epochs} epochs, k from 3 to 1 at the switch, no pruning, no annealing. Differences are in points of test accuracy against",
        "the full recipe, paired by seed, with a 95% t-interval. *Saved* is the share of the full recipe's samples that are not drawn.",
        "",
        *answer(**outcomes),
        "",
        "In the oracle's grid ([Try every switch epoch](oracle.md); one set-up, with pruning after the switch) even a switch at 0.8 of the",
        "run loses more than 0.2 points, by its whole interval. The callback only observes unless you give it a rule or a recipe;",
        "`Slope.published()` is the published rule.",
        "",
        "## What a switch at a fixed part of the run keeps",
        "",
        *sweep_table(runs),
        "",
        "## Where each rule switches, and what that keeps",
        "",
        "The rules are asked about the signals that the full runs recorded. The accuracy is interpolated between the switch epochs that",
        "were trained; before the first of them it is that of the first, which flatters early rules. The interval is over seeds and",
        f"set-ups together. Within {MARGIN}: yes if the whole interval is above -{MARGIN}, no if it is below, otherwise open.",
        "",
        "`python benchmarks/late_enough.py judge` writes this page from the runs in `results/late_enough`; do not edit it.",
    ]
    for role, found in outcomes.items():
        lines += ["", f"### {role.capitalize()} set-ups", "", *rule_table(found)]
    page.write_text("\n".join(lines) + "\n")
