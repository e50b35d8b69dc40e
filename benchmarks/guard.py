"""What a guard saves where a recipe destroys, and how often it fires where none does.

    python benchmarks/guard.py develop --data DIR    seeds 100 to 102; prints the table from which the guard is chosen
    python benchmarks/guard.py run --data DIR        seeds 0 to 4, with the guard that was chosen; finished runs are kept
    python benchmarks/guard.py judge                 writes docs/guard.md from the records

Written before the first of these runs. CIFAR-100 (2,000 training images of 16 pixels, DIR/cifar100.npz), ResNet-8, k = 3,
20 epochs, SGD with a cosine. The rule and the guard see validation accuracy and weights; accuracy is that on test data.

Destructive, from the epoch of the published rule, `Slope.published()`, each with and without the guard:

- "1% of the samples": one view of 1% of the samples, no annealing.
- "no augmentation": k stays 3, the three views of an image are the image itself.

The guard saves something if the test accuracy with it less that without it, paired by seed, is above 0 with its whole
95% t-interval over five seeds.

Where the guard would not have fired before the last epoch, the run with it is the run without it and is not trained again.

Harmless, no guard in the run; the recorded validation accuracies are asked afterwards whether it would have fired, which
is the same, as a guard does nothing until it fires:

- CIFAR-100: a switch at 0.8 to 70% of the samples with annealing, at 0.8 to all samples, and at 0.65 to all samples
  (one view each).
- The same recipes, and a patient plateau, in the five set-ups of safe_default.py (records of that study).
- "nothing changed": the project's own run, asked as if it had switched where the published rule fires. What fires
  there is noise of the metric.

The guard is chosen on seeds 100 to 102 of CIFAR-100 and of the two development set-ups of late_enough.py: of
`max_drop` in 0.01, 0.02, 0.05, 0.1, 0.2 and `patience` in 1, 2, 3 the pair that never fires in a harmless run of those
(where nothing changed included) and fires earliest, on average, in the destructive ones; one that never fires counts as
the last epoch. Equal ones: the larger patience, then the larger drop. If no pair is without a false alarm, those with
fewest are compared.
"""

import argparse
import itertools
import json
import statistics
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from branches import Project, branch, trunk
from late_enough import COSINE, EPOCHS, SETUPS, SGD_01
from late_enough_judge import fires
from safe_default import ALL_SAMPLES, FOR_THE_GUARD, GENTLE, LATE, project, record
from torch.utils.data import TensorDataset

from lightning_critperiod import Guard, Phased, Recipe, Slope, Volume
from lightning_critperiod.datamodules import CIFAR100
from lightning_critperiod.rules.dropped import Dropped

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "guard"
GUARD = Guard("val_acc", max_drop=0.02, mode="max", patience=3)  # chosen by `develop`, before `run`
DROPS, PATIENCES = (0.01, 0.02, 0.05, 0.1, 0.2), (1, 2, 3)

DESTRUCTIVE = {
    "1% of the samples": Recipe(after=Volume(pruning_ratio=0.99), annealing_fraction=0),
    "no augmentation": Recipe(
        after=Volume(3), annealing_fraction=0, changes=[Phased("datamodule.augments", after=False)]
    ),
}
HARMLESS = {
    "0.8, Recipe()": (LATE, GENTLE),
    "0.8, all samples": (LATE, ALL_SAMPLES),
    "0.65, all samples": FOR_THE_GUARD["0.65, all samples"][1:3],
}
DEVELOPMENT = [setup for setup, (role, *_) in SETUPS.items() if role == "development"]


class Part(CIFAR100):
    """A part of CIFAR-100 from one file: x_train, y_train, x_test, y_test; images are uint8 [n, 32, 32, 3]."""

    augments = True

    def prepare_data(self):
        pass

    def load(self, train):
        arrays, name = np.load(Path(self.data_dir) / "cifar100.npz"), "train" if train else "test"
        images = torch.from_numpy(arrays[f"x_{name}"]).permute(0, 3, 1, 2).contiguous()
        labels = torch.from_numpy(arrays[f"y_{name}"]).long()
        return TensorDataset(images, labels), labels

    def _augmentation(self):
        return super()._augmentation() if self.augments else None


def cifar100(root):
    data = partial(Part, root, 64, 3, image_size=16, train_samples=2000, num_workers=0)
    return Project(data, 3, 100, SGD_01, COSINE, EPOCHS)


