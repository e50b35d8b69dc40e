"""The quantities that an arm's YAML names as ``$name``: pure functions of the plan, the seed, and what `ours` spent.

With E epochs, n samples in a pass, the full volume F and the cheap one f (samples drawn per sample of a pass), and the
budget B in passes: what an arm of the cost of ours, or of another arm that it follows, may draw, divided by n.
"""

import math
from collections.abc import Callable
from typing import Any

from lightning_critperiod.studies.compare.spent import Spent
from lightning_critperiod.studies.plan import Plan
from lightning_critperiod.studies.study_run import Rates

SHORTER = 0.7
"""Epochs of a run with a cooldown, as a part of E: as in `configs/cheaper`."""
LATE = 0.8
"""Where a switch was within the margin of the full recipe (`docs/late.md`), as a part of E."""
SIZES = (1 / 2, 3 / 4, 1)
"""Of images that grow, in parts of the full size: as in `configs/cheaper`."""

PLANNED: dict[str, Callable[[Plan, int], Any]] = {
    "full_multiplier": lambda plan, seed: plan.full.augmentation_multiplier,
    "full_pruning_ratio": lambda plan, seed: plan.full.pruning_ratio,
    "after_multiplier": lambda plan, seed: plan.after.augmentation_multiplier,
    "after_pruning_ratio": lambda plan, seed: plan.after.pruning_ratio,
    "half_epoch": lambda plan, seed: plan.max_epochs // 2,
    "random_epoch": lambda plan, seed: _random_epoch(plan.max_epochs, seed),
    "rule": lambda plan, seed: plan.stated_rule,
    "monitor": lambda plan, seed: plan.monitor.metric,
    "monitor_mode": lambda plan, seed: plan.monitor.mode,
    "shorter_epochs": lambda plan, seed: round(SHORTER * plan.max_epochs),
    "late_epoch": lambda plan, seed: round(LATE * plan.max_epochs),
    "image_sizes": lambda plan, seed: [round(part * (plan.image_size or 0)) for part in SIZES],
}
"""Known before any run: name -> f(plan, seed)."""

BUDGETED: dict[str, Callable[[Plan, Spent], Any]] = {
    "budget": lambda plan, spent: spent.budget,
    "constant_multiplier": lambda plan, spent: spent.passes / plan.max_epochs,
    "short_epochs": lambda plan, spent: _short_epochs(plan, spent),
    "short_multiplier": lambda plan, spent: _short_multiplier(plan, spent),
    "rs2_pruning_ratio": lambda plan, spent: _rs2_pruning_ratio(plan, spent),
    "reverse_epoch": lambda plan, spent: _reverse_epoch(plan, spent),
    "reverse_multiplier": lambda plan, spent: _reverse_multiplier(plan, spent),
    "ramp": lambda plan, spent: ramp(plan.full.fraction, plan.after.fraction, plan.max_epochs, spent.passes),
}
"""At the cost of ours, which must have run: name -> f(plan, spent)."""

SPENT: dict[str, Callable[[Plan, Spent], Any]] = {
    **BUDGETED,
    "matched_multiplier": lambda plan, spent: _matched_multiplier(plan, spent),
    "rates": lambda plan, spent: [list(rate) for rate in spent.rates],
    "full_rates": lambda plan, spent: evenly_spaced(spent.full_rates),
}
"""The same, and with as many steps as ours took."""

REPLAYED: dict[str, Callable[[Spent, int], Any]] = {
    "shuffled_signal": lambda spent, seed: shuffled(spent.signal, seed),
}
"""From ours too, but no budget: name -> f(spent, seed)."""

OF_OURS = (*SPENT, *REPLAYED)
KNOWN = (*PLANNED, *OF_OURS)


def quantity(name: str, plan: Plan, seed: int, spent: Spent | None) -> Any:
    """The value of ``$name``; ``spent`` is what ours drew with this seed, None before it has run."""
    if name in PLANNED:
        return PLANNED[name](plan, seed)
    if spent is None:
        raise ValueError(f"${name} is known only when the arm that it follows has run")
    return SPENT[name](plan, spent) if name in SPENT else REPLAYED[name](spent, seed)


def _random_epoch(max_epochs: int, seed: int) -> int:
    """Uniform on 1 .. E - 1."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return 1 + int(torch.randint(max(1, max_epochs - 1), (1,), generator=generator))


def _short_epochs(plan: Plan, spent: Spent) -> int:
    return max(1, round(spent.passes / plan.full.fraction))


def _short_multiplier(plan: Plan, spent: Spent) -> float:
    return spent.passes / _short_epochs(plan, spent) / (1 - plan.full.pruning_ratio)


def _rs2_pruning_ratio(plan: Plan, spent: Spent) -> float:
    """The r with E k (1 - r) = B; k is the full recipe's."""
    return max(0.0, 1 - spent.passes / (plan.max_epochs * plan.full.augmentation_multiplier))


def _reverse_epoch(plan: Plan, spent: Spent) -> int:
    """The last whole c with c f + (E - c) F >= B."""
    full, cheap = plan.full.fraction, plan.after.fraction
    if full <= cheap:
        raise ValueError(f"the arm 'reverse' needs a full volume above the cheap one, got {plan.full} and {plan.after}")
    epoch = math.floor((full * plan.max_epochs - spent.passes) / (full - cheap) + 1e-9)
    return min(max(epoch, 0), plan.max_epochs - 1)


def _reverse_multiplier(plan: Plan, spent: Spent) -> float:
    epoch = _reverse_epoch(plan, spent)
    return (spent.passes - epoch * plan.after.fraction) / (plan.max_epochs - epoch)


def ramp(full: float, cheap: float, max_epochs: int, passes: float) -> list[float]:
    """max(f, F - (F - f) e / R) for the epochs e, with the R at which they add up to ``passes``.

    Args:
        full: F, samples of the first epoch per sample of a pass.
        cheap: f, at which the line ends.
        max_epochs: E.
        passes: What the epochs add up to, from F + (E - 1) f, a cliff after the first epoch, to E F.

    Returns:
        E multipliers.
    """

    def line(length: float) -> list[float]:
        return [max(cheap, full - (full - cheap) * epoch / length) for epoch in range(max_epochs)]

    low, high = 1e-6, 1e6 * max_epochs
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if sum(line(middle)) < passes else (low, middle)
    return line(high)


def _matched_multiplier(plan: Plan, spent: Spent) -> float:
    """Whole batches, just enough in every epoch for the steps that ours took."""
    return math.ceil(spent.steps / plan.max_epochs) * spent.batch_size / spent.pass_samples


def shuffled(values: list[float], seed: int) -> list[float]:
    """The values in random order."""
    import torch

    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    return [values[i] for i in order.tolist()]


def evenly_spaced(rates: Rates, most: int = 1000) -> list[list[float]]:
    """The rates of a run as ``SqueezedRates`` takes them.

    Args:
        rates: Run-length coded.
        most: At how many steps.

    Returns:
        The rates of all steps, or of ``most`` of them.

    >>> evenly_spaced([([0.1], 3), ([0.01], 1)]), evenly_spaced([([0.1], 3), ([0.01], 1)], most=2)
    ([[0.1], [0.1], [0.1], [0.01]], [[0.1], [0.1]])
    """
    steps = [values for values, count in rates for _ in range(count)]
    many = min(most, len(steps))
    return [steps[index * len(steps) // many] for index in range(many)]
