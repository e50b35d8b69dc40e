"""The page of the headline study: its claims, what its records say of them, and the tables."""

from collections.abc import Iterable
from statistics import fmean
from typing import Any

from growing_arms import AT
from growing_setups import PEAK
from headline_arms import (
    ALL,
    ARMS,
    CANDIDATES,
    CHOSEN,
    DEPTH,
    DEVELOPED,
    DEVELOPMENT,
    EPOCHS,
    LARGE,
    PEAKS,
    PRECISION,
    SETUPS,
    VIEWS,
    WINDOW,
)
from headline_figure import difference
from paired_runs import Found, Values, accuracy, confirmation, points, shown, verdict
from scoring import table

MARGIN, FEWER = 0.2, 0.6


def sets_of(found: list[Found], setups: Iterable[str] = SETUPS) -> dict[str, Values]:
    """The set-ups in which every arm has a run."""
    return {name: values for name in setups if all((values := confirmation(found, name, ARMS)).values())}


def cost(values: Values, arm: str) -> float:
    """Operations in parts of those of the full recipe."""
    full = next(iter(values["full recipe"].values()))["flops"]
    return fmean(run["flops"] for run in values[arm].values()) / full


def judged(setup: str, values: Values) -> list[list[str]]:
    """The lines of the claims' table that a set-up has."""
    fewer = 1 - cost(values, "together")
    against = difference(values, "together", "full recipe")
    fixed = max(("short", "grown"), key=lambda arm: mean(values, arm))
    schedule = difference(values, "together", fixed)
    return [
        [
            f"1: no loss, {fewer:.0%} fewer operations",
            setup,
            str(against.seeds),
            shown(against),
            verdict(against, -MARGIN, cheap=fewer >= FEWER),
        ],
        ["1: above the full recipe on one data set", setup, str(against.seeds), shown(against), verdict(against, 0.0)],
        [
            f"2: above the better fixed schedule, `{fixed}`",
            setup,
            str(schedule.seeds),
            shown(schedule),
            verdict(schedule, 0.0),
        ],
    ]


def mean(values: Values, arm: str) -> float:
    return fmean(points(values[arm]).values())


def row(values: Values, arm: str) -> list[str]:
    return [
        arm,
        str(len(values[arm])),
        f"{cost(values, arm):.0%}",
        f"{fmean(run['steps'] for run in values[arm].values()):,.0f}",
        f"{fmean(run['cpu_seconds'] for run in values[arm].values()):.0f}",
        accuracy(values[arm]),
        "" if arm == "together" else shown(difference(values, "together", arm)),
    ]


def one_setup(setup: str, values: Values) -> str:
    head = ["arm", "seeds", "operations", "steps", "CPU s", "accuracy %", "`together` minus it"]
    of = ALL[setup]
    return (
        f"## {setup}\n\n{of.images:,} training images, sizes {', '.join(map(str, of.sizes))} px.\n\n"
        f"{table(head, [row(values, arm) for arm in ARMS])}"
    )


Setting = tuple[str, str, float]
"""Arm, candidate, peak."""


def settings(found: list[Found]) -> dict[Setting, dict[str, Found]]:
    """Setting -> set-up -> run of the development seed."""
    tried: dict[Setting, dict[str, Found]] = {}
    for run in sorted((run for run in found if run["seed"] >= DEVELOPMENT), key=lambda run: run["setup"]):
        tried.setdefault((run["arm"], run["candidate"], run["peak"]), {})[run["setup"]] = run
    return dict(sorted(tried.items()))


def choice(found: list[Found]) -> dict[str, tuple[str, float]]:
    """Arm -> candidate and peak: the best mean over the set-ups; `together` has to be cheap in each of them."""
    tried = settings(found)
    full = next(runs for (arm, *_), runs in tried.items() if arm == "full recipe")
    best: dict[str, Setting] = {}
    for setting, runs in tried.items():
        cheap = all(runs[name]["flops"] <= (1 - FEWER) * full[name]["flops"] for name in runs)
        if setting[0] != "together" or cheap:
            best[setting[0]] = max(best.get(setting[0], setting), setting, key=lambda one: of_setups(tried[one]))
    return {arm: (candidate, peak) for arm, candidate, peak in best.values()}


def of_setups(runs: dict[str, Found]) -> float:
    return fmean(100 * run["test_acc"] for run in runs.values())


def development(found: list[Found]) -> str:
    tried, rows = settings(found), []
    full = next((runs for (arm, *_), runs in tried.items() if arm == "full recipe"), {})
    for (arm, candidate, peak), runs in tried.items():
        cells = [
            f"{100 * runs[name]['test_acc']:.1f} at {runs[name]['flops'] / full[name]['flops']:.1%}"
            for name in DEVELOPED
        ]
        chosen = "yes" if peak == PEAKS[arm] and candidate in {"", CHOSEN} else ""
        name = f"{arm} ({candidate})" if candidate else arm
        rows.append([name, f"{peak:g}", *cells, f"{of_setups(runs):.2f}", chosen])
    return table(["arm", "peak", *DEVELOPED, "mean", "chosen"], rows)


