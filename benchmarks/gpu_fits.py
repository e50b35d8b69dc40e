"""Seconds of whole fits with `GrowingImages`, on a GPU that does nothing else.

    python benchmarks/gpu_fits.py      under a minute; writes results/gpu/fits.json, which gpu_overhead.py judge shows
    python benchmarks/gpu_fits.py --device cpu --small --results FOLDER      whether it runs

The real callback and Trainer, with random images that are on the GPU. The first epoch at each size is left out: the network is
then compiled or its kernels are chosen.
"""

import argparse
import logging
import warnings
from pathlib import Path

import torch
import torchvision
from gpu_models import Trains, loader, small_resnet18
from gpu_overhead import fit, machine
from gpu_page import EPOCHS, PARTS

from lightning_critperiod import CriticalPeriodCallback, GrowingImages, MonitoredMetric, Never, Recipe, Volume
from lightning_critperiod.record import as_json, write

RESULTS = Path(__file__).parents[1] / "results" / "gpu"
CASES = {
    # network, sizes, batch, whether with a CUDA graph
    "ResNet-18, 32 px": (small_resnet18, (16, 24, 32), 128, False),
    "ResNet-18, 32 px, CUDA graph": (small_resnet18, (16, 24, 32), 128, True),
    "ResNet-50, 224 px": (lambda: torchvision.models.resnet50(num_classes=10), (112, 160, 224), 256, False),
}
STEPS, REPEATS = 12, 3


def callback(sizes):
    recipe = Recipe(after=Volume(), annealing_fraction=0, changes=[GrowingImages(sizes, at=[0.5, 0.75])])
    return CriticalPeriodCallback(MonitoredMetric("train_loss"), Never(), recipe)


def epochs(device, case, grown, small):
    """Seconds of every epoch but the first one at each size."""
    make, sizes, batch, graph = CASES[case]
    torch.manual_seed(0)
    network = make().to(device, memory_format=torch.channels_last)
    if graph and not small:
        network.compile(backend="cudagraphs", dynamic=False)
    n, side = (6, sizes[-1]) if small else (batch * STEPS, sizes[-1])
    with device:
        data = loader(2 if small else batch, torch.randn(n, 3, side, side), torch.randint(10, (n,)))
    callbacks = [callback(sizes)] if grown else []
    found = fit(device, Trains(network), data, "bf16-mixed", EPOCHS, callbacks)["epoch"]
    first = {start for start, _ in PARTS}
    return {epoch: seconds for epoch, seconds in enumerate(found, 1) if epoch not in first}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="three steps an epoch")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    device = torch.device(args.device)
    cases = {}
    for case in CASES:
        cases[case] = {"full": [], "grown": []}
        for _ in range(REPEATS):
            for arm, fits in cases[case].items():
                fits.append(epochs(device, case, arm == "grown", args.small))
        print(case, {arm: [round(sum(f.values()), 3) for f in fits] for arm, fits in cases[case].items()}, flush=True)
    write({"fits.json": as_json({**machine(device), "steps": STEPS, "cases": cases})}, args.results)


if __name__ == "__main__":
    main()