def published(plain):
    """Where the published rule fires."""
    return fires(Slope.published(), plain["layer_rotation"], EPOCHS)


def runs_of(made, setup, seed, destructive, guard=None):
    """The project's own run, the harmless recipes, and the destructive ones without and with a guard."""
    with tempfile.TemporaryDirectory() as folder:
        plain = trunk(made, seed, folder, guard)
        found = {"setup": setup, "k": 3, "seed": seed, "plain": plain, "end_epoch": published(plain), "arms": {}}
        for name, (rule, recipe) in HARMLESS.items():
            found["arms"][name] = branch(made, seed, folder, rule.epoch, recipe)
        for name, recipe in destructive.items():
            found["arms"][name] = arm = branch(made, seed, folder, found["end_epoch"], recipe)
            if guard is not None:
                same = fired_at(guard, plain, arm) in {None, EPOCHS}  # no epoch is left to change: the run as it is
                again = arm if same else branch(made, seed, folder, found["end_epoch"], recipe, guard)
                found["arms"][f"{name}, guard"] = {**again, "trained": not same}
    return found


def fired_at(guard, plain, arm):
    """Number of epochs that are over when the guard fires in a run that was recorded without it; None if it never does."""
    end_epoch, rule = arm["end_epoch"], Dropped(guard.max_drop, guard.mode, guard.patience)
    values = [*plain["val_acc"][:end_epoch], *arm["val_acc"]]
    histories = (dict(enumerate(values[:n])) for n in range(end_epoch + 1, len(values) + 1))
    return next((len(history) for history in histories if rule.fired(history, end_epoch)), None)


def harmless_of(records):
    """Set-up, name, own run and arm of every harmless run that switched, and of the runs in which nothing changed."""
    for r in records:
        end = r["end_epoch"] if "end_epoch" in r else published(r["plain"])
        untouched = {"end_epoch": end, "val_acc": r["plain"]["val_acc"][end:]}
        for name, arm in {"nothing changed": untouched, **r["arms"]}.items():
            known = name in {"nothing changed", "plateau, Recipe()", *HARMLESS}
            if known and arm["end_epoch"] is not None:
                yield f"{r['setup']}, k = {r['k']}", name, r["plain"], arm


def develop(root):
    folder = RESULTS / "development"
    for seed in (100, 101, 102):
        made = {"CIFAR-100": cifar100(root), **{setup: project(setup, 3, root) for setup in DEVELOPMENT}}
        for setup, each in made.items():
            destructive = DESTRUCTIVE if setup == "CIFAR-100" else {}
            path = folder / f"{setup} seed {seed}.json".replace(", ", "_").replace(" ", "_")
            record(path, partial(runs_of, each, setup, seed, destructive))
    print(choice_table(read(folder)))


def choices(records):
    """(false alarms, harmless runs, mean epoch in destructive runs, patience, drop) of every guard, the best first."""
    bad = [(r["plain"], r["arms"][name]) for r in records for name in DESTRUCTIVE if name in r["arms"]]
    good, found = [run[2:] for run in harmless_of(records)], []
    for drop, patience in itertools.product(DROPS, PATIENCES):
        guard = Guard("val_acc", drop, "max", patience)
        alarms = sum(fired_at(guard, *run) is not None for run in good)
        epoch = statistics.mean(fired_at(guard, *run) or EPOCHS for run in bad)
        found.append((alarms, len(good), epoch, patience, drop))
    return sorted(found, key=lambda one: (one[0], one[2], -one[3], -one[4]))


def choice_table(records):
    head = "| max_drop | patience | false alarms | fires at, harmful |\n|---|---|---|---|\n"
    lines = (f"| {d:g} | {p} | {a} of {n} | {e:.1f} |" for a, n, e, p, d in choices(records))
    return head + "\n".join(lines)


def read(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def run(root):
    for seed in range(5):
        make = partial(runs_of, cifar100(root), "CIFAR-100", seed, DESTRUCTIVE, GUARD)
        record(RESULTS / f"CIFAR-100_seed_{seed}.json", make)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("develop", "run", "judge"))
    parser.add_argument("--data", type=Path, help="folder with cifar100.npz, and fashion/, a torchvision root")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "judge":
        from guard_judge import judge

        judge(RESULTS, ROOT / "results" / "safe_default", ROOT / "docs" / "guard.md")
    else:
        {"develop": develop, "run": run}[args.what](args.data)


if __name__ == "__main__":
    main()