PAGE = """# Everything together, against the paper's full recipe

How much accuracy do the package's cheaper recipes keep when they are used together? The paper's full recipe draws {views} augmented
views of every sample in every epoch and decays the learning rate with a cosine. It is compared with low resolution first, a constant
rate, averaged weights and a cooldown, all together, and with schedules of known length that cost as much as that.

{answer}
{large_answer}

## How it was measured

- Data: the first images of Fashion-MNIST, CIFAR-10 and CIFAR-100. A fifth of the training images is for validation; of the
  others, {images} are drawn for each seed. The datamodules' own augmentation. ResNet-{depth}, batches of {batch}, SGD
  with Nesterov momentum 0.9 and weight decay 5e-4, one pass of warm-up, precision {precision}.
- Every arm is tested with averaged weights (`EMAWeightAveraging(decay={window})`), on test images that nothing else sees.
- Cost: floating-point operations of the training steps, forward and backward, by torch's counter. Validation is not counted.
- `full recipe`: {views} views, {epochs} epochs, full size, cosine to zero.
- `together`: {views} views, {epochs_together} epochs, images that grow at {at} of them, a constant learning rate, then a cooldown to zero over
  a quarter of the epochs before it. This is `configs/cheaper`. No rule decides anything in it. In other candidates,
  rules on the accuracy of the averaged weights grew the images or began the cooldown; at 60% fewer operations they were not the best.
- `short`: the full recipe, in as many steps as the operations of `together` allow. `grown`: images that grow at {at} of the
  run, with a cosine, in as many passes as the operations of `together` allow.
- Added when these results were known, with the same claims and the same recipes: ResNet-18 on CIFAR-10, on a GPU, {large_images:,} of the
  first 12,500 images, batches of {large_batch}. Every arm has the peak {large_peak}, the best of three in the development of
  [the study of growing images](growing.md). No peak was chosen for the recipes themselves, and the full recipe ends below that
  of ResNet-8: a lower rate may suit it better.
- Device: {device}, one thread, torch {torch}. The CPU seconds are those of the process, validation included, on a machine
  with other work.

## Claims

Written down and committed before the first run of the seeds 0 to 9. Ten seeds for each data set. Differences are in points of test
accuracy, paired by seed, with a 95% t-interval.

1. `together` has at least 60% fewer operations than `full recipe`, and the whole 95% interval of its difference in test
   accuracy is above -0.2 points on every data set; on at least one the interval is above 0.
2. `together` is above the better of `short` and `grown`, fixed schedules of the same operations: the interval above 0.

"Not shown": the interval leaves both open. "Refuted": the interval excludes the claim.

{claims}
{sets}
## Development

Seed {development_seed} of {developed}, before the confirmation runs: accuracy %, and operations as a percentage of the full recipe's. The best
mean over the two data sets chose the peak of the learning rate of each arm, and the recipe of `together`, which must have at
least 60% fewer operations on both. The candidate that led at two peaks was tried at the third too.

{development}
{candidates}

## How to reproduce it

`python benchmarks/headline.py judge` writes this page from the runs in `results/headline`; do not edit it.
`python benchmarks/headline.py run DATA --jobs N` makes the runs that are missing.
"""


def answer(sets: dict[str, Values]) -> str:
    """What the verdicts say, in words."""
    fewer = sorted(1 - cost(values, "together") for values in sets.values())
    rows = {name: judged(name, values) for name, values in sets.items()}

    def where(place: int, verdict: str) -> str:
        *most, last = [name for name, found in rows.items() if found[place][-1] == verdict] or [""]
        return f"{', '.join(most)} and {last}" if most else last

    loss = (
        ("It loses nothing on", where(0, "held")),
        ("It loses accuracy on", where(0, "refuted")),
        ("A loss is neither shown nor excluded on", where(0, "not shown")),
        ("It is better than fixed schedules of the same operations on", where(2, "held")),
    )
    said = " ".join(f"{words} {names}." for words, names in loss if names)
    cheap = f"{fewer[0]:.0%} to {fewer[-1]:.0%} fewer operations than the full recipe" if fewer else "no runs yet"
    return f"**`together` needs {cheap}. {said}**"


def large_answer(sets: dict[str, Values]) -> str:
    """The same of the set-ups of the large network."""
    said = []
    for name in sets.keys() & LARGE.keys():
        data, network = name.split(", ")
        full, fixed = (judged(name, sets[name])[place][3:] for place in (0, 2))
        said.append(
            f"With {network} on {data}, on a GPU: {full[0]} points against the full recipe (claim 1 is {full[1]}), "
            f"{fixed[0]} against the better fixed schedule (claim 2 {fixed[1]})."
        )
    return "\n".join(said)


def candidates() -> str:
    return "\n".join(f"- `{name}`: `{candidate}`" for name, candidate in CANDIDATES.items())


def page(found: list[Found]) -> str:
    sets = sets_of(found)
    every = sets | sets_of(found, LARGE)
    (large,) = LARGE.values()
    rows = [line for name, values in every.items() for line in judged(name, values)]
    some: dict[str, Any] = found[0] if found else {"device": "-", "torch": "-"}
    return PAGE.format(
        answer=answer(sets),
        large_answer=large_answer(every),
        views=VIEWS,
        epochs=EPOCHS,
        batch=SETUPS["CIFAR-10"].batch,
        window=WINDOW,
        at=" and ".join(map(str, AT)),
        images=" or ".join(f"{n:,}" for n in sorted({setup.images for setup in SETUPS.values()})),
        depth=DEPTH,
        large_images=large.images,
        large_batch=large.batch,
        large_peak=PEAK,
        precision=PRECISION,
        epochs_together=CANDIDATES[CHOSEN].epochs,
        device=some["device"],
        torch=some["torch"],
        claims=table(["claim", "data set", "seeds", "difference", "verdict"], sorted(rows, key=lambda r: r[0][0])),
        sets="\n".join(one_setup(name, values) for name, values in every.items()),
        development_seed=DEVELOPMENT,
        developed=" and ".join(DEVELOPED),
        development=development(found),
        candidates=candidates(),
    )
