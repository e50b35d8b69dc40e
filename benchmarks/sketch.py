"""What a sketch of the initial weights costs: in the value of layer rotation, in Slope's decision, and in checkpoints.

    python benchmarks/sketch.py run --fashion data   trains; runs that are in results/sketch are kept
    python benchmarks/sketch.py judge                writes docs/sketch.md from the runs, trains nothing

Every run is measured by three signals at once. One thread; a run takes a minute or two.
"""

import argparse
import json
import tempfile
import warnings
from functools import partial
from pathlib import Path
from statistics import median

import lightning as L
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from lightning_critperiod import CriticalPeriodCallback, Never
from lightning_critperiod.datamodules import Digits, FashionMNIST
from lightning_critperiod.detector import replay
from lightning_critperiod.models import CifarResNet, ImageClassifier
from lightning_critperiod.record import as_json, write
from lightning_critperiod.rules import Slope
from lightning_critperiod.signals import LayerRotation

ROOT = Path(__file__).parents[1]
KINDS = {"whole": {}, "half precision": {"half_precision": True}, "sketch": {"sketch": 0.01}}
ANGLES = (45.0, 20.0, 10.0, 5.0)
SEEDS = range(4)
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.001)
COSINE = partial(CosineAnnealingLR, T_max=-1)
SETUPS = {
    "digits, SGD, cosine": (40, "digits", SGD, COSINE),
    "digits, SGD, constant": (100, "digits", partial(torch.optim.SGD, lr=0.02, momentum=0.9), None),
    "digits, AdamW, constant": (30, "digits", partial(torch.optim.AdamW, lr=0.003), None),
    "Fashion-MNIST, SGD, cosine": (20, "fashion", SGD, COSINE),
}
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}


class Measure(L.Callback):
    """Several signals of one run."""

    def __init__(self):
        self.signals = {name: LayerRotation(**arguments) for name, arguments in KINDS.items()}
        self.values = {name: [] for name in KINDS}

    def on_train_start(self, trainer, pl_module):
        for signal in self.signals.values():
            signal.on_train_start(trainer, pl_module)

    def on_train_epoch_end(self, trainer, pl_module):
        for name, signal in self.signals.items():
            self.values[name].append(signal.measure(trainer, pl_module))


def model(optimizer, schedule):
    return ImageClassifier(CifarResNet(8, 10, in_channels=1), optimizer, schedule)


def data(name, seed, fashion):
    if name == "digits":
        return Digits(seed=seed)
    return FashionMNIST(fashion, batch_size=64, image_size=14, train_samples=2000, num_workers=0, seed=seed)


def run(results, fashion):
    for seed in SEEDS:
        for setup, (epochs, source, optimizer, schedule) in SETUPS.items():
            name = f"{setup}, seed {seed}.json".replace(", ", "_").replace(" ", "_")
            if (results / name).is_file():
                continue
            L.seed_everything(seed, verbose=False)
            measure = Measure()
            trainer = L.Trainer(
                max_epochs=epochs, callbacks=[measure], limit_val_batches=0, enable_checkpointing=False, **QUIET
            )
            trainer.fit(model(optimizer, schedule), data(source, seed, fashion))
            write({name: as_json({"setup": setup, "seed": seed, "values": measure.values})}, results)
            print(name, {kind: values[-1] for kind, values in measure.values.items()}, flush=True)
    sizes = {optimizer: checkpoint_sizes(optimizer) for optimizer in ("SGD", "SGD with momentum", "AdamW")}
    write({"checkpoints.json": as_json(sizes)}, results)


def checkpoint_sizes(name):
    """Bytes of a checkpoint of ResNet-8 without the callback and with each kind of signal."""
    optimizer = {"SGD": partial(torch.optim.SGD, lr=0.1), "SGD with momentum": SGD, "AdamW": torch.optim.AdamW}[name]
    signals = {"without": None} | {kind: LayerRotation(**arguments) for kind, arguments in KINDS.items()}
    return {kind: checkpoint_size(optimizer, signal) for kind, signal in signals.items()}


