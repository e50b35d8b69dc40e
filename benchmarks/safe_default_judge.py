"""What the records of safe_default.py say, by the rule that stands at the head of that file."""

import json
import statistics

from late_enough import EPOCHS, SETUPS
from late_enough_judge import interval
from safe_default import CANDIDATES

MARGIN = 0.2  # points of test accuracy
SEEDS = 10


def load(results):
    """The records of the seeds for which every set-up at both k is there, and the numbers of these seeds."""
    records = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    seeds = sorted({r["seed"] for r in records})
    whole = [seed for seed in seeds if sum(r["seed"] == seed for r in records) == 2 * len(SETUPS)]
    return [r for r in records if r["seed"] in whole], whole


def losses(records, candidate, multiplier):
    """Set-up -> points with the line less points without it, one a seed."""
    found = {setup: [] for setup in SETUPS}
    for r in records:
        if r["k"] == multiplier and candidate in r["arms"]:
            found[r["setup"]].append(100 * (r["arms"][candidate]["test_acc"] - r["plain"]["test_acc"]))
    return found


def verdict(found):
    """By the rule that stands at the head of this file: "holds", "out" or "open"."""
    mean, half = interval([loss for values in found.values() for loss in values])
    highest = min(sum(interval(values)) for values in found.values())
    if mean + half < -MARGIN or highest < -MARGIN:
        return "out"
    return "holds" if mean - half > -MARGIN else "open"


def cell(values):
    mean, half = interval(values)
    return f"{mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}]"


def row(records, candidate, multiplier):
    found = losses(records, candidate, multiplier)
    arms = [r["arms"][candidate] for r in records if r["k"] == multiplier and candidate in r["arms"]]
    ends = [EPOCHS if arm["end_epoch"] is None else arm["end_epoch"] for arm in arms]
    part, share = statistics.mean(ends) / EPOCHS, statistics.mean(arm["saved"] for arm in arms)
    everything = [loss for values in found.values() for loss in values]
    cells = [candidate, multiplier, len(arms), f"{part:.2f}", f"{share:.1%}", cell(everything)]
    return [*cells, *(cell(values) for values in found.values()), verdict(found)]


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def plain_table(records):
    rows = []
    for setup in SETUPS:
        values = [[100 * r["plain"]["test_acc"] for r in records if (r["setup"], r["k"]) == (setup, k)] for k in (1, 3)]
        rows.append([setup, *(f"{statistics.mean(v):.2f}" for v in values)])
    return table(["set-up", "k = 1, %", "k = 3, %"], rows)


def answer(verdicts, seeds):
    """What follows for the default, by the rule at the head of this file."""
    held = [name for name in CANDIDATES if all(verdicts[name, k] == "holds" for k in (1, 3))]
    said = f"At both k {', '.join(held)} held." if held else "No candidate held at both k: the default observes."
    short = (
        f" Only {seeds} of {SEEDS} seeds are there, so nothing follows for the default: it observes."
        if seeds < SEEDS
        else ""
    )
    return said + short


def same_words(records, results):
    runs = [json.loads(path.read_text()) for path in sorted((results / "same").glob("*.json"))]
    with_it = {(r["setup"], r["k"], r["seed"]): r["plain"]["weights"] for r in records}
    equal = sum(with_it.get((run["setup"], run["k"], run["seed"])) == run["weights"] for run in runs)
    return (
        f"In {equal} of {len(runs)} pairs of runs (five set-ups, both k) the weights with `CriticalPeriodCallback()` are "
        "bit by bit those without it: its loss is 0, and it saves nothing."
    )


def page(results):
    records, seeds = load(results)
    rows = [row(records, candidate, k) for candidate in CANDIDATES for k in (1, 3)]
    verdicts = {(line[0], line[1]): line[-1] for line in rows}
    head = ["line", "k", "runs", "switch, part of the run", "samples saved", "points, all", *SETUPS, f"within {MARGIN}"]
    return (
        "\n\n".join([
            "# What one line costs",
            "Made by `python benchmarks/safe_default.py judge` from the records in `results/safe_default`; do not edit.\n"
            "Claim, margin and candidates were written down before the runs, at the head of that file.",
            f"ResNet-8, {EPOCHS} epochs, {len(seeds)} seeds. Test accuracy in points with the line less without it, paired by "
            "set-up and seed, 95% t-interval.",
            f"**{answer(verdicts, len(seeds))}**",
            same_words(records, results),
            table(head, rows),
            f"Holds: the mean over set-ups and seeds is above -{MARGIN} with its whole interval, and no set-up is below it with "
            "its whole interval.\nOut: the mean or a set-up is below it with the whole interval. Recipe() is one view of 70% of "
            "the samples after the switch, the\nlast eighth of the rest with the project's own volume.",
            "## Without the line",
            plain_table(records),
        ])
        + "\n"
    )


def judge(results, output):
    output.write_text(page(results))
