"""The page of the study of sharpness-aware steps: its claims, what its records say of them, and the tables."""

from itertools import chain
from statistics import fmean
from typing import Any

from ending_runs import TEST
from paired_runs import DEVELOPMENT, Found, Values, accuracy, claim_lines, claims_table, confirmation, difference, shown
from scoring import table
from sharpness_arms import ARMS, BATCH, COOLDOWN, DECAY, LONGER, PLAIN, SETUPS, SHORTER

RATE, RHO = 0.1, 0.2
"""Those with the highest mean on the development seed, chosen before the first run of the seeds 0 to 9."""
GAIN = 0.3
OURS, LONG = "SAM in the cooldown", "SGD, longer"

PAGE = """# Sharpness-aware steps only at the end, against a longer run

A sharpness-aware step (SAM, Foret et al. 2021, arXiv 2010.01412) needs two forward and backward passes. Zhou et al. 2025
(arXiv 2410.10373) report that such steps are only needed in the last part of a run. The fair baseline is a longer run of SGD at the
same cost. **Here the longer run of SGD was better on both data sets.** Sharpness-aware steps were not shown to be better in the cooldown
than as many elsewhere in the run, and a shorter run of nothing else was far worse. The package therefore does not offer them.

`python benchmarks/sharpness.py judge` writes this page from the runs in `results/sharpness/`; do not edit it.
`python benchmarks/sharpness.py run DATA` makes the runs that are missing, on one core.

## How it was measured

- Data: 2,000 training images of CIFAR-10 and Fashion-MNIST at half their size, drawn again for each seed; {test:,} test images.
  ResNet-8, batches of {batch}, SGD with Nesterov momentum 0.9 and weight decay 5e-4, a constant rate of {rate:g}, then
  `Cooldown(fraction={fraction:g})`. The step uphill has the length {rho:g} (rho); the running statistics of batch
  normalization are those of the first pass.
- Cost: forward and backward passes, in epochs of SGD. Every arm but `SGD` costs {longer}: {plain} epochs in which a fifth of the
  steps are sharpness-aware (on average, where they are random), {longer} epochs of SGD, or {shorter} epochs of sharpness-aware steps alone.
- `SGD, longer, averaged`: tested with averaged weights (`EMAWeightAveraging(decay={decay:g})`).

## Claims

Written down and committed before the first run of the seeds 0 to 9. Ten seeds a set-up; Student's t over the paired differences.

1. Sharpness-aware steps in the cooldown are at least {gain:g} points above the longer run of SGD, the interval above 0.
2. It is the end that matters: the same steps in the cooldown are above those in the first epochs, above every fifth step, above
   steps at random, and above a shorter run that takes no others: the interval above 0.

"Not shown" is an interval that leaves both open; "refuted" is one that excludes the claim.

{claims}
{sets}
## What this does not say

- These are short trainings on few images, which gain much from more steps: a longer run is hard to beat here. Where a run is long
  enough already, extra steps of SGD bring less.
- The gradient uphill is that of the whole batch of {batch}, over all parameters. One rate and one length were used for the
  seeds 0 to 9; no other form of the optimizer was tried.

## Development

Seed {development_seed}, before the confirmation runs: test accuracy %.

{development}
"""


def judged(setup: str, values: Values) -> list[list[str]]:
    """The lines of the claims' table that a set-up has."""
    others = ["SAM first", "SAM every fifth step", "SAM in random steps", "SAM throughout, shorter"]
    rows = [claim_lines(f"1: against {LONG}", setup, values, OURS, LONG, mean=GAIN)]
    rows += [claim_lines(f"2: against {other}", setup, values, OURS, other) for other in others]
    return list(chain(*rows))


def row(values: Values, arm: str) -> list[str]:
    return [
        arm,
        str(len(values[arm])),
        f"{fmean(run['cost'] for run in values[arm].values()):.1f}",
        accuracy(values[arm]),
        "" if arm == LONG else shown(difference(values, arm, LONG)),
    ]


def one_setup(setup: str, values: Values) -> str:
    head = ["arm", "seeds", "cost", "test accuracy %", f"against {LONG}"]
    return f"## {setup}\n\n{table(head, [row(values, arm) for arm in ARMS if values[arm]])}"


def development(found: list[Found]) -> str:
    tried: dict[tuple[Any, ...], dict[str, float]] = {}
    for run in found:
        if run["seed"] >= DEVELOPMENT:
            rho = run["rho"] if run["arm"] == OURS else "-"
            tried.setdefault((run["arm"], run["rate"], rho), {})[run["setup"]] = 100 * run["test_acc"]
    names = [setup.name for setup in SETUPS]
    rows = [
        [str(part) for part in key] + [f"{values[name]:.1f}" for name in names] + [f"{fmean(values.values()):.2f}"]
        for key, values in sorted(tried.items(), key=str)
    ]
    return table(["arm", "rate", "length uphill", *names, "mean"], rows)


def page(found: list[Found]) -> str:
    sets = {setup.name: confirmation(found, setup.name, ARMS) for setup in SETUPS}
    rows = [line for name, values in sets.items() for line in judged(name, values)]
    return PAGE.format(
        test=TEST,
        batch=BATCH,
        rate=RATE,
        rho=RHO,
        fraction=COOLDOWN.fraction,
        plain=PLAIN,
        longer=LONGER,
        shorter=SHORTER,
        decay=DECAY,
        gain=GAIN,
        claims=claims_table(rows),
        sets="\n".join(one_setup(name, values) for name, values in sets.items() if any(values.values())),
        development_seed=DEVELOPMENT,
        development=development(found),
    )
