"""The page of the study of `GrowingImages`: its claims, what its records say of them, and the tables."""

from functools import partial
from itertools import chain
from statistics import fmean

from growing_arms import ARMS, AT, PASSES, RULE, TEST, VALIDATION
from growing_setups import FAST, PEAK, SETUPS
from paired_runs import DEVELOPMENT, Found, Values, accuracy, claim_lines, confirmation, cost, difference, shown
from scoring import table, words

GAIN, MARGIN, FEWER = 1.0, 0.2, 0.4
SHORT = {"grown": "short", "grown by rule": "short as the rule"}


def judged(setup: str, values: Values) -> list[list[str]]:
    """The lines of the claims' table that a set-up has."""
    lines = partial(claim_lines, setup=setup, values=values)
    rows = [lines(f"1: {arm} against {short}", arm=arm, other=short, mean=GAIN) for arm, short in SHORT.items()]
    for arm in SHORT:
        fewer = 1 - cost(values, arm)
        claim = f"2: {arm} against full, {fewer:.0%} fewer operations"
        rows.append(lines(claim, arm=arm, other="full", least=-MARGIN, cheap=fewer >= FEWER))
    rows.append(lines("3: stretched against full", arm="stretched", other="full"))
    rows += [lines(f"4: grown against {other}", arm="grown", other=other) for other in ("reverse", "random")]
    return list(chain(*rows))


def claims(sets: dict[str, Values]) -> str:
    rows = [row for setup, values in sets.items() for row in judged(setup, values)]
    rows.sort(key=lambda row: row[0].split(",")[0])
    head = ["claim", "set-up", "seeds", "difference, points", "verdict"]
    return table(head, rows) if rows else "No run is there yet.\n"


def row(values: Values, arm: str) -> list[str]:
    runs = values[arm]
    as_costly = {**SHORT, "reverse": "short", "random": "short"}
    own = [100 * run["test_acc_at_its_size"] for run in runs.values() if "test_acc_at_its_size" in run]
    return [
        arm,
        str(len(runs)),
        f"{cost(values, arm):.0%}",
        f"{fmean(run['cpu_seconds'] for run in runs.values()):.0f}",
        accuracy(runs) + (f" ({fmean(own):.1f} at its own size)" if own else ""),
        "" if arm == "full" else shown(difference(values, arm, "full")),
        shown(difference(values, arm, as_costly[arm])) if arm in as_costly else "",
    ]


def starts(run: Found, sizes: tuple[int, ...]) -> str:
    """The 0-based epochs with which the second and the full size began."""
    seen = run["sizes"]
    return " and ".join(str(seen.index(size)) if size in seen else "-" for size in sizes[1:])


def one_setup(setup: str, values: Values) -> str:
    head = ["arm", "seeds", "operations", "CPU seconds", "test accuracy %", "against full", "against its short run"]
    sizes = SETUPS[setup].sizes
    began = "; ".join(starts(run, sizes) for _, run in sorted(values["grown by rule"].items()))
    rule = (
        f"\nThe rule began the second and the full size with epochs {began} (0-based; one pair a seed).\n"
        if began
        else ""
    )
    return (
        f"## {setup}\n\nSizes {', '.join(map(str, sizes))} px.\n\n"
        f"{table(head, [row(values, arm) for arm in ARMS if values[arm]])}{rule}"
    )


def development(found: list[Found]) -> str:
    runs = [run for run in found if run["seed"] >= DEVELOPMENT]
    runs.sort(key=lambda run: (run["setup"], run["batch"], run["peak"], run["seed"], ARMS.index(run["arm"])))
    rows = [
        [r["setup"], str(r["batch"]), f"{r['peak']:g}", str(r["seed"]), r["arm"], f"{100 * r['test_acc']:.1f}"]
        for r in runs
    ]
    return table(["set-up", "batch", "peak", "seed", "arm", "test accuracy %"], rows)


