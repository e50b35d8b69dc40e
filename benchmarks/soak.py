"""Random combinations of settings, volumes and resume points against a plain computation of what must be drawn.

python benchmarks/soak.py --runs 200     all of them, from seed 0
python benchmarks/soak.py --only 17      one of them again, with what was expected and what was seen

Every combination is trained twice: at one stroke, and interrupted at a random moment and resumed under another global
seed. Checked are the numbers of all samples in their order, the planned optimizer steps, the learning rate at every
epoch end, the validations, the volumes, the decision, and that the resumed weights are the uninterrupted ones, bit for
bit. What is expected is computed by ``soak_expected.py``, which does not use the code that is judged.
"""

import argparse
import logging
import math
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from soak_expected import expected_epoch, expected_rates, expected_validations, samplers, schedule, volumes
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
)

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Never, Recipe, Slope, Volume


class Numbered(Dataset):
    def __init__(self, n):
        self.features = torch.randn(n, 4, generator=torch.Generator().manual_seed(n))

    def __len__(self):
        return len(self.features)

    def __getitem__(self, number):
        return number, self.features[number]


class Batches(BatchSampler):
    """A batch sampler of the user's own class."""


class Data(L.LightningDataModule):
    def __init__(self, case):
        super().__init__()
        self.case = case
        if case["declares"]:
            self.augmentation_multiplier, self.pruning_ratio = case["during"]

    def train_dataloader(self):
        case, data = self.case, Numbered(self.case["n"])
        workers = {"num_workers": case["workers"], "persistent_workers": case["workers"] > 0}
        sampler = samplers(case)
        if case["by_batch"]:
            batches = Batches(sampler, case["batch_size"], case["drop_last"])
            return DataLoader(data, batch_sampler=batches, **workers)
        return DataLoader(data, case["batch_size"], sampler=sampler, drop_last=case["drop_last"], **workers)

    def val_dataloader(self):
        return DataLoader(Numbered(4), batch_size=4)


class Model(L.LightningModule):
    def __init__(self, case):
        super().__init__()
        self.case, self.net = case, nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
        self.steps, self.rates, self.validations, self.planned = [], {}, [], None

    def training_step(self, batch, batch_idx):
        self.steps.append((self.current_epoch, batch_idx, batch[0].tolist()))
        return self.net(batch[1]).square().mean()

    def on_train_batch_end(self, *_):
        self.rates[self.current_epoch] = self.optimizers().param_groups[0]["lr"]

    def validation_step(self, batch, batch_idx):
        if not self.trainer.sanity_checking:
            self.validations.append((self.current_epoch, self.trainer.fit_loop.batch_idx + 1))

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)
        self.planned = self.trainer.estimated_stepping_batches
        config = {"interval": "step", "frequency": self.case["frequency"]}
        return [optimizer], [{"scheduler": schedule(self.case, optimizer, self.planned), **config}]


class SavesOnce(Checkpoint):
    def __init__(self, folder, point):
        self.path, self.point = Path(folder) / "point.ckpt", point

    def save(self, trainer, *here):
        if here == self.point:
            trainer.save_checkpoint(self.path)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.save(trainer, "batch", trainer.current_epoch, batch_idx + 1)

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.save(trainer, "validation", trainer.current_epoch, trainer.fit_loop.batch_idx + 1)

    def on_train_epoch_end(self, trainer, pl_module):
        self.save(trainer, "epoch", trainer.current_epoch, 0)


