"""Short sequences first (`GrowingLength`) against a shorter run of the same arithmetic: a small language model, one thread.

python benchmarks/short_first.py run             seeds 0 to 9; runs that are in results/short_first are kept
python benchmarks/short_first.py run --seeds 100     the development seed
python benchmarks/short_first.py judge           writes docs/short_first.md from the runs, trains nothing
"""

import argparse
import time
from functools import cache, partial
from itertools import pairwise
from math import log
from pydoc_data.topics import topics
from statistics import fmean, stdev

import lightning as L
import torch
from scoring import table
from study import study
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader

from lightning_critperiod import CriticalPeriodCallback, GrowingLength, MonitoredMetric, Never, Recipe, Volume
from lightning_critperiod.lightning_seam import FlopMode, Safely
from lightning_critperiod.studies.statistics import Paired, paired

STUDY = study("short_first")
ARMS = ("full", "grown", "short")
LENGTHS, AT = (16, 32, 64), (0.5, 0.75)
PIECES, PASSES, BATCH, PEAK = 640, 20, 32, 1e-2
TEST_CHARACTERS = 100_000
SEEDS, DEVELOPMENT, MARGIN = 10, 100, 0.02
LN2 = log(2)

INTRODUCTION = f"""# Short sequences first, against a shorter run

Is it better to train on short sequences first (`GrowingLength`), or to train a shorter run that costs as much? **Here the
shorter run was better:** both claims about `grown` were refuted. The model is tiny, and is tested on whole sequences.

`python benchmarks/short_first.py judge` writes this page from the runs in `results/short_first/`; do not edit it.
`python benchmarks/short_first.py run` makes the runs that are missing, on one core.

## How it was measured

- Data: Python's own help, character by character (`pydoc_data.topics`). {PIECES} pieces of {LENGTHS[-1] + 1} characters for training,
  drawn again for each seed from all but the last {TEST_CHARACTERS:,} characters, which are the test set. The model reads {LENGTHS[-1]}
  characters of a piece and predicts, after each, the next one.
- Training: a transformer of one layer, width 32; {PASSES} passes in batches of {BATCH}, AdamW, one cycle to {PEAK:g} and a cosine to
  zero over the steps of the arm's own length.
- `grown`: the first {LENGTHS[0]} positions for half of the run, the first {LENGTHS[1]} up to three quarters, then all {LENGTHS[2]}. `full`: all
  positions in every pass. `short`: all positions, as many steps as the operations of `grown` allow.
- Cost: floating-point operations of the training steps, forward and backward, one measurement for each length.

## Claims

Written down and committed before the first run of the seeds 0 to {SEEDS - 1}; the intervals are Student's t over the paired differences.
Fewer bits per character are better.

1. `grown` has fewer bits per character than `short`: the interval is below 0.
2. `grown` is within {MARGIN:g} bits of `full`: the whole interval is below {MARGIN:g}.

"Not shown": the interval leaves both open. "Refuted": the interval excludes the claim.
"""
PARTS = """## Where it lost

Bits per character by the position in the sequence. This was looked at after the claims were judged: all runs were repeated, and only the
record of these numbers was new. The model has an embedding for each position, and those of the last ones are trained only in the last
quarter of `grown`, at a falling rate. Models with relative positions were not tried.
"""
LIMITS = """## What this does not say

- The training is short and the model tiny: no arm has learned all that it could. At this width most of a step is spent in the linear
  layers, whose cost is proportional to the number of tokens; in longer sequences attention has a larger share.
- There is one text, one schedule and one set of lengths. While `grown` reads 16 positions, it sees a quarter of the text.
- Operations are not seconds: short batches do not keep a processor as busy.
"""


@cache
def text() -> Tensor:
    letters = "\n".join(topics[name] for name in sorted(topics))
    return torch.tensor([ord(letter) - 32 for letter in letters if " " <= letter <= "~"])


