"""The page of the study of freezing: its claims, what its records say of them, and the tables."""

from statistics import fmean

from freezing_arms import CONSTANT, FINE_RATE, FIXED, PRETRAINED, RATE, SETUPS, Candidate, Setup, slow
from paired_runs import (
    DEVELOPMENT,
    Found,
    Values,
    accuracy,
    claim_lines,
    claims_table,
    confirmation,
    cost,
    difference,
    points,
    shown,
)
from scoring import table

CHOSEN = Candidate(slow, 0.3)
"""Of the rules that lose at most 0.2 points in both fine-tuned set-ups of the development, the one that saves most in the mean."""
MARGIN, FEWER = 0.2, 0.15
OURS = CHOSEN.name
ARMS = ("full", OURS, "short", "fixed")

PAGE = """# Freezing what no longer rotates

Frozen layers at the front of a network need no backward pass. Layer rotation is measured for each layer: can it say which layers to
freeze, at no loss? **Here it could not.** In fine-tuning, the rule saved 6% and 7% of the operations, and was not shown to be better
than a shorter run that saved as much. From scratch it was more than a point worse than such a run. The package therefore does not
freeze layers.

`python benchmarks/freezing.py judge` writes this page from the runs in `results/freezing/`; do not edit it.
`python benchmarks/freezing.py run DATA` makes the runs that are missing, on one core.

## How it was measured

- Data: CIFAR-10 and Fashion-MNIST at half their size, drawn again for each seed; all test images. ResNet-8, batches of 32, SGD
  with Nesterov momentum 0.9 and weight decay 5e-4, a constant rate for {constant:.0%} of the run, then a decay to zero as 1 - sqrt(u).
- Fine-tuning: pretrained on {pretrained_images:,} images of the first five classes for {pretrained_epochs} epochs at a rate of {rate:g}; then a new head,
  and {sizes} of the other five classes at {fine_rate:g}. From scratch: all classes, at {rate:g}.
- `{ours}`: the parts of the network are the stem and the three blocks. After every epoch at the constant rate, from the third one on,
  the first part that is not frozen yet is frozen if the rule says so, then the next one, and so on. Batch normalization goes on as
  before. Rotation is the mean over the weight matrices of a part, against the weights at the start of the training or fine-tuning.
- `{ours}` was chosen before the first run of the seeds 0 to 9: of the rules that lose at most 0.2 points in both fine-tuned set-ups of the
  development, the one that saves most on average. No rule saved {fewer:.0%} there at so small a loss.
- Two rules were tried in the development, each at several tolerances t. They look at the mean gain of rotation in the last two epochs.
  `stopped` freezes a part whose gain is at most t times its own largest gain in an epoch, `slow` one whose gain is at most t times that
  of the part that gains most.
- `short`: nothing is frozen, as many steps as the operations of `{ours}` pay for. `fixed`: the first {fixed} parts are frozen from the
  first step on. `full`: nothing is frozen.
- Cost: floating-point operations of the training steps by torch's counter, one measurement for each number of frozen parts.

## Claims

Written down and committed before the first run of the seeds 0 to 9. Ten seeds a set-up; Student's t over the paired differences.

1. When fine-tuning, `{ours}` is within {margin:g} points of `full` (the whole interval above -{margin:g}) with at least {fewer:.0%} fewer operations.
2. It is above `short`: the interval is above 0. About every set-up.

"Not shown" is an interval that leaves both open; "refuted" is one that excludes the claim, or a saving
that is too small for it: claim 1 fails for that reason on Fashion-MNIST.

{claims}
{sets}
## What this does not say

- The network is small, and was pretrained on few images. Nothing is said about large backbones, where most of the operations are in
  layers that fine-tuning hardly turns.
- A part is frozen for good, while the rate is constant, in the order of the network. Freezing by gradients was not tried.
- In fine-tuning a higher tolerance saved more and, on the whole, lost more: the table of the development has nine rules.

## Development

Seeds from {development_seed} on, before the confirmation runs: means of the test accuracy and of the operations, as a share of those of `full`.
`short` has the operations of the first rule, `stopped at 0.1`.

{development}
"""


def by_arm(found: list[Found]) -> list[Found]:
    """A run for each arm; a record has all arms of a seed."""
    return [
        {"setup": run["setup"], "seed": run["seed"], "arm": arm, **result}
        for run in found
        for arm, result in run["arms"].items()
    ]


def judged(setup: Setup, values: Values) -> list[list[str]]:
    """The lines of the claims' table that a set-up has."""
    fewer = 1 - cost(values, OURS)
    claim = f"1: against full, {fewer:.0%} fewer operations"
    first = claim_lines(claim, setup.name, values, OURS, "full", -MARGIN, cheap=fewer >= FEWER)
    second = claim_lines("2: against short", setup.name, values, OURS, "short")
    return (first if setup.pretrained else []) + second


def row(values: Values, arm: str) -> list[str]:
    against = "" if arm == "full" else shown(difference(values, arm, "full"))
    return [arm, str(len(values[arm])), f"{cost(values, arm):.0%}", accuracy(values[arm]), against]


def one_setup(setup: Setup, values: Values) -> str:
    head = ["arm", "seeds", "operations", "test accuracy %", "against full"]
    size = f"{setup.images:,} images, {setup.epochs} epochs."
    return f"## {setup.name}\n\n{size}\n\n{table(head, [row(values, arm) for arm in ARMS])}"


def development(found: list[Found]) -> str:
    rows = []
    for setup in SETUPS:
        runs = [run for run in found if run["setup"] == setup.name and run["seed"] >= DEVELOPMENT]
        values: Values = {}
        for run in runs:
            values.setdefault(run["arm"], {})[run["seed"]] = run
        for arm, tried in values.items():
            mean = fmean(points(tried).values())
            rows.append([setup.name, arm, str(len(tried)), f"{mean:.2f}", f"{cost(values, arm):.0%}"])
    return table(["set-up", "arm", "seeds", "test accuracy %", "operations"], rows)


def page(found: list[Found]) -> str:
    runs = by_arm(found)
    sets = {setup: values for setup in SETUPS if any((values := confirmation(runs, setup.name, ARMS)).values())}
    rows = [line for setup, values in sets.items() for line in judged(setup, values)]
    fine = next(setup for setup in SETUPS if setup.pretrained)
    return PAGE.format(
        constant=CONSTANT,
        pretrained_images=PRETRAINED[0],
        pretrained_epochs=PRETRAINED[1],
        rate=RATE,
        fine_rate=FINE_RATE,
        sizes=f"{fine.epochs} epochs on {fine.images:,} images",
        ours=OURS,
        fixed=FIXED,
        margin=MARGIN,
        fewer=FEWER,
        claims=claims_table(rows),
        sets="\n".join(one_setup(setup, values) for setup, values in sets.items()),
        development_seed=DEVELOPMENT,
        development=development(runs),
    )
