"""The page of the study of `GrowingImages`: its claims, what its records say of them, and the tables."""

from statistics import fmean, stdev
from typing import Any

from growing_arms import ARMS, AT, BATCH, PASSES, PEAK, RULE, SETUPS, TEST, VALIDATION
from scoring import table, words

from lightning_critperiod.studies.statistics import Paired, paired

SEEDS = 10
DEVELOPMENT = 100
"""Seeds from here on were looked at while the study was set up."""
GAIN, MARGIN, FEWER = 1.0, 0.2, 0.4
SHORT = {"grown": "short", "grown by rule": "short as the rule"}

Found = dict[str, Any]
Values = dict[str, dict[int, Found]]


def complete(found: list[Found], setup: str) -> Values:
    """Arm -> seed -> run, of the confirmation seeds that have every arm."""
    runs = [run for run in found if run["setup"] == setup and run["seed"] < DEVELOPMENT]
    by_arm = {arm: {run["seed"]: run for run in runs if run["arm"] == arm} for arm in ARMS}
    seeds = set.intersection(*map(set, by_arm.values()))
    return {arm: {seed: by_arm[arm][seed] for seed in sorted(seeds)} for arm in ARMS} if seeds else {}


def points(runs: dict[int, Found]) -> dict[int, float]:
    return {seed: 100 * run["test_acc"] for seed, run in runs.items()}


def difference(values: Values, arm: str, other: str) -> Paired:
    found = paired(points(values[arm]), points(values[other]))
    assert found is not None
    return found


def cost(values: Values, arm: str) -> float:
    """Operations in parts of those of `full`."""
    return fmean(values[arm][seed]["flops"] / values["full"][seed]["flops"] for seed in values["full"])


def shown(found: Paired) -> str:
    low, high = found.t or (float("nan"), float("nan"))
    return f"{found.mean:+.1f} [{low:+.1f}, {high:+.1f}]" if found.t else f"{found.mean:+.1f}"


def verdict(held: bool, against: bool, seeds: int) -> str:
    """Against is what an interval excludes; with fewer seeds than planned nothing is final."""
    word = "held" if held else "refuted" if against else "not shown"
    return word if seeds >= SEEDS else f"{word} so far"


def judged(values: Values) -> list[tuple[str, Paired, bool, bool]]:
    """(claim, difference, whether it held, whether its interval excludes it)."""
    rows = []
    for arm, short in SHORT.items():
        found = difference(values, arm, short)
        low, high = found.t or (-99.0, 99.0)
        rows.append((f"1: {arm} against {short}", found, found.mean >= GAIN and low > 0, high < GAIN))
    for arm in SHORT:
        found = difference(values, arm, "full")
        low, high = found.t or (-99.0, 99.0)
        cheap = cost(values, arm) <= 1 - FEWER
        name = f"2: {arm} against full, {1 - cost(values, arm):.0%} fewer operations"
        rows.append((name, found, low > -MARGIN and cheap, high < -MARGIN or not cheap))
    for name, arm, other in (
        ("3: stretched against full", "stretched", "full"),
        ("4: grown against reverse", "grown", "reverse"),
        ("4: grown against random", "grown", "random"),
    ):
        found = difference(values, arm, other)
        low, high = found.t or (-99.0, 99.0)
        rows.append((name, found, low > 0, high < 0))
    return rows


def claims(sets: dict[str, Values]) -> str:
    rows = []
    for setup, values in sets.items():
        n = len(values["full"])
        rows += [
            [claim, setup, str(n), shown(found), verdict(*held, n) if n > 1 else "one seed"]
            for claim, found, *held in judged(values)
        ]
    rows.sort(key=lambda row: row[0].split(",")[0])
    head = ["claim", "set-up", "seeds", "difference in points [95%]", "verdict"]
    return table(head, rows) if rows else "No seed is complete yet.\n"


