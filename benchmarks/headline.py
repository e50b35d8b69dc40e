"""Everything together against the paper's full recipe and against fixed schedules of the same arithmetic; no page yet.

    python benchmarks/headline.py DATA                        seeds 0 to 9, seed by seed; runs that are in results/headline are kept
    python benchmarks/headline.py DATA --seeds 100 101 102    the development seeds

Data, network and cost are those of `growing.py`. The claims, for every data set with ten seeds:

1. `together` has at least 60% fewer operations than `full recipe`, and the whole 95% interval of its difference in test
   accuracy is above -0.2 points; on at least one data set the interval is above 0.
2. `together` is above the better of `short` and `grown`, fixed schedules of the same operations: the interval above 0.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import torch
from growing_arms import AT, BATCH, PEAK, SETUPS, VALIDATION, cosine, fit, planned, steps
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.optim.lr_scheduler import LinearLR

from lightning_critperiod import (
    Cooldown,
    CriticalPeriodCallback,
    GrowingImages,
    MonitoredMetric,
    Never,
    Plateau,
    Recipe,
    Volume,
)
from lightning_critperiod.record import as_json, write

RESULTS = Path(__file__).resolve().parents[1] / "results" / "headline"
EPOCHS, VIEWS = 30, 3
ARMS = ("full recipe", "together", "short", "grown")
"""In the order of the runs; the last two have the operations of `together`."""
DATA = [name for name in SETUPS if name.endswith("ResNet-8")]


def averaged():
    return EMAWeightAveraging(decay=0.998)


def constant(name):
    """One pass of warm-up."""
    return partial(LinearLR, start_factor=0.02, total_iters=SETUPS[name].images // BATCH)


def together(name):
    """Averaged signal, low resolution first, three views until the cooldown, which a plateau at full size begins."""
    grows = GrowingImages(SETUPS[name].sizes, rule=Plateau(patience=1, mode="max", min_epochs=0))
    recipe = Recipe(after=Volume(), annealing_fraction=0, changes=[grows], cooldown=Cooldown(fraction=0.25))
    return CriticalPeriodCallback(MonitoredMetric("val_acc"), Plateau(patience=3, mode="max"), recipe)


def passes(name, budget):
    """The most passes that growing at fixed fractions affords."""
    return max(n for n in range(1, 2 * VIEWS * EPOCHS) if planned(name, n) <= budget)


def run(name, arm, seed, data, done):
    """One arm; `done` has those of the same seed before it."""
    if arm == "together":
        callbacks = [averaged(), together(name)]
        validated = VALIDATION // BATCH
        found = fit(
            name, seed, data, callbacks, constant(name), views=VIEWS, max_epochs=EPOCHS, limit_val_batches=validated
        )
    elif arm == "grown":
        growing = Recipe(after=Volume(), annealing_fraction=0, changes=[GrowingImages(SETUPS[name].sizes, at=AT)])
        callbacks = [averaged(), CriticalPeriodCallback(rule=Never(), recipe=growing)]
        length = {"max_epochs": passes(name, done["together"]["flops"])}
        found = fit(name, seed, data, callbacks, cosine(PEAK), limit_val_batches=0, **length)
    else:
        length = {"max_steps": steps(name, done["together"]["flops"])} if arm == "short" else {}
        found = fit(
            name,
            seed,
            data,
            [averaged()],
            cosine(PEAK),
            views=VIEWS,
            max_epochs=EPOCHS,
            limit_val_batches=0,
            **length,
        )
    return {"arm": arm, **found}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--setups", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--seeds", nargs="+", type=int, default=range(10))
    args = parser.parse_args()
    torch.set_num_threads(1)
    for seed in args.seeds:
        for name in args.setups:
            done = {}
            for arm in ARMS:
                path = RESULTS / f"{name} {arm} {seed}.json".replace(", ", "_").replace(" ", "_")
                if not path.is_file():
                    write({path.name: as_json(run(name, arm, seed, args.data, done))}, RESULTS)
                done[arm] = json.loads(path.read_text())
                print(name, arm, seed, f"{done[arm]['test_acc']:.4f}", done[arm]["cpu_seconds"], flush=True)


if __name__ == "__main__":
    main()
