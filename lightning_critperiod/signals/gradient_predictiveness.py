"""Gradient predictiveness: whether the same batch still pulls the weights where it pulled before."""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_critperiod.rules.own_rules import OWN_RULES
from lightning_critperiod.signals.gradients import gradient_cosines
from lightning_critperiod.signals.probes import ProbeSignal


class GradientPredictiveness(ProbeSignal):
    """Cosine similarity of a probe batch's gradients at successive measurements, averaged over batches, in [-1, 1].

    value = mean over i of cos(g_i(previous), g_i(now)); there is none at the first measurement, and at the first one
    after layers were added, unfrozen or removed. The gradients
    are those of ``GradientConfusion``, at the same cost. The previous gradients are kept in host memory and
    in the checkpoint, which grows by the number of probe batches times the size of the weight matrices in float32:
    lower ``probe_batches`` for a large model.

    Source: Fukase et al., arXiv 2506.15954 (2025), after Chen et al. (2023). No rule for it was published.

    Args:
        probe_batches: How many batches the mean is over, at least 1. None: as for ``GradientConfusion``.
        every_n_epochs: Measure after epochs n, 2 n, ... of training.

    Raises:
        TypeError: As ``GradientConfusion``.
        ValueError: As ``GradientConfusion``; one batch in an epoch is enough.
    """

    name = "gradient_predictiveness"
    own_rule = OWN_RULES[name]
    mode = "max"

    def __init__(self, probe_batches: int | None = None, every_n_epochs: int = 1) -> None:
        super().__init__(probe_batches, every_n_epochs)
        self._previous: list[Tensor] = []

    @override
    def reset(self) -> None:
        super().reset()
        self._previous = []

    @override
    def value(self, trainer: Any, pl_module: Any) -> float | None:
        before, self._previous = self._previous, []
        cosines = []
        for index in range(len(self._batches)):
            gradient = self.gradient(trainer, pl_module, index).float().cpu()
            self._previous.append(gradient)
            if index < len(before) and len(before[index]) == len(gradient):
                cosines.append(gradient_cosines(torch.stack([before[index], gradient]))[0, 1])
        if before and not cosines:
            self.warn_once("the trainable parameters have changed: gradients are compared with those from now on.")
        return torch.stack(cosines).nanmean().item() if cosines else None

    @override
    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"previous": list(self._previous)}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._previous = list(state["previous"])
