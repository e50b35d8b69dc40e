"""What layer rotation asks of a large model: memory, checkpoint and seconds, in real fits on the CPU, one thread.

    python benchmarks/scale.py run      every case in a process of its own; those that are in results/scale are kept
    python benchmarks/scale.py judge    writes docs/scale.md from the cases, runs nothing

The model is a stack of square Linear layers. A case fits it for two epochs of one step with `CriticalPeriodCallback`,
or without any callback; the largest is what 24 GiB of memory hold.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod import CriticalPeriodCallback, Never
from lightning_critperiod.record import as_json, write
from lightning_critperiod.signals import LayerRotation

ROOT = Path(__file__).parents[1]
SIDE = 4096
SIZES = (5, 20, 80)  # layers: 0.08B, 0.34B and 1.34B weights
KINDS = {"without": None, "rotation": False, "rotation, half precision": True}
GIB = 2**30


def cases():
    """Name -> arguments of `case`."""
    precisions = {"32-true": SIZES, "bf16-true": SIZES, "bf16-mixed": SIZES[1:2]}
    found = [(kind, n, precision, False, 1) for precision, sizes in precisions.items() for n in sizes for kind in KINDS]
    found += [(kind, SIZES[0], "32-true", True, 1) for kind in KINDS]
    found += [(kind, SIZES[1], "32-true", False, 2) for kind in KINDS]
    return [case for case in found if case[0] != "rotation, half precision" or case[2] != "bf16-true"]


class Stack(L.LightningModule):
    """Layers that keep the size of what goes through them."""

    def __init__(self, layers, compiled):
        super().__init__()
        self.count, self.compiled, self.layers = layers, compiled, None

    def configure_model(self):
        if self.layers is not None:
            return
        self.layers = nn.Sequential(*(nn.Linear(SIDE, SIDE, bias=False) for _ in range(self.count)))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=SIDE**-0.5)  # what goes through keeps its size
        if self.compiled:
            self.layers.compile(backend="aot_eager")
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            for layer in self.layers:
                fully_shard(layer, mesh=self.device_mesh["data_parallel"])

    def training_step(self, batch, batch_idx):
        return self.layers(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def peak():
    """Bytes of memory that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def case(kind, layers, precision, compiled, processes, folder):
    """Fit once; every rank writes what it measured."""
    torch.set_num_threads(1)
    L.seed_everything(0, verbose=False)
    warnings.filterwarnings("ignore")
    half = KINDS[kind]
    callback = None if half is None else CriticalPeriodCallback(signal=LayerRotation(half), rule=Never())
    strategy = "auto" if processes == 1 else ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1)
    trainer = L.Trainer(
        accelerator="cpu",
        devices=processes,
        strategy=strategy,
        precision=precision,
        max_epochs=2,
        callbacks=[] if callback is None else [callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data = torch.randn(2 * processes, SIDE, generator=torch.Generator().manual_seed(0))
    before = peak()
    trainer.fit(Stack(layers, compiled), DataLoader(TensorDataset(data), batch_size=2))
    found = {"peak": peak() - before}
    if callback is not None:
        began = time.process_time()
        found["rotation"] = callback.signal.measure(trainer, trainer.lightning_module)
        found["seconds"] = time.process_time() - began
        state = callback.state_dict()
        initial = [w for w in callback.signal.state_dict()["initial"].values() if w is not None]
        found["kept"] = sum(w.nbytes for w in initial)
        if trainer.global_rank == 0:
            with tempfile.TemporaryFile() as file:
                torch.save(state, file)
                found["checkpoint"] = file.tell()
    Path(folder, f"rank_{trainer.global_rank}.json").write_text(json.dumps(found))


def run(results):
    for arguments in cases():
        kind, layers, precision, compiled, processes = arguments
        name = f"{kind}, {layers}, {precision}, {'compiled' if compiled else 'eager'}, {processes}.json".replace(
            ", ", "_"
        )
        name = name.replace(" ", "_")
        if (results / name).is_file():
            continue
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "case", "--case", json.dumps([*arguments, folder])]
            subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
            ranks = [json.loads((Path(folder) / f"rank_{rank}.json").read_text()) for rank in range(processes)]
        keys = ("kind", "layers", "precision", "compiled", "processes")
        facts = dict(zip(keys, arguments, strict=True)) | {"weights": layers * SIDE**2, "torch": torch.__version__}
        write({name: as_json({**facts, "ranks": ranks})}, results)
        print(name, ranks, flush=True)


def row(found, plain):
    """One line of the table: what the fit needs more than the one without the callback."""
    first, base = found["ranks"][0], plain["ranks"][0]
    others = [(rank["peak"] - b["peak"]) / GIB for rank, b in zip(found["ranks"][1:], plain["ranks"][1:], strict=True)]
    kind = ["FSDP2, 2 processes"] * (found["processes"] > 1) + ["compiled (aot_eager)"] * found["compiled"]
    return (
        f"| {found['weights'] / 1e9:.2f}B | {', '.join([found['precision'], *kind])} | "
        f"{'half' if 'half' in found['kind'] else 'own'} | {base['peak'] / GIB:.2f} | "
        f"{(first['peak'] - base['peak']) / GIB:+.2f}{''.join(f' (other rank {o:+.2f})' for o in others)} | "
        f"{first['kept'] / GIB:.2f} | {first['checkpoint'] / GIB:.2f} | {first['seconds']:.2f} | {first['rotation']:.3g} |"
    )


def page(found):
    def same(a, b):
        return all(a[key] == b[key] for key in ("layers", "precision", "compiled", "processes"))

    plain = [f for f in found if f["kind"] == "without"]
    pairs = [(f, next(p for p in plain if same(f, p))) for f in found if f["kind"] != "without"]
    pairs.sort(key=lambda pair: [pair[0][key] for key in ("processes", "compiled", "precision", "weights", "kind")])
    largest = max(
        (f for f, _ in pairs if f["kind"] == "rotation" and f["precision"] == "32-true"), key=lambda f: f["weights"]
    )
    rate = largest["weights"] / largest["ranks"][0]["seconds"]
    head = "| weights | precision | copy | fit | added | kept | checkpoint | CPU s | rotation |"
    coming = [
        f"| {billions}B | {4 * billions * 1e9 / GIB:.0f} | {2 * billions * 1e9 / GIB:.0f} | {billions * 1e9 / rate:.0f} |"
        for billions in (3, 7, 13)
    ]
    return (
        "\n\n".join([
            "# Layer rotation on large models",
            "How much memory and time does `LayerRotation` need when the model is large? **As much memory as a copy of the weights, "
            "on rank 0 alone; half of that for float32 weights with `half_precision=True`. A measurement takes about a second for each "
            "billion weights.** The signal is measured once an epoch. The other ranks hold one layer at a time.",
            "## Measured",
            "- *copy*: the copy of the initial weights is in the weights' own precision, or in half of it.\n"
            "- *fit*: peak memory of the process without the callback (weights and gradients), GiB.\n"
            "- *added*: what the callback adds to that peak, GiB.\n"
            "- *kept*: the copy in memory, *checkpoint*: the copy in a checkpoint, GiB.\n"
            "- *CPU s*: CPU seconds of one measurement.\n"
            "- *rotation*: the value that was measured.",
            "\n".join([head, "|--:|---|---|--:|--:|--:|--:|--:|--:|", *(row(*pair) for pair in pairs)]),
            "## Larger models, extrapolated",
            f"Memory and time grow in proportion to the number of weights. This table is extrapolated from the largest float32 "
            f"model, {rate / 1e9:.2f}B weights a second on one thread; it was not measured.",
            "\n".join([
                "| weights | kept, float32, GiB | kept, `half_precision=True`, GiB | CPU seconds an epoch |",
                "|--:|--:|--:|--:|",
                *coming,
            ]),
            "## How it was measured",
            f"A stack of Linear({SIDE}, {SIDE}) layers, trained for real on the CPU, one thread, torch {largest['torch']}. "
            "`python benchmarks/scale.py run` trains, `python benchmarks/scale.py judge` writes this page.",
        ])
        + "\n"
    )


def judge(results, output):
    found = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    if not found:
        raise SystemExit(f"no case in {results}: run first")
    write({output.name: page(found)}, output.parent)
    print(output.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "judge", "case"))
    parser.add_argument("--case", help="arguments of one case as JSON; `run` starts them")
    args = parser.parse_args()
    if args.what == "case":
        case(*json.loads(args.case))
    elif args.what == "run":
        run(ROOT / "results" / "scale")
    else:
        judge(ROOT / "results" / "scale", ROOT / "docs" / "scale.md")


if __name__ == "__main__":
    main()