def draw_case(rng):
    """Settings at random; everything that Lightning allows together."""
    plain = rng.random() < 0.3
    epochs = rng.randint(2, 7)
    case = {
        "n": rng.randint(3, 60),
        "batch_size": rng.randint(1, 7),
        "drop_last": rng.random() < 0.3,
        "sampler": rng.choice(["sequential", "random", "weighted"]),
        "by_batch": rng.random() < 0.2,
        "workers": int(rng.random() < 0.1),
        "during": (1, 0) if plain else (rng.choice([2, 3, round(rng.uniform(0.3, 4), 2)]), rng.choice([0, 0, 0.2])),
        "after": (rng.choice([1, 1, 2, round(rng.uniform(0.2, 3), 2)]), rng.choice([0, 0.3, 0.5, 0.9])),
        "annealing": rng.choice([0, 0.125, 0.25, 0.5, 1, round(rng.random(), 2)]),
        "declares": rng.random() < 0.5,
        "epochs": epochs,
        "rule": rng.choice([
            *(AtEpoch(e) for e in range(epochs)),
            Never(),
            Slope(window=2, max_angle=80, after_rise=False),
        ]),
        "accumulate": rng.choice([1, 1, 2, 3]),
        "frequency": rng.choice([1, 1, 2, 3, 5]),
        "schedule": rng.choice(["one cycle", "cosine"]),
        "check": rng.choice([1, 1, 1, 2]),
        "every": rng.choice([1.0, 1.0, 0.5, 0.3, 1, 3]),
        "limit": rng.choice([1.0, 1.0, 1.0, 0.5, 4]),
        "reload": 0,
        "seed": rng.randint(0, 10**6),
    }
    if isinstance(case["every"], float) and case["limit"] == 1.0:
        case["reload"] = rng.choice([0, 0, 0, 1, 2])
    return case


def fit(case, folder, ckpt=None, saves=None, seed=None):
    """One training; what was seen of it."""
    torch.manual_seed(0)
    model = Model(case)
    torch.manual_seed(case["seed"] if seed is None else seed)
    recipe = Recipe(None if case["declares"] else Volume(*case["during"]), Volume(*case["after"]), case["annealing"])
    callback = CriticalPeriodCallback(rule=case["rule"], recipe=recipe)
    trainer = L.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=case["epochs"],
        accumulate_grad_batches=case["accumulate"],
        check_val_every_n_epoch=case["check"],
        val_check_interval=case["every"],
        limit_train_batches=case["limit"],
        reload_dataloaders_every_n_epochs=case["reload"],
        callbacks=[callback, *([saves] if saves else [])],
        enable_checkpointing=saves is not None,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(model, Data(case), ckpt_path=ckpt, weights_only=True if ckpt else None)
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    return model, callback, weights


def differences(case, rng, folder):
    """Train, interrupt, resume; what was not as computed, in words."""
    full = len(expected_epoch({**case, "limit": 1.0}, 0, case["during"], ours=True))
    if isinstance(case["limit"], float) and int(full * case["limit"]) == 0:
        case["limit"] = 1.0  # Lightning refuses a part of the full recipe that is no batch
    lengths = [len(expected_epoch(case, 0, case[v], ours=True)) for v in ("during", "after")]
    if isinstance(case["every"], int):
        case["every"] = max(1, min(case["every"], lengths[0]))  # Lightning refuses a longer one
    if 0 in lengths:
        try:
            fit(case, folder)
        except ValueError as error:
            return [] if "leaves no batch" in str(error) else [f"refused with: {error}"]
        return ["an epoch without a batch was not refused"]
    point = rng.randint(0, 10**6)
    whole, callback, weights = fit(case, folder)
    drawn, ours = volumes(case, callback.end_epoch)
    found = compare(case, whole, callback, drawn, ours, first=(-1, 0))
    counted = [len(expected_epoch(case, e, drawn[e], ours[e])) for e in range(case["epochs"])]
    point, first, exact = choose_point(case, random.Random(point), counted, ours)
    saves = SavesOnce(folder, point)
    fit(case, folder, saves=saves)
    if not saves.path.exists():
        return [*found, f"nothing to save at {point}"]
    resumed, again, resumed_weights = fit(case, folder, ckpt=saves.path, seed=case["seed"] + 1)
    found += [f"resumed from {point}: {text}" for text in compare(case, resumed, again, drawn, ours, first)]
    facts = [(c.history, c.end_epoch, c.volumes) for c in (again, callback)]
    if exact and facts[0] != facts[1]:
        found.append(f"resumed from {point}: another history")
    if exact and not torch.equal(resumed_weights, weights):
        found.append(f"resumed from {point}: other weights")
    return found


