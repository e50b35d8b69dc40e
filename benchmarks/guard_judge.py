"""What the records of guard.py say: what the guard saved, and how often it fired where nothing was destroyed."""

import statistics
from collections import defaultdict

from guard import DESTRUCTIVE, GUARD, choice_table, fired_at, harmless_of, read
from late_enough_judge import interval
from safe_default_judge import cell, load, table


def points(records, name, against):
    """Test accuracy of one arm less that of another ("plain" is the project's own run), one a seed."""
    runs = [{"plain": r["plain"], **r["arms"]} for r in records]
    return [100 * (run[name]["test_acc"] - run[against]["test_acc"]) for run in runs]


def saved_row(records, name):
    guarded, parts = f"{name}, guard", [r["arms"] for r in records]
    fired = [arms[guarded]["back_epoch"] for arms in parts]
    said = ", ".join("never" if epoch is None else str(epoch) for epoch in fired)
    gained = points(records, guarded, name)
    mean, half = interval(gained)
    verdict = "yes" if mean - half > 0 else "no"
    switches = ", ".join(str(arms[name]["end_epoch"]) for arms in parts)
    against = [cell(points(records, arm, "plain")) for arm in (name, guarded)]
    return [name, switches, said, *against, cell(gained), verdict]


def fired(records):
    epochs = [r["arms"][f"{name}, guard"]["back_epoch"] for r in records for name in DESTRUCTIVE]
    return f"{sum(epoch is not None for epoch in epochs)} of {len(epochs)}"


def saved_table(records):
    head = ["recipe", "switched after", "guard fired after", "without", "with", "saved", "saved > 0"]
    return table(head, [saved_row(records, name) for name in DESTRUCTIVE])


def alarms(records):
    """(set-up, recipe) -> whether the guard would have fired, one a run."""
    found = defaultdict(list)
    for setup, name, plain, arm in harmless_of(records):
        found[setup, name].append(fired_at(GUARD, plain, arm) is not None)
    return found


def alarm_table(found):
    names = sorted({name for _, name in found}, key=lambda name: (name == "nothing changed", name))
    rows = []
    for setup in dict.fromkeys(setup for setup, _ in found):
        each = [found.get((setup, name)) for name in names]
        rows.append([setup, *("" if runs is None else f"{sum(runs)} of {len(runs)}" for runs in each)])
    return table(["set-up", *names], rows)


def total(found, changed):
    runs = [fired for (_, name), each in found.items() if (name != "nothing changed") == changed for fired in each]
    return f"{sum(runs)} of {len(runs)}"


def page(results, others):
    records, everything = read(results), read(results) + load(others)[0]
    found = alarms(everything)
    plain = statistics.mean(100 * r["plain"]["test_acc"] for r in records)
    return (
        "\n\n".join([
            "# Does a guard help?",
            "A [guard](changes.md) undoes the changes of a run when a metric drops after the switch. "
            "This page asks what that saves when a recipe is harmful, and how often a guard fires when nothing is wrong.",
            f"**A guard rarely fires for nothing, but it saves little:** it fired in {fired(records)} runs with a harmful recipe, and in "
            f"{total(found, True)} runs with a harmless one. It can only see a drop. Most of what the harmful recipes cost is progress "
            "that never happens: accuracy stays where it was, or falls slowly, while that of the unchanged run keeps rising.",
            f"The guard is `{GUARD}`. It was chosen on other seeds ([below](#how-the-guard-was-chosen)). The recipes, the guard "
            "and the claim were written down before the runs.",
            "## What it saves",
            f"CIFAR-100, 2,000 images of 16 pixels, ResNet-8, k = 3, 20 epochs, {len(records)} of 5 seeds. The unchanged run has "
            f"{plain:.2f}% test accuracy. Differences are in points of test accuracy, paired by seed, with 95% t-intervals. *Without* "
            "and *with* are the recipe without and with the guard, against the unchanged run. The last column says whether "
            "the whole interval of *saved* is above 0.",
            saved_table(records),
            "## False alarms",
            f"With a harmless recipe the guard fired in {total(found, True)} runs. In runs without any change, asked as if they had "
            f"switched where the published rule fires, it fired in {total(found, False)}.",
            alarm_table(found),
            "## Other settings of the guard",
            "The same runs, asked about every pair of `max_drop` and `patience`; nothing was chosen here. A guard that is fast enough to "
            "catch a harmful recipe also fires when nothing is wrong: after an early switch the learning rate is still high, and the "
            "metric falls by itself. *Fires at, harmful* is the mean epoch at which the guard fires in the runs with a harmful recipe; a "
            "run in which it never fires counts as 20.",
            choice_table(everything),
            "## How the guard was chosen",
            "On seeds 100 to 102: of the pairs without a false alarm, the one that fires earliest in the runs with a harmful "
            "recipe. A run in which it never fires counts as 20. A tie goes to the larger patience, then to the larger drop.",
            choice_table(read(results / "development")),
            "## How to reproduce it",
            "`python benchmarks/guard.py judge` writes this page from `results/guard` and `results/safe_default`; do not edit it. The "
            "top of that script has the recipes and the claim, and the commands that train.",
        ])
        + "\n"
    )


def judge(results, others, output):
    output.write_text(page(results, others))
