"""Can a default act? What one line costs that is added to a project with one view (k = 1) or three (k = 3).

    python benchmarks/safe_default.py run --data DIR --seeds 10    trains; finished runs are kept, seed by seed
    python benchmarks/safe_default.py same --data DIR --seeds 3    is the default that observes the same as no line?
    python benchmarks/safe_default.py judge                        writes docs/default.md from the records

Written before the first of these runs. The five set-ups of late_enough.py (ResNet-8, 20 epochs), each as a project with
k = 1 and as one with k = 3. Seeds from 10 up: the rules were looked at on seeds 0 to 9.

A candidate is one line, the same for every project:

- "published, Recipe()": the default as it once was. `Slope.published()` on layer rotation, then one view of 70% of the
  samples, the last eighth of the rest with the project's own volume. Only the first three seeds: at k = 3 earlier
  studies refute it already (results/fashion, results/cifar10, results/late_enough).
- "plateau, Recipe()": `Plateau(patience=5)` on the validation accuracy, the same recipe.
- "0.8, Recipe()": a switch at 0.8 of the run, the same recipe.
- "0.8, all samples": a switch at 0.8 of the run to one view of all samples, the last eighth as above. At k = 1 this
  changes the random order of the samples and nothing else.

The loss is the test accuracy with the line less that without it, in points, paired by set-up and seed: both runs are
one run up to the switch. A candidate holds at a k if its mean over set-ups and seeds is above -0.2 points with its whole
95% t-interval, and no set-up alone is below -0.2 with its whole interval. It is out if the mean is below -0.2 with its
whole interval, or a set-up is. Else it is open. A set-up alone cannot show more than that: an image of the digits' test
set is 0.28 points. Four candidates are asked at 95% each, without correction.

What follows: a candidate that holds at both k, and saves samples at one of them at least, may become the default. If
none does, or fewer than ten seeds are there, the default goes on observing. Two of the rules could not be a default as
they stand: a plateau needs the name of a metric, and 0.8 of a run needs its length.

"0.65, all samples" (k = 3, first five seeds, no annealing) is no candidate: benchmarks/guard.py asks it for false alarms.
"""

import argparse
import json
import os
import statistics
import tempfile
from functools import partial
from pathlib import Path

import torch
from branches import Project, branch, fit, saved, trunk
from late_enough import EPOCHS, SETUPS
from late_enough_judge import fires, interval

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Plateau, Recipe, Slope, Volume

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "safe_default"
FIRST_SEED = 10
MARGIN = 0.2

GENTLE = Recipe()
ALL_SAMPLES = Recipe(after=Volume())
LATE = AtEpoch(round(0.8 * EPOCHS))
# name -> (signal, rule, recipe, number of seeds)
CANDIDATES = {
    "published, Recipe()": ("layer_rotation", Slope.published(), GENTLE, 3),
    "plateau, Recipe()": ("val_acc", Plateau(patience=5, mode="max"), GENTLE, 10),
    "0.8, Recipe()": ("val_acc", LATE, GENTLE, 10),
    "0.8, all samples": ("val_acc", LATE, ALL_SAMPLES, 10),
}
FOR_THE_GUARD = {
    "0.65, all samples": ("val_acc", AtEpoch(round(0.65 * EPOCHS)), Recipe(after=Volume(), annealing_fraction=0), 5),
}


def project(setup, multiplier, root):
    _, data, channels, optimizer, schedule = SETUPS[setup]
    return Project(partial(_declares, data, root, multiplier), channels, 10, optimizer, schedule, EPOCHS)


def _declares(data, root, multiplier):
    datamodule = data(root)
    datamodule.augmentation_multiplier = multiplier
    return datamodule


def arms_of(multiplier, seed, first=FIRST_SEED):
    """The arms that are trained at a k with a seed."""
    arms = {**CANDIDATES, **(FOR_THE_GUARD if multiplier > 1 else {})}
    return {name: arm for name, arm in arms.items() if seed < first + arm[3]}


def runs_of(setup, multiplier, seed, arms, root):
    """The project's own run, and what it is with each arm: the same run where the rule does not fire."""
    made = project(setup, multiplier, root)
    with tempfile.TemporaryDirectory() as folder:
        plain, found, trained = trunk(made, seed, folder), {}, {}
        for name, (signal, rule, recipe, _) in arms.items():
            end_epoch = fires(rule, plain[signal], EPOCHS)
            if end_epoch == EPOCHS:
                found[name] = {key: plain[key] for key in ("test_acc", "weights")} | {"end_epoch": None, "val_acc": []}
                continue
            key = (end_epoch, recipe)
            trained[key] = trained.get(key) or branch(made, seed, folder, end_epoch, recipe)
            found[name] = trained[key]
        for name, arm in found.items():
            arm["saved"] = saved(arms[name][2], multiplier, arm["end_epoch"], EPOCHS)
    return {"setup": setup, "k": multiplier, "seed": seed, "plain": plain, "arms": found}


def record(path, make):
    """Write what ``make`` returns, unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".tmp").write_text(json.dumps(make()))
        os.replace(path.with_suffix(".tmp"), path)
        print(path.stem, flush=True)


def name_of(setup, multiplier, seed):
    return f"{setup} k {multiplier} seed {seed}".replace(", ", "_").replace(" ", "_")


def run(root, seeds, results=RESULTS):
    for seed in seeds:
        for multiplier in (1, 3):
            for setup in SETUPS:
                arms = arms_of(multiplier, seed)
                path = results / f"{name_of(setup, multiplier, seed)}.json"
                record(path, partial(runs_of, setup, multiplier, seed, arms, root))


def same(root, seeds, results=RESULTS):
    """The weights after a run without any line, and with the default."""
    for seed in seeds:
        for multiplier in (1, 3):
            for setup in SETUPS:
                path = results / "same" / f"{name_of(setup, multiplier, seed)}.json"
                record(path, partial(_both, project(setup, multiplier, root), seed))


def _both(made, seed):
    lines = {"without": [], "with": [CriticalPeriodCallback()]}
    found = {name: fit(made, seed, callbacks) for name, callbacks in lines.items()}
    return {name: {key: run[key] for key in ("test_acc", "weights")} for name, run in found.items()}


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
        f" Only {seeds} of ten seeds are there, so nothing follows for the default: it observes." if seeds < 10 else ""
    )
    return said + short


def same_words(results):
    runs = [json.loads(path.read_text()) for path in sorted((results / "same").glob("*.json"))]
    equal = sum(run["with"] == run["without"] for run in runs)
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
            same_words(results),
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "same", "judge"))
    parser.add_argument("--data", type=Path, help="folder with cifar/ and fashion/, torchvision roots")
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + args.seeds)
    if args.what == "judge":
        judge(RESULTS, ROOT / "docs" / "default.md")
    else:
        {"run": run, "same": same}[args.what](args.data, seeds)


if __name__ == "__main__":
    main()
