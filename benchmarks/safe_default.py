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

Changed while the first seed was running, before any of its results was looked at: the runs take longer than planned. New
runs are made at k = 1 first, where there are none; each k has its own number of seeds. At k = 3 the page also shows what
the same rules lose in the ten seeds of late_enough.py, which decides nothing here.

"0.65, all samples" (k = 3, first five seeds, no annealing) is no candidate: benchmarks/guard.py asks it for false alarms.
"""

import argparse
import json
import os
import tempfile
from functools import partial
from pathlib import Path

import torch
from branches import Project, branch, fit, saved, trunk
from late_enough import EPOCHS, SETUPS
from late_enough_judge import fires

from lightning_critperiod import AtEpoch, Plateau, Recipe, Slope, Volume

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "safe_default"
FIRST_SEED = 10

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


def run(root, seeds, multipliers, results=RESULTS):
    for seed in seeds:
        for multiplier in multipliers:
            for setup in SETUPS:
                arms = arms_of(multiplier, seed)
                path = results / f"{name_of(setup, multiplier, seed)}.json"
                record(path, partial(runs_of, setup, multiplier, seed, arms, root))


def same(root, seeds, multipliers, results=RESULTS):
    """The weights after a run without any line; those with the default are in the records of `run`."""
    for seed in seeds:
        for multiplier in multipliers:
            for setup in SETUPS:
                path = results / "same" / f"{name_of(setup, multiplier, seed)}.json"
                record(path, partial(_without, setup, multiplier, seed, root))


def _without(setup, multiplier, seed, root):
    found = fit(project(setup, multiplier, root), seed, [])
    return {"setup": setup, "k": multiplier, "seed": seed, "test_acc": found["test_acc"], "weights": found["weights"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "same", "judge"))
    parser.add_argument("--data", type=Path, help="folder with cifar/ and fashion/, torchvision roots")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--k", type=int, nargs="+", choices=(1, 3), default=(1, 3))
    args = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + args.seeds)
    if args.what == "judge":
        from safe_default_judge import judge

        judge(RESULTS, ROOT / "results" / "late_enough", ROOT / "docs" / "default.md")
    else:
        {"run": run, "same": same}[args.what](args.data, seeds, args.k)


if __name__ == "__main__":
    main()
