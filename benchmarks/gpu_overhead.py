"""What the callback and the monitor cost a training on a CUDA card, against the same training without them.

    python benchmarks/gpu_overhead.py run      about 2 minutes on an H100; writes results/gpu
    python benchmarks/gpu_overhead.py judge    writes docs/gpu.md from these, runs nothing
    python benchmarks/gpu_overhead.py run --device cpu --small --results FOLDER    whether it runs, in seconds

Every repeat fits all arms, in an order that rotates; a difference is between two arms of one repeat. The card is waited
for where an epoch begins, before its first step and after its last one, in all arms alike. The first epoch of a fit is left out.
"""

import argparse
import contextlib
import io
import json
import logging
import platform
import statistics
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import gpu_models
import lightning as L
import torch
from gpu_page import page
from lightning.pytorch.callbacks import Callback

from lightning_critperiod import CostMonitor, CriticalPeriodCallback
from lightning_critperiod.record import as_json, write
from lightning_critperiod.signals import LayerRotation
from lightning_critperiod.signals.card_copies import CardCopies
from lightning_critperiod.signals.cosine_distance import cosine_distance

ROOT = Path(__file__).parents[1]
GIB = 2**30
ARMS = {
    "without": list,
    "callback": lambda: [CriticalPeriodCallback()],
    "monitor": lambda: [CostMonitor()],
    "both": lambda: [CriticalPeriodCallback(), CostMonitor()],
}
ENDS = ("without", "both")
# name -> model, precision, compiled, arms, steps an epoch, epochs
CASES = {
    "resnet18 bf16-mixed": ("resnet18", "bf16-mixed", False, tuple(ARMS), 40, 5),
    "resnet18 16-mixed": ("resnet18", "16-mixed", False, ENDS, 40, 5),
    "resnet18 32-true": ("resnet18", "32-true", False, ENDS, 40, 5),
    "resnet18 bf16-mixed compiled": ("resnet18", "bf16-mixed", True, ENDS, 40, 5),
    "transformer bf16-mixed": ("transformer", "bf16-mixed", False, tuple(ARMS), 10, 4),
}


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(device, function, *arguments):
    wait(device)
    began = time.perf_counter()
    function(*arguments)
    wait(device)
    return time.perf_counter() - began


class Clock(Callback):
    """The first of the callbacks: when epochs and their first steps begin, and when training ends."""

    def __init__(self, device):
        self.device, self.epochs, self.first, self.last = device, [], [], []

    def now(self, times):
        wait(self.device)
        times.append(time.perf_counter())

    def on_train_epoch_start(self, trainer, pl_module):
        self.now(self.epochs)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == 0:
            self.now(self.first)

    def on_train_end(self, trainer, pl_module):
        self.now(self.epochs)


class LastStep(Callback):
    """The last of them: when the last step of an epoch is over."""

    def __init__(self, clock):
        self.clock = clock

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == trainer.num_training_batches - 1:
            self.clock.now(self.clock.last)