def checkpoint_size(optimizer, signal):
    callbacks = [] if signal is None else [CriticalPeriodCallback(signal, Never())]
    trainer = L.Trainer(max_epochs=1, limit_train_batches=2, callbacks=callbacks, limit_val_batches=0, **QUIET)
    with tempfile.TemporaryDirectory() as folder:
        trainer.checkpoint_callback.dirpath = folder
        trainer.fit(model(optimizer, None), Digits())
        path = Path(folder, "sized.ckpt")
        trainer.save_checkpoint(path)
        return path.stat().st_size


def ends(values, angle):
    return replay(Slope(max_angle=angle, after_rise=False), dict(enumerate(values)), len(values)).end_epoch


def row(kind, runs):
    errors = [abs(a / b - 1) for found in runs for a, b in zip(found[kind], found["whole"], strict=True)]
    cells = []
    for angle in ANGLES:
        pairs = [(ends(found[kind], angle), ends(found["whole"], angle)) for found in runs]
        moved = [abs(a - b) if a and b else len(runs[0]["whole"]) for a, b in pairs if a != b]
        cells.append(f"{len(moved)}" + (f" (by at most {max(moved)})" if moved else ""))
    return f"| {kind} | {median(errors):.1e} | {max(errors):.1e} | {' | '.join(cells)} |"


def page(found, sizes):
    runs = [record["values"] for record in found]
    setups = sorted({record["setup"] for record in found})
    growth = [
        f"| {name} | {size['without'] / 2**20:.2f} | "
        + " | ".join(f"+{100 * (size[kind] / size['without'] - 1):.0f}%" for kind in KINDS)
        + " |"
        for name, size in sizes.items()
    ]
    return (
        "\n\n".join([
            "# Smaller checkpoints: half precision and sketch",
            "Layer rotation compares the weights with the initial weights, so every checkpoint holds a copy of the initial weights. "
            "The copy can be whole (the default), in bfloat16 (`LayerRotation(half_precision=True)`), or a sketch "
            "(`LayerRotation(sketch=0.01)`: random sums of the weights of a layer, 1% as many as it has weights, but at least 1024).",
            "**Half precision halves the copy and hardly changes a decision. A sketch makes the copy ten times smaller, but changes "
            "the decisions of rules that look for a small angle,** so the whole copy stays the default. Use a sketch if the size of "
            "checkpoints matters more to you than the exact epoch of the decision.",
            "## How much a checkpoint grows",
            "\n".join([
                "| optimizer | MiB without | " + " | ".join(KINDS) + " |",
                "|---|--:|--:|--:|--:|",
                *growth,
            ]),
            "## How much the signal and the decision change",
            f"Relative error of the signal over all epochs, and the number of the {len(runs)} runs in which "
            "`Slope(max_angle=..., after_rise=False)` ends the period at a different epoch than with the whole copy, with the largest "
            "difference in epochs:",
            "\n".join([
                "| copy | median error | largest error | "
                + " | ".join(f"{angle:g} degrees" for angle in ANGLES)
                + " |",
                "|---|--:|--:|" + "--:|" * len(ANGLES),
                *(row(kind, runs) for kind in KINDS if kind != "whole"),
            ]),
            "At 45 degrees the rule fires as early as it can, or soon after, in all of these runs. That its epoch never changes is "
            "therefore weak evidence.",
            "## How it was measured",
            f"ResNet-8, {len(runs)} runs: {'; '.join(setups)}. The three kinds of copy are measured in the same runs.",
            "`python benchmarks/sketch.py run` trains, `python benchmarks/sketch.py judge` writes this page.",
        ])
        + "\n"
    )


def judge(results, output):
    found = [json.loads(path.read_text()) for path in sorted(results.glob("*seed*.json"))]
    if not found:
        raise SystemExit(f"no run in {results}: run first")
    write({output.name: page(found, json.loads((results / "checkpoints.json").read_text()))}, output.parent)
    print(output.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "judge"))
    parser.add_argument("--fashion", default="data", help="folder of Fashion-MNIST")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "sketch")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "sketch.md")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if args.what == "run":
        run(args.results, args.fashion)
    else:
        judge(args.results, args.output)


if __name__ == "__main__":
    main()