PAGE = """# Low resolution first, against a shorter run

Is it better to train on small images first (`GrowingImages`), or to train a shorter run that costs as much? Compare the arms
`grown` and `short` below, and `full`, the whole run. **On CIFAR-10 and CIFAR-100 growing images were 4.7 to 9.6 points better than
the shorter run, with every network; on Fashion-MNIST they were 1.8 points better with ResNet-20, and not shown to be a point better with
ResNet-8. Compared with the full run, at about half of its operations, they were better on CIFAR-100, lost accuracy on Fashion-MNIST, and
lost 2.2 to 3.5 points on CIFAR-10, which the runs of ResNet-18 leave open; with as many operations as the full run (`stretched`) they were
better on CIFAR-10 and CIFAR-100.** The network is always tested on images of full size.

## How it was measured

- Data: {images:,} training images for Fashion-MNIST and CIFAR-10, {hundred:,} for CIFAR-100, drawn again for each seed; {validation}
  validation images, which only the rule reads; the first {test:,} test images, 2,000 for CIFAR-100. The datamodules' own augmentation.
- Two set-ups came first: ResNet-8 on Fashion-MNIST and on CIFAR-10. The others, CIFAR-100 and ResNet-20, were added when the results
  of these two were known, with the same arms and claims and nothing chosen anew. They train with `precision="{precision}"`. To keep the
  cost down, ResNet-18 has five arms, `full`, `grown`, `short`, `random` and `stretched`, and ResNet-20 has all but `small`.
- ResNet-18 (with a 3 x 3 stem and no pooling) trains on a GPU, in batches of {large_batch}, on {large:,} of the first 12,500 training
  images; several runs share the GPU. The peak of the learning rate is the best of three on the development seed.
- Training: {passes} passes in batches of {batch}, SGD with Nesterov momentum 0.9 and weight decay 5e-4, one pass of warm-up to {peak},
  then a cosine to zero over the steps of the arm's own length. Every arm is tested with averaged weights
  (`EMAWeightAveraging(decay=0.98)`), and the rule reads their validation accuracy.
- Cost: floating-point operations of the training steps, forward and backward, by torch's counter, one measurement for each
  size; validation is not counted. The CPU seconds are those of the process, on a machine with other work.
- `full`: every pass at full size. `grown`: the second size begins at {at[0]:.0%} of the run, the full one at {at[1]:.0%}.
  `grown by rule`: {rule} on the validation accuracy since the last growth, in time for the last quarter. `short`
  and `short as the rule`: full size, as many steps as the same operations allow. `reverse`: the sizes of `grown` in reverse
  order. `random`: a size for each batch, with the shares of `grown`. `small`: the first size throughout. `stretched`: `grown`
  with as many passes as cost no more than `full`.
- Left out: a shorter run of as many seconds. On a machine with other work seconds are too noisy, and on an idle GPU a step of
  ResNet-18 with this batch takes as long at every size ([What it costs on a GPU](gpu.md)): as many seconds are the full run.

## Claims

Written down and committed before the first run of the seeds 0 to 9. They are about every set-up, with ten seeds; the 95% intervals are
Student's t over the paired differences.

1. `grown` and `grown by rule` are each at least {gain:g} point above the shorter run of the same operations, the interval above 0.
2. Both are within {margin:g} points of `full` (the whole interval above -{margin:g}) with at least {fewer:.0%} fewer operations.
3. `stretched` is above `full`: the interval is above 0.
4. The order does it: `grown` is above `reverse` and above `random`, the interval above 0.

"Not shown": the interval leaves both open. "Refuted": the interval excludes the claim, or the operations saved are too few for it.

{claims}
{setups}
## What this does not say

- These are short trainings of a small network: no arm has learned all that it could, so `full` is hard to come near.
- There is one schedule. Under the cosine the full size comes when the learning rate is low. A constant rate that decays at the full
  size only (a `Cooldown`) was not measured here, but in [Everything together](headline.md).
- Operations are not seconds: steps on small images do not keep a processor as busy (see the CPU seconds), and on a GPU these
  networks save little time or none, while ResNet-50 at 224 px does ([What it costs on a GPU](gpu.md)).
- The runs of ResNet-18 differ much from seed to seed: on some its full run and its short run learn badly at this rate, which was the
  lowest that was tried. Its differences are uncertain for that reason, as their intervals say.
- A network trained on small images only has a low accuracy on whole images (`small`). Most of that is the size, not the network.

## Development

Seed {development_seeds}. On Fashion-MNIST, before the claims were written, it chose the batch size and the peak of the learning rate for all
set-ups but ResNet-18, and showed that the arms do what they should. The runs on CIFAR-100 came later and chose nothing. Those of
ResNet-18 had 8,000 images and chose its peak. Sizes and fractions are those of an earlier pilot; nothing was tuned in the rule.

{development}
## How to reproduce it

`python benchmarks/growing.py judge` writes this page from the runs in `results/growing/`; do not edit it.
`python benchmarks/growing.py run DATA` makes the runs that are missing, seed by seed, on one core.
"""


def page(found: list[Found]) -> str:
    sets = {setup: values for setup in SETUPS if any((values := confirmation(found, setup, ARMS)).values())}
    return PAGE.format(
        images=2_000,
        hundred=SETUPS["cifar100, ResNet-8"].images,
        large=SETUPS["cifar10, ResNet-18"].images,
        large_batch=SETUPS["cifar10, ResNet-18"].batch,
        precision=FAST,
        validation=VALIDATION,
        test=TEST,
        passes=PASSES,
        batch=SETUPS["fashion, ResNet-8"].batch,
        peak=PEAK,
        at=AT,
        rule=words(RULE),
        gain=GAIN,
        margin=MARGIN,
        fewer=FEWER,
        claims=claims(sets),
        setups="\n".join(one_setup(setup, values) for setup, values in sets.items()),
        development_seeds=DEVELOPMENT,
        development=development(found),
    )