def row(values: Values, arm: str) -> list[str]:
    runs = values[arm]
    accuracies = list(points(runs).values())
    spread = f" ± {stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
    as_costly = {**SHORT, "reverse": "short", "random": "short"}
    own = [100 * run["test_acc_at_its_size"] for run in runs.values() if "test_acc_at_its_size" in run]
    return [
        arm,
        f"{cost(values, arm):.0%}",
        f"{fmean(run['cpu_seconds'] for run in runs.values()):.0f}",
        f"{fmean(accuracies):.1f}{spread}" + (f" ({fmean(own):.1f} at its own size)" if own else ""),
        "" if arm == "full" else shown(difference(values, arm, "full")),
        shown(difference(values, arm, as_costly[arm])) if arm in as_costly else "",
    ]


def one_setup(setup: str, values: Values) -> str:
    head = ["arm", "operations", "CPU seconds", "test accuracy %", "against full", "against its short run"]
    grown = [run["sizes"] for run in values["grown by rule"].values()]
    sizes = SETUPS[setup].sizes
    starts = "; ".join(f"{s.index(sizes[1]) if sizes[1] in s else '-'} and {s.index(sizes[2])}" for s in grown)
    return (
        f"## {setup}\n\n{len(grown)} of {SEEDS} seeds. Sizes {', '.join(map(str, sizes))} px.\n\n"
        f"{table(head, [row(values, arm) for arm in ARMS])}\n"
        f"The rule began the second and the full size with epochs {starts} (0-based; one pair a seed).\n"
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

Made by `python benchmarks/growing.py judge` from the runs in `results/growing/`; do not edit.
`python benchmarks/growing.py run DATA` makes the runs that are missing, seed by seed, on one core.

A shorter run of the same arithmetic is what a cheaper run has to beat. Real fits with `CriticalPeriodCallback` and
`GrowingImages`; the network is tested on images of full size.

- Data: {images:,} training images for Fashion-MNIST and CIFAR-10, drawn anew for each seed; {validation} validation images, which
  only the rule reads; the first {test:,} test images. The datamodules' own augmentation. ResNet-8. The script also runs ResNet-20,
  and CIFAR-100 with 10,000 images.
- Training: {passes} passes in batches of {batch}, SGD with Nesterov momentum 0.9 and weight decay 5e-4, one pass of warm-up to {peak},
  then a cosine to zero over the steps of the arm's own length. Every arm is tested with averaged weights
  (`EMAWeightAveraging(decay=0.98)`), and the rule reads their validation accuracy.
- Cost: floating-point operations of the training steps, forward and backward, by torch's counter, one measurement a size;
  validation is not counted. The CPU seconds are those of the process on a machine with other work.
- `full`: every pass at full size. `grown`: the second size begins at {at[0]:.0%} of the run, the full one at {at[1]:.0%}.
  `grown by rule`: {rule} on the validation accuracy since the last growth, in time for the last quarter. `short`
  and `short as the rule`: full size, as many steps as pay for the same operations. `reverse`: the sizes of `grown` in reverse
  order. `random`: a size for each batch, with the shares of `grown`. `small`: the first size throughout. `stretched`: `grown`
  with as many passes as cost no more than `full`.
- Left out: a shorter run of the same seconds. Operations are the cost here; seconds on this machine are noise.

## Claims

Written down and committed before the first run of the seeds 0 to 9. They are about every set-up, with ten seeds; the intervals are
Student's t over the paired differences.

1. `grown` and `grown by rule` are each at least {gain:g} point above the shorter run of the same operations, the interval above 0.
2. Both are within {margin:g} points of `full` (the whole interval above -{margin:g}) with at least {fewer:.0%} fewer operations.
3. `stretched` is above `full`: the interval is above 0.
4. The order does it: `grown` is above `reverse` and above `random`, the interval above 0.

"Not shown" is an interval that leaves both open; "refuted" is one that excludes the claim.

{claims}
{setups}
## Development

Seed {development_seeds}, before the claims were written. It chose the batch size and the peak of the learning rate, and showed that the arms do
what they should. Sizes and fractions are those of an earlier pilot, the rule was taken as it is.

{development}"""


def page(found: list[Found]) -> str:
    sets = {setup: values for setup in SETUPS if (values := complete(found, setup))}
    return PAGE.format(
        images=2_000,
        validation=VALIDATION,
        test=TEST,
        passes=PASSES,
        batch=BATCH,
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
