"""The page of the study of augmentation that ends with the cooldown: its claims, what its records say, and the tables."""

from itertools import chain
from statistics import fmean
from typing import Any

from ending_runs import BATCH, TEST
from late_augmentation_arms import ALPHA, ARMS, MAGNITUDE, OPERATIONS, SETUPS, WEAKER
from paired_runs import Values, accuracy, claim_lines, claims_table, confirmation, difference, shown
from scoring import table
from sharpness_arms import COOLDOWN, PLAIN

RATE = 0.1
"""That of the study of sharpness-aware steps, on the same data and network."""
MARGIN, LOSS = 0.5, 1.0
THROUGHOUT = {
    "RandAugment, off in the cooldown": "RandAugment",
    "RandAugment, weaker in the cooldown": "RandAugment",
    "MixUp, off in the cooldown": "MixUp",
}
EARLY = "RandAugment, off at the published rule"

PAGE = """# Augmentation that ends with the cooldown

Strong augmentation costs time where the data pipeline is the bottleneck. Here it is off, or weaker, in the cooldown only, by
`Phased`. **That lost nothing: with RandAugment and with MixUp, on both data sets, the whole interval is above -0.5 points, and every
mean is above 0.** A fifth of the images then need no RandAugment.

RandAugment was not shown to help here at all. To leave it out far earlier, from the published rule's epoch on, cost no accuracy either; we
had claimed that it would.

`python benchmarks/late_augmentation.py judge` writes this page from the runs in `results/late_augmentation/`; do not edit it.
`python benchmarks/late_augmentation.py run DATA` makes the runs that are missing, on one core.

## How it was measured

- Data: 2,000 training images of CIFAR-10 and Fashion-MNIST at half their size, drawn again for each seed; {test:,} test images.
  ResNet-8, {epochs} epochs in batches of {batch}, SGD with Nesterov momentum 0.9 and weight decay 5e-4, a constant rate of {rate:g}, then
  `Cooldown(fraction={fraction:g})`. Every batch is shifted by up to a pixel and mirrored, in every arm.
- RandAugment: {operations} operations an image at magnitude {magnitude}, `weaker` is {weaker}. MixUp: Beta({alpha:g}, {alpha:g}).
- `off at the published rule`: from the epoch on with which `Slope.published()` fires on layer rotation. At first this arm also ended
  its runs there, against its description. That was seen after five seeds; all its runs were made again, with the steps of the others.
- The number of steps is the same in every arm.
- The CPU seconds are those of the process on a machine with other work.

## Claims

Written down and committed before the first run of the seeds 0 to 9. Ten seeds a set-up; Student's t over the paired differences.

1. Augmentation that is off in the cooldown is not below the same augmentation throughout: the whole interval is above -{margin:g} points,
   for RandAugment and for MixUp. The same for RandAugment that is weaker in the cooldown.
2. Off from the published rule's epoch on, RandAugment is at least {loss:g} point below RandAugment throughout, the interval below 0.

"Not shown" is an interval that leaves both open; "refuted" is one that excludes the claim.

{claims}
{sets}
## What this does not say

- These are short trainings on few images, at half their size. None of the augmentations was tuned, and how much they gain is not the
  question here: the last column shows it.
- No machine here had a data pipeline that the training waits for. The images that go through RandAugment are counted; how many
  seconds that saves depends on the machine.
"""


def judged(setup: str, values: Values) -> list[list[str]]:
    """The lines of the claims' table that a set-up has."""
    rows = [
        claim_lines(f"1: {arm}, against throughout", setup, values, arm, throughout, -MARGIN)
        for arm, throughout in THROUGHOUT.items()
    ]
    rows.append(claim_lines(f"2: RandAugment against {EARLY}", setup, values, "RandAugment", EARLY, mean=LOSS))
    return list(chain(*rows))


def row(values: Values, arm: str) -> list[str]:
    runs = list(values[arm].values())
    return [
        arm,
        str(len(runs)),
        f"{fmean(run['augmented'] for run in runs):,.0f}",
        f"{fmean(run['cpu_seconds'] for run in runs):.0f}",
        accuracy(values[arm]),
        "" if arm == "none" else shown(difference(values, arm, "none")),
    ]


def one_setup(setup: str, values: Values) -> str:
    head = ["arm", "seeds", "images through RandAugment", "CPU seconds", "test accuracy %", "against none"]
    return f"## {setup}\n\n{table(head, [row(values, arm) for arm in ARMS if values[arm]])}"


def page(found: list[dict[str, Any]]) -> str:
    sets = {setup.name: confirmation(found, setup.name, ARMS) for setup in SETUPS}
    rows = [line for name, values in sets.items() for line in judged(name, values)]
    return PAGE.format(
        test=TEST,
        batch=BATCH,
        epochs=PLAIN,
        rate=RATE,
        fraction=COOLDOWN.fraction,
        operations=OPERATIONS,
        magnitude=MAGNITUDE,
        weaker=WEAKER,
        alpha=ALPHA,
        margin=MARGIN,
        loss=LOSS,
        claims=claims_table(rows),
        sets="\n".join(one_setup(name, values) for name, values in sets.items() if any(values.values())),
    )