def fit(device, module, data, precision, epochs, callbacks):
    """What one fit took, in seconds; lists are by epoch, without the first."""
    clock = Clock(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        trainer = L.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=1,
            precision=precision,
            max_epochs=epochs,
            callbacks=[clock, *callbacks, LastStep(clock)],
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        began = time.perf_counter()
        trainer.fit(module, data)
        ended = time.perf_counter()
    steps = trainer.num_training_batches
    return {
        "start": clock.first[0] - began,
        "epoch": [later - now for now, later in zip(clock.epochs[1:], clock.epochs[2:], strict=False)],
        "step": [(last - first) / steps for first, last in zip(clock.first[1:], clock.last[1:], strict=True)],
        "end": ended - clock.epochs[-1],
        "card_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0,
    }


def case(device, small, repeats, name):
    """All arms, repeat by repeat, after one fit that warms up what is done once in a process."""
    model, precision, compiled, arms, steps, epochs = CASES[name]
    network, data = getattr(gpu_models, model)(device, small, 3 if small else steps)
    if compiled:
        network.compile()
    module = gpu_models.Trains(network)
    module.network = network
    run = partial(fit, device, module, data, precision)
    first = {arm: run(2, ARMS[arm]()) for arm in arms}
    found = {arm: [] for arm in arms}
    for repeat in range(repeats):
        for turn in range(len(arms)):
            arm = arms[(turn + repeat) % len(arms)]
            found[arm].append(run(3 if small else epochs, ARMS[arm]()))
    result = {"steps": len(data), "weights": sum(p.numel() for p in module.parameters()), "arms": found, "first": first}
    return result | (looks(device, module, data, precision, repeats) if model == "transformer" else {})


class NoRoom(CardCopies):
    def _have_room(self, kept, device):
        return False


class Streamed(LayerRotation):
    """As where the card has no room for a copy of the initial weights."""

    def reset(self):
        super().reset()
        self._initial._copies = NoRoom()


LOOKS = {
    "exact, a copy on the card": LayerRotation,
    "exact, streamed from the host": Streamed,
    "half_precision=True": partial(LayerRotation, half_precision=True),
    "sketch=0.01": partial(LayerRotation, sketch=0.01),
}


class Looks(Callback):
    """Every way of keeping the initial weights measures the same training; seconds and values, one a look."""

    def __init__(self, device):
        self.device = device
        self.signals = {name: make() for name, make in LOOKS.items()}
        self.starts, self.times, self.values = {}, {name: [] for name in LOOKS}, {name: [] for name in LOOKS}

    def on_train_start(self, trainer, pl_module):
        for name, signal in self.signals.items():
            self.starts[name] = seconds(self.device, signal.on_train_start, trainer, pl_module)

    def on_train_epoch_end(self, trainer, pl_module):
        for name in self.signals:
            look = partial(self.look, name, trainer, pl_module)
            self.times[name].append(seconds(self.device, look))

    def look(self, name, *arguments):
        self.values[name].append(self.signals[name].measure(*arguments))


def looks(device, module, data, precision, repeats):
    """What a look costs, and its floors."""
    found = Looks(device)
    run = fit(device, module, data, precision, repeats + 2, [found])
    exact, signals = found.values["exact, a copy on the card"][-1], found.signals
    initial = signals["exact, a copy on the card"].state_dict()["initial"]
    module.to(device)  # a fit leaves it in the host's memory
    now = dict(module.named_parameters())
    weights = {name: now[name].detach() for name in initial}
    on_card = {name: kept.to(device) for name, kept in initial.items()}

    def read(*sets):
        for tensors in sets:
            for tensor in tensors.values():
                tensor.sum()

    def over_the_bus():
        for kept in initial.values():
            kept.to(device)

    def layer_by_layer():
        for name, kept in initial.items():
            cosine_distance(kept, weights[name])

    floors = {
        "weights read once": lambda: read(weights),
        "both sets read once": lambda: read(weights, on_card),
        "initial weights over the bus": over_the_bus,
        "one layer after another, waiting for each piece": layer_by_layer,
    }
    return {
        "layers": len(initial),
        "bytes": sum(kept.nbytes for kept in initial.values()),
        "looks": found.times,
        "look_starts": found.starts,
        "looked_steps": run["step"],
        "floors": {name: [seconds(device, floor) for _ in range(repeats + 1)][1:] for name, floor in floors.items()},
        "off": {name: values[-1] / exact - 1 for name, values in found.values.items()},
    }


def machine(device):
    clock = time.get_clock_info("perf_counter")
    return {
        "card": torch.cuda.get_device_name(device) if device.type == "cuda" else f"none ({platform.machine()})",
        "torch": torch.__version__,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "lightning": L.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "clock": f"time.perf_counter ({clock.implementation}, resolution {clock.resolution:g} s)",
    }


def run(device, small, repeats, results, only):
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for name in only or CASES:
        began = time.perf_counter()
        found = {"case": name, "repeats": repeats, **machine(device), **case(device, small, repeats, name)}
        write({f"{name.replace(' ', '_')}.json": as_json(found)}, results)
        steps = {arm: statistics.median(s for f in fits for s in f["step"]) for arm, fits in found["arms"].items()}
        words = ", ".join(f"{arm} {1e3 * s:.2f} ms a step" for arm, s in steps.items())
        print(f"{name}: {words} ({time.perf_counter() - began:.0f} s)", flush=True)
        torch.cuda.empty_cache()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "judge"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny models, 3 steps an epoch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--case", action="append", choices=CASES, help="only this one; may be given several times")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "gpu")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "gpu.md")
    args = parser.parse_args()
    if args.what == "run":
        run(torch.device(args.device), args.small, args.repeats, args.results, args.case)
    else:
        found = {path.stem: json.loads(path.read_text()) for path in sorted(args.results.glob("*.json"))}
        cases = [found[name.replace(" ", "_")] for name in CASES if name.replace(" ", "_") in found]
        write({args.page.name: page(cases, found["sizes"], found["fits"])}, args.page.parent)
        print(args.page.read_text())


if __name__ == "__main__":
    main()
