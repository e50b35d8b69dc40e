"""Gradient confusion: whether different batches pull the weights in one direction."""

import math
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_critperiod.rules.own_rules import OWN_RULES
from lightning_critperiod.signals.gradients import gradient_cosines
from lightning_critperiod.signals.probes import ProbeSignal


def cosine_spread(gradients: Tensor) -> dict[str, float]:
    """The "max", "mean" and "min" over the pairs of gradients [m, d] that have a cosine; empty where none has."""
    cosines = gradient_cosines(gradients)
    above = torch.ones_like(cosines, dtype=torch.bool).triu(diagonal=1)
    pairs = cosines[above & cosines.isfinite()]
    return {"max": pairs.max().item(), "mean": pairs.mean().item(), "min": pairs.min().item()} if len(pairs) else {}


class GradientConfusion(ProbeSignal):
    """Largest cosine similarity between the gradients of two probe batches at the same weights, in [-1, 1].

    value = max over i < j of cos(g_i, g_j), the statistic of the published runs; low similarity is high confusion. The
    gradients are those of the training loss, with BatchNorm on its running statistics and without dropout, as in the
    authors' script, flattened over the trainable weight matrices (ndim > 1). Measuring changes neither module,
    generators, logs nor gradients. A measurement costs one forward and one backward pass for each probe batch, and the
    memory of as many gradients. Under DDP every rank measures its own batches, and rank 0's value counts.

    The probe batches, the first ones that training saw, are kept in host memory and in the checkpoint.

    Source: Sankararaman et al., arXiv 1904.06963 (2020); as a predictor of the critical period Fukase et al.,
    arXiv 2506.15954 (2025).

    Args:
        probe_batches: How many batches are compared, at least 2. None: as many as 1% of the batches of the run's first
            epoch, from 2 to 8, so that a measurement costs 1% of such an epoch, and a larger share
            of a shorter one after the switch. Two cost more than 1% if an epoch has fewer than 200 batches. The value
            is noisier with fewer batches.
        every_n_epochs: Measure after epochs n, 2 n, ... of training. With gaps
            ``LowOutlier`` has fewer values to compare with, and fires more often on noise.

    Attributes:
        last: "max", "mean" and "min" over the pairs at the last measurement.

    Raises:
        TypeError: An argument is not an int. Before the first step: a batch is not made of tensors,
            numbers and strings in dicts, lists and tuples.
        ValueError: An argument is too small. Before training: the module optimizes manually, is sharded,
            cannot be copied or has no trainable weight matrix, or an epoch has a single batch.
    """

    name = "gradient_confusion"
    own_rule = OWN_RULES[name]
    fewest = 2

    def __init__(self, probe_batches: int | None = None, every_n_epochs: int = 1) -> None:
        super().__init__(probe_batches, every_n_epochs)
        self.last: dict[str, float] = {}

    @override
    def value(self, trainer: Any, pl_module: Any) -> float | None:
        spread = cosine_spread(self._gradients(trainer, pl_module))
        self.last = spread or self.last
        return spread.get("max", math.nan)

    def _gradients(self, trainer: Any, pl_module: Any) -> Tensor:
        first = self.gradient(trainer, pl_module, 0)
        gradients = first.new_empty(len(self._batches), len(first))
        gradients[0] = first
        for index in range(1, len(gradients)):
            gradients[index] = self.gradient(trainer, pl_module, index)
        return gradients
