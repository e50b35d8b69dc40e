"""What a cost monitor adds to a fit, the first of its process: until the first training step, and to the whole fit.

python benchmarks/meter_start.py              # medians of 3 processes each, with the range; one epoch of 200 steps of 20 ms
python benchmarks/meter_start.py --workers 2  # the same with batches from two forked workers
"""

import argparse
import logging
import statistics
import subprocess
import sys
import time
import warnings

STEPS, STEP = 200, 0.02


def fit(monitored: bool, workers: int) -> tuple[float, float]:
    """Seconds until the first training step, and of the whole fit."""
    import lightning as L
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    from lightning_critperiod.costs import CostMeter

    class Model(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.first = nn.Linear(4, 1), 0.0

        def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
            self.first = self.first or time.perf_counter()
            time.sleep(STEP)
            return self.net(batch[0]).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    for callbacks in ([], [CostMeter()] if monitored else []):  # the first fit warms torch and Lightning up
        model, data = Model(), DataLoader(TensorDataset(torch.randn(STEPS, 4)), num_workers=workers)
        trainer = L.Trainer(max_epochs=1, callbacks=callbacks, accelerator="cpu", **quiet)
        began = time.perf_counter()
        trainer.fit(model, data)
        whole = time.perf_counter() - began
    return model.first - began, whole


def spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="of the dataloader, in processes that are forked")
    parser.add_argument("--one", choices=("with", "without"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        warnings.simplefilter("ignore")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        print(*fit(options.one == "with", options.workers))
        return
    found: dict[str, list[tuple[float, ...]]] = {"without": [], "with": []}
    for _ in range(options.repeats):
        for which, runs in found.items():
            command = [sys.executable, __file__, "--one", which, "--workers", str(options.workers)]
            last = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
            runs.append(tuple(map(float, last.split())))
    for which, runs in found.items():
        first, whole = ([run[i] for run in runs] for i in (0, 1))
        print(f"{which:8} a monitor: first step after {spread(first)}, fit {spread(whole)}")
    ratio = statistics.median(run[1] for run in found["with"]) / statistics.median(run[1] for run in found["without"])
    print(f"fit with / without: {ratio:.2f}")


if __name__ == "__main__":
    main()