def choose_point(case, rng, counted, ours):
    """A moment to resume from (hook, epoch, batches done), the first step after it, and whether all is ours then.

    Gradients that are being accumulated are not in a checkpoint, so a moment between two optimizer steps is taken.
    """
    epoch, accumulate = rng.randrange(case["epochs"] - 1), case["accumulate"]
    last = counted[epoch]
    done = rng.choice([*(b for b in range(1, last + 1) if b % accumulate == 0 or b == last), last, last])
    validations = [v for v in expected_validations(case, counted) if v == (epoch, done)]
    hook = rng.choice(["batch", "epoch", *(["validation"] if validations else [])])
    shuffled = case["sampler"] != "sequential"
    if hook == "epoch" or done == counted[epoch]:
        exact = ours[epoch + 1] or not shuffled
        point = ("epoch", epoch, 0) if hook == "epoch" else (hook, epoch, done)
        return point, (epoch + 1, 0), exact
    return (hook, epoch, done), (epoch, done), ours[epoch]


def compare(case, model, callback, drawn, ours, first):
    """What a session that began at step ``first`` = (epoch, batch) did, against what it should have done."""
    epochs = range(max(first[0], 0), case["epochs"])
    batches = {e: expected_epoch(case, e, drawn[e], ours[e]) for e in range(case["epochs"])}
    seen = {e: [numbers for epoch, _, numbers in model.steps if epoch == e] for e in epochs}
    found = []
    for e in epochs:
        skip = first[1] if e == first[0] else 0
        known = ours[e] or (case["sampler"] == "sequential" and not skip)
        if known and seen[e] != batches[e][skip:]:
            found.append(f"epoch {e} drew {seen[e]} and not {batches[e][skip:]}")
        if [len(b) for b in seen[e]] != [len(b) for b in batches[e][skip:]] and not (skip and not ours[e]):
            found.append(f"epoch {e} had batches of {[len(b) for b in seen[e]]}")
    rates, steps = expected_rates(case, len(expected_epoch(case, 0, case["during"], ours=True)))
    if model.planned != steps:
        found.append(f"{model.planned} steps were planned and not {steps}")
    near = {e: math.isclose(model.rates.get(e, -1), rates[e], rel_tol=1e-9, abs_tol=1e-12) for e in epochs}
    wrong = {e: (model.rates.get(e), rates[e]) for e in epochs if not near[e]}
    if wrong:
        found.append(f"LR at epoch ends {wrong}")
    if callback.volumes != {e: Volume(*v) for e, v in enumerate(drawn)}:
        found.append(f"volumes {callback.volumes} and not {drawn}")
    counted = [len(batches[e]) for e in range(case["epochs"])]
    validations = [v for v in expected_validations(case, counted) if v > first]
    if [v for v in model.validations if v > first] != validations:
        found.append(f"validations {model.validations} and not {validations}")
    return found


def soak(runs, only, seed):
    """Run them; the combinations that failed.

    Returns:
        (number, settings, what was wrong) of each.
    """
    failed = []
    for run in range(runs) if only is None else [only]:
        rng = random.Random(f"{seed} {run}")
        case = draw_case(rng)
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = differences(case, rng, folder)
            except Exception as error:
                found = [f"{type(error).__name__}: {error}"]
        if found:
            failed.append((run, case, found))
            print(f"{run}: {case}", *(f"   {text[:2000]}" for text in found), sep="\n", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--only", type=int, help="one combination by its number")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    start = time.perf_counter()
    failed = soak(arguments.runs, arguments.only, arguments.seed)
    runs = arguments.runs if arguments.only is None else 1
    print(f"{runs} combinations in {time.perf_counter() - start:.0f} s, {len(failed)} failed {[f[0] for f in failed]}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
