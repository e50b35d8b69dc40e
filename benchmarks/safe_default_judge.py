"""What the records of safe_default.py say, by the rule at the top of that file."""

import json
import statistics
from collections import Counter

from late_enough import EPOCHS, SETUPS
from late_enough_judge import fires, interpolated, interval
from late_enough_judge import load as late_runs
from safe_default import CANDIDATES

MARGIN = 0.2  # points of test accuracy
SEEDS = 10


def load(results):
    """The records of a k and a seed for which every set-up is there, and the numbers of these seeds for each k."""
    records = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    there = Counter((r["k"], r["seed"]) for r in records)
    whole = {k: sorted(seed for (of, seed), n in there.items() if of == k and n == len(SETUPS)) for k in (1, 3)}
    return [r for r in records if r["seed"] in whole[r["k"]]], whole


def losses(records, candidate, multiplier):
    """Set-up -> points with the line less points without it, one a seed."""
    found = {setup: [] for setup in SETUPS}
    for r in records:
        if r["k"] == multiplier and candidate in r["arms"]:
            found[r["setup"]].append(100 * (r["arms"][candidate]["test_acc"] - r["plain"]["test_acc"]))
    return found


def verdict(found):
    """By the rule at the top of safe_default.py: "holds", "out" or "open"."""
    mean, half = interval([loss for values in found.values() for loss in values])
    highest = min(sum(interval(values)) for values in found.values())
    if mean + half < -MARGIN or highest < -MARGIN:
        return "out"
    return "holds" if mean - half > -MARGIN else "open"


def cell(values):
    mean, half = interval(values)
    if len(values) < 2:
        return f"{mean:+.2f}"
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
        rows.append([setup, *(f"{statistics.mean(v):.2f}" if v else "" for v in values)])
    return table(["set-up", "k = 1, %", "k = 3, %"], rows)


def answer(verdicts, seeds):
    """What follows for the default, by the rule at the head of safe_default.py; ``seeds`` is k -> how many there are."""
    held = [name for name in CANDIDATES if all(verdicts.get((name, k)) == "holds" for k in (1, 3))]
    names = " and ".join(f"`{name}`" for name in held)
    said = f"These held at both k: {names}." if held else "No candidate held at both k: the default observes."
    few = [f"{n} at k = {k}" for k, n in seeds.items() if n < SEEDS]
    if not few:
        return said
    return f"{said} Of {SEEDS} seeds that were planned there are {' and '.join(few)}: that settles nothing for a candidate that is not out."


WHY = """The default still only observes. `plateau` needs the name of a metric and `0.8` the length of the run; a single line that
suits any project has neither. At k = 1 both save next to nothing. And observing loses nothing in any project, not only in the
mean of these. If you train with several views, this line acts, and it held:
`CriticalPeriodCallback(rule=AtEpoch(round(0.8 * max_epochs)), recipe=Recipe(after=Volume()))`."""
"""Decided after the runs, not measured by them."""


def same_words(records, results):
    runs = [json.loads(path.read_text()) for path in sorted((results / "same").glob("*.json"))]
    with_it = {(r["setup"], r["k"], r["seed"]): r["plain"]["weights"] for r in records}
    equal = sum(with_it.get((run["setup"], run["k"], run["seed"])) == run["weights"] for run in runs)
    return (
        f"In {equal} of {len(runs)} pairs of runs the weights with `CriticalPeriodCallback()` are "
        "bit by bit those without it: it loses nothing and saves nothing."
    )


def earlier_rows(folder):
    """The candidates' rules in the runs of late_enough.py, k = 3: what each loses by set-up, and its verdict."""
    runs, rows = late_runs(folder), []
    for signal, rule in {rule: (signal, rule) for signal, rule, *_ in CANDIDATES.values()}.values():
        found, parts = {}, []
        for setup in SETUPS:
            seeds = next(seeds.values() for (_, name), seeds in runs.items() if name == setup)
            ends = [fires(rule, run["curves"][signal], EPOCHS) / EPOCHS for run in seeds]
            kept = [run["kept"] for run in seeds]
            found[setup] = [interpolated(k, end) - k[1.0] for k, end in zip(kept, ends, strict=True)]
            parts += ends
        everything, part = [loss for values in found.values() for loss in values], statistics.mean(parts)
        name = next(name for name, candidate in CANDIDATES.items() if candidate[1] == rule).split(",")[0]
        cells = [name, len(everything), f"{part:.2f}", f"{(1 - part) * 2 / 3:.1%}", cell(everything)]
        rows.append([*cells, *(cell(values) for values in found.values()), verdict(found)])
    return rows


def page(results, earlier):
    records, seeds = load(results)
    rows = [row(records, candidate, k) for candidate in CANDIDATES for k in (1, 3) if seeds[k]]
    verdicts = {(line[0], line[1]): line[-1] for line in rows}
    head = ["line", "k", "runs", "switch at", "saved", "all set-ups", *SETUPS, f"within {MARGIN}"]
    return (
        "\n\n".join([
            "# Why the default only observes",
            "If you add one line to a project and it acts, how much accuracy does that cost? That decides what the default does. Claim, "
            "margin\nand candidates were written down before the runs, at the top of `benchmarks/safe_default.py`; its command `judge` "
            "writes this\npage from the records in `results/safe_default`, so do not edit it.",
            f"ResNet-8, {EPOCHS} epochs, {len(seeds[1])} of {SEEDS} seeds at k = 1, {len(seeds[3])} at k = 3. All "
            "differences are in points\nof test accuracy, paired by set-up and seed, with a 95% t-interval.",
            f"**{answer(verdicts, {k: len(found) for k, found in seeds.items()})}**",
            same_words(records, results),
            *([WHY] if "These held" in answer(verdicts, {}) else []),
            table(head, rows),
            f"Holds: the mean over set-ups and seeds is above -{MARGIN} with its whole interval, and no set-up is below it with "
            "its whole interval.\nOut: the mean or a set-up is below it with the whole interval. Recipe() is one view of 70% of "
            "the samples after the switch, with\nthe project's own volume in the last eighth of the remaining epochs. *Switch at* is a fraction of the run.",
            "## Without the line",
            plain_table(records),
            "## The same rules in earlier runs, k = 3",
            "The runs of [the study of late rules](late.md): ten other seeds, one view of all samples after the switch, no annealing. The rules "
            "were chosen\nafter a look at these runs, so this table confirms nothing. Between the epochs that were trained the "
            "accuracy is interpolated.",
            table([head[0], *head[2:]], earlier_rows(earlier)),
        ])
        + "\n"
    )


def judge(results, earlier, output):
    output.write_text(page(results, earlier))