def test_pieces() -> Tensor:
    wide = LENGTHS[-1] + 1
    return text()[-TEST_CHARACTERS:][: TEST_CHARACTERS // wide * wide].view(-1, wide)


def pieces(seed: int) -> Tensor:
    generator, wide = torch.Generator().manual_seed(seed), LENGTHS[-1] + 1
    starts = torch.randint(len(text()) - TEST_CHARACTERS - wide, (PIECES,), generator=generator)
    return torch.stack([text()[start : start + wide] for start in starts.tolist()])


class Reader(L.LightningModule):
    """Takes sequences of any length up to the full one; counts its steps by their length."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.letters, self.places = nn.Embedding(95, width), nn.Embedding(LENGTHS[-1], width)
        self.layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(width, 95)
        self.steps: dict[int, int] = {}

    def loss(self, tokens: Tensor, following: Tensor) -> Tensor:
        return self.losses(tokens, following).mean()

    def losses(self, tokens: Tensor, following: Tensor) -> Tensor:
        """One a position, as (N, length)."""
        length = tokens.shape[1]
        x = self.letters(tokens) + self.places.weight[:length]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        x = self.layer(x, src_mask=mask, is_causal=True)
        return cross_entropy(self.head(x).mT, following, reduction="none")

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        self.steps[batch[0].shape[1]] = self.steps.get(batch[0].shape[1], 0) + 1
        loss = self.loss(*batch)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=PEAK)
        scheduler = OneCycleLR(optimizer, PEAK, int(self.trainer.estimated_stepping_batches), pct_start=0.1)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


@cache
def flops(length: int) -> int:
    """Operations of a training step."""
    tokens = torch.zeros(BATCH, length, dtype=torch.long)
    with FlopMode(Safely()) as mode:
        Reader().loss(tokens, tokens).backward()
    return mode.flops


def run(arm: str, seed: int, steps: int) -> dict:
    """A run.

    Args:
        arm: Its name.
        seed: Of data, weights and order.
        steps: Optimizer steps; -1 is all passes.
    """
    L.seed_everything(seed, verbose=False)
    model, drawn = Reader(), pieces(seed)
    train = DataLoader([(piece[:-1], piece[1:]) for piece in drawn], batch_size=BATCH, shuffle=True, drop_last=True)
    recipe = Recipe(after=Volume(), annealing_fraction=0, changes=[GrowingLength(LENGTHS, at=AT)])
    ours = [CriticalPeriodCallback(MonitoredMetric("loss"), Never(), recipe)] if arm == "grown" else []
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    begun = time.process_time()
    trainer = L.Trainer(accelerator="cpu", max_epochs=PASSES, max_steps=steps, callbacks=ours, **quiet)
    trainer.fit(model, train)
    spent = time.process_time() - begun
    model.eval()
    with torch.no_grad():
        bits = torch.cat([model.losses(part[:, :-1], part[:, 1:]) for part in test_pieces().split(256)]) / LN2
    parts = [bits[:, start:end].mean().item() for start, end in pairwise((0, *LENGTHS))]
    cost = sum(flops(length) * number for length, number in model.steps.items())
    found = {"arm": arm, "seed": seed, "bits": bits.mean().item(), "bits_by_part": parts, "flops": cost}
    return {**found, "steps": model.steps, "cpu_seconds": round(spent, 1)}


def run_all(seeds) -> None:
    torch.set_num_threads(1)
    for seed in seeds:
        affords = -1
        for arm in ARMS:
            found = STUDY.record(f"{arm}_{seed}", partial(run, arm, seed, affords if arm == "short" else -1))
            affords = found["flops"] // flops(LENGTHS[-1])
            print(arm, seed, f"{found['bits']:.4f}", found["cpu_seconds"], flush=True)


def verdict(found: Paired, below: float) -> str:
    if found.t is None:
        return "one seed"
    word = "held" if found.t[1] < below else "refuted" if found.t[0] > below else "not shown"
    return word if found.seeds >= SEEDS else f"{word} so far"


def interval(found: Paired) -> str:
    low, high = found.t or (found.mean, found.mean)
    return f"{found.mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def rows(runs: dict[str, dict[int, dict]]) -> list[list[str]]:
    full = {seed: one["bits"] for seed, one in runs["full"].items()}
    lines = []
    for arm in ARMS:
        bits = [one["bits"] for one in runs[arm].values()]
        share = fmean(one["flops"] / runs["full"][seed]["flops"] for seed, one in runs[arm].items())
        seconds = fmean(one["cpu_seconds"] for one in runs[arm].values())
        against = paired({seed: one["bits"] for seed, one in runs[arm].items()}, full)
        beside = "" if arm == "full" or against is None else interval(against)
        lines.append([
            arm,
            str(len(bits)),
            f"{share:.0%}",
            f"{seconds:.1f}",
            f"{fmean(bits):.3f} ± {stdev(bits):.3f}",
            beside,
        ])
    return lines


def by_part(runs: dict[str, dict[int, dict]]) -> list[list[str]]:
    """After the claims: where in the sequence the arms differ."""
    means = {
        arm: [fmean(bits) for bits in zip(*(one["bits_by_part"] for one in runs[arm].values()), strict=True)]
        for arm in ARMS
    }
    return [[arm, *(f"{mean:.3f}" for mean in means[arm])] for arm in ARMS]


def page(found: list[dict]) -> str:
    runs = {arm: {r["seed"]: r for r in found if r["arm"] == arm and r["seed"] < DEVELOPMENT} for arm in ARMS}
    bits = {arm: {seed: one["bits"] for seed, one in ones.items()} for arm, ones in runs.items()}
    claims = []
    for claim, other, below in (("1: grown against short", "short", 0.0), ("2: grown against full", "full", MARGIN)):
        difference = paired(bits["grown"], bits[other])
        claims.append([claim, str(difference.seeds), interval(difference), verdict(difference, below)])
    trained = [[r["arm"], str(r["seed"]), f"{r['bits']:.3f}"] for r in found if r["seed"] >= DEVELOPMENT]
    heads = ["arm", "seeds", "operations", "CPU seconds", "bits per character", "against full"]
    return "\n".join([
        INTRODUCTION,
        table(["claim", "seeds", "difference in bits [95%]", "verdict"], claims),
        "## The arms\n",
        table(heads, rows(runs)),
        PARTS,
        table(["arm", *(f"positions {start + 1} to {end}" for start, end in pairwise((0, *LENGTHS)))], by_part(runs)),
        LIMITS,
        "## Development\n\nOne seed, before the claims were written, to see that the arms do what they should. Nothing was tuned.\n",
        table(["arm", "seed", "bits per character"], trained),
    ])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "judge"))
    parser.add_argument("--seeds", nargs="+", type=int, default=range(SEEDS))
    args = parser.parse_args()
    STUDY.judge(page) if args.what == "judge" else run_all(args.seeds)


if __name__ == "__main__":
    main()
