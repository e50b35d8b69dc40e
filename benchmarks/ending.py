"""Is a cooldown a better end of a run than what people do today? Compared on test data, seed by seed.

    python benchmarks/ending.py run --data DIR                  trains (an hour or more on a core; finished ones are kept)
    python benchmarks/ending.py run --data DIR --development    the seeds on which the settings were chosen
    python benchmarks/ending.py judge                           writes docs/ending.md from results/ending

For every set-up and seed there is one run at a constant rate with averaged weights, by `EarlyCooldown` itself. The
rules are asked afterwards about its validation curves, and a cooldown is branched from the checkpoint of every epoch
that a rule, a budget or a guess has chosen. DIR has cifar/ and fashion/, torchvision's roots.
"""

import argparse
import json
import logging
import os
import tempfile
import warnings
from pathlib import Path

import torch
from ending_page import judge
from ending_rules import CONSTANT, CUTS, DECAYED, MIN_GAIN, RATES, STOPPING, begins, fires, rules, starts, stopped
from ending_runs import SHAPES, Setup, Study

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "ending"

SETUPS = (
    Setup("digits", 500, 60),
    Setup("CIFAR-10", 500, 60),
    Setup("Fashion-MNIST", 500, 60),
    Setup("CIFAR-10", 2000, 40),
    Setup("Fashion-MNIST", 2000, 40),
)
FURTHER = (
    Setup("CIFAR-10", 8000, 40),
    Setup("Fashion-MNIST", 8000, 40),
    Setup("CIFAR-10", 500, 60, "AdamW"),
    Setup("Fashion-MNIST", 500, 60, "AdamW"),
)


def develop(study, folder):
    """Both rates, constant and decayed, for the choice of settings."""
    epochs, found = study.setup.epochs, {"trunks": {}, "runs": {}}
    for rate in RATES:
        curves = study.trunk(rate, folder)
        cooldowns = {epoch: study.cooldown(rate, folder, epoch) for epoch in starts(epochs).values()}
        found["trunks"][rate] = {"curves": curves, "cooldowns": cooldowns}
        for shape in SHAPES:
            found["runs"][f"{shape} {rate}"] = study.decayed(shape, rate, epochs // 2)["acc"]
    return found


def confirm(study, folder):
    """Every arm with the settings that were chosen."""
    epochs = study.setup.epochs
    curves = study.trunk(CONSTANT, folder)
    chosen = {arm: fires(curves, *rule) for arm, rule in rules(MIN_GAIN).items()}
    begin = {arm: begins(epoch, epochs) for arm, epoch in chosen.items()}
    cooldowns = {
        epoch: study.cooldown(CONSTANT, folder, epoch) for epoch in sorted({*starts(epochs).values(), *begin.values()})
    }
    averaged = {epoch: study.of_trunk(folder, epoch, averaged=True) for epoch in (*cooldowns, epochs)}
    raw = {epoch: study.of_trunk(folder, epoch, averaged=False) for epoch in bests(curves, epochs)}
    whole = study.decayed(*DECAYED, epochs, lambda c: {*bests(c, epochs), *(round(cut * epochs) for cut in CUTS)})
    ours = cooldowns[begin["cooldown"]]["epochs"]
    return {
        "curves": curves,
        "chosen": chosen,
        "cooldowns": cooldowns,
        "averaged": averaged,
        "raw": raw,
        "whole": whole,
        "short": study.decayed(*DECAYED, ours)["acc"] if ours < epochs else whole["acc"],
        "plateau": study.plateau(CONSTANT, averaged=False),
        "averaged plateau": study.plateau(CONSTANT, averaged=True),
    }


def bests(curves, epochs):
    """The epochs whose weights the early stoppings restore."""
    return sorted({stopped(curves, name, epochs)[1] for name in STOPPING})


def run(root, jobs, train, target):
    target.mkdir(parents=True, exist_ok=True)
    for setup, seed in jobs:
        path = target / f"{setup.name} seed {seed}.json".replace(", ", "_").replace(" ", "_")
        if path.exists():
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = train(Study(setup, seed, root), Path(folder))
        text = json.dumps({**setup._asdict(), "seed": seed, **found})
        path.with_suffix(".tmp").write_text(text + "\n")
        os.replace(path.with_suffix(".tmp"), path)
        print(path.stem, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "judge"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--development", action="store_true")
    parser.add_argument("--further", action="store_true", help="8,000 images, and AdamW")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero", "lightning_utilities.core.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(1)
    if args.development:
        jobs = [(setup, seed) for seed in (100, 101) for setup in SETUPS[:3]]
        run(args.data, jobs, develop, RESULTS / "development")
    elif args.what == "run":
        # Few images first: they reach all seeds early.
        setups = FURTHER if args.further else SETUPS
        jobs = [(setup, seed) for seed in range(args.seeds) for setup in setups]
        jobs.sort(key=lambda job: job[0].samples)
        run(args.data, jobs, confirm, RESULTS)
    else:
        judge(RESULTS, ROOT / "docs" / "ending.md")


if __name__ == "__main__":
    main()
