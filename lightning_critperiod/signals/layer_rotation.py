"""Layer rotation: how far each layer's weights have turned away from where they started."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_critperiod.recipe import require_number
from lightning_critperiod.rules.own_rules import OWN_RULES
from lightning_critperiod.signals.base import Signal
from lightning_critperiod.signals.chained_mean import ChainedMean
from lightning_critperiod.signals.cuda_distance import distance_where_it_is
from lightning_critperiod.signals.initial_weights import InitialWeights
from lightning_critperiod.signals.layers import Layer, has_lazy_parameter, layers


def layer_rotation(initial: Sequence[Tensor], current: Sequence[Tensor]) -> Tensor:
    """Cosine distance of each layer's weights to its initial weights.

    d_l = 1 - <a_l, b_l> / (|a_l| |b_l|), with a the initial and b the current weights, in [0, 2]. The relative error
    stays below 1e-3 (mostly near 1e-6) down to distances of 1e-8 and beyond, whatever the size of the weights and in
    any floating type. Both sets are read once; nothing of a layer's size is allocated, unless they live on different
    devices of which the second is no CUDA card.

    Source: Carbonnelle & De Vleeschouwer, arXiv 1806.01603 (2018).

    >>> layer_rotation([torch.tensor([[1.0, 0.0]])], [torch.tensor([[3.0, 3.0]])])
    tensor([0.2929], dtype=torch.float64)

    Args:
        initial: One tensor a layer, of any shape.
        current: The same layers now, of the same shapes.

    Returns:
        float64 tensor on the CPU, one distance a layer; NaN for a layer that has no angle, because its
        initial or its current weights are all zero (or not finite).

    Raises:
        ValueError: The two differ in the number of layers or in a layer's shape.
    """
    shapes = [[tuple(weights.shape) for weights in layers] for layers in (initial, current)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"initial and current must have equal shapes, got {shapes[0]} and {shapes[1]}")
    queued = [distance_where_it_is(a, b) for a, b in zip(initial, current, strict=True)]
    return torch.tensor([float(distance) for distance in queued], dtype=torch.float64)


class LayerRotation(Signal):
    """Mean over layers of the cosine distance between a layer's weights and its initial weights, in [0, 2].

    Layers are the trainable weights of two or more dimensions. Weights are what a module computes with: under pruning
    the masked ones, under a parametrization such as weight normalization its result. A frozen layer never rotates and
    would only dilute the mean, so it does not count (the authors' code, too, takes the trainable weights). A layer
    whose initial or current weights are all zero has no angle and is left out of the mean.

    The initial weights are those at the start of the fit, after whatever the model's own hooks load; of lazy layers
    those before the first optimizer step. If the model changes during the run, the mean is over the layers that it has.
    A layer that is unfrozen, added, or replaced by one of another shape joins with its weights before the first
    optimizer step of an epoch; a layer that is gone leaves, with one warning. The curve continues without a jump: from
    its last value, by the mean change of the layers. If no layer is left there is no value. There is none either while
    most layers are frozen, or while any layer is in a run with one of Lightning's finetuning callbacks: a head that has
    settled says nothing about a backbone that is still frozen.

    A copy of the initial weights is kept in the host memory of rank 0 and saved with every checkpoint, which grows by
    the size of the layers, or less with either argument. On a CUDA card the distances are computed there, with about 64
    MiB of its memory. The initial weights cross the bus once an epoch, a piece at a time. They cross it only once, and
    a second copy stays on the card until the fit is over, as long as it takes at most a tenth of the card's memory that
    neither training nor another process has reserved; this is decided anew after every epoch. Sharded parameters
    (FSDP2, tensor parallel) are gathered one layer at a time. The flat parameters of FSDP1 and DeepSpeed
    ZeRO-3 have no layers to look at. docs/scale.md has the costs for models of up to 1.3B weights.

    Source: Carbonnelle & De Vleeschouwer, arXiv 1806.01603 (2018); as a predictor of the critical period
    Fukase et al., arXiv 2506.15954 (2025).

    Before training a ValueError refuses a model in which no trainable layer has an angle, and a checkpoint that holds
    none of the model's layers; if no decision depends on the signal, this is a warning, and nothing is measured. The
    value is NaN once no layer has an angle any more.

    Args:
        half_precision: Keep the initial weights in bfloat16 where they have more bits: half the memory, half of
            what a checkpoint grows by. The rounding turns a layer by a distance of at most 2e-6.
        sketch: Keep only this part of a layer, as a sketch, but at least 1024 numbers of it; smaller layers are kept
            whole. At 0.01 a layer of 100,000 weights or more takes 1% of the memory. The standard error of a layer's
            distance d is d sqrt(2 / numbers): 4.4% with 1024, 1.4% with 10,000. None keeps the layers whole.

    Raises:
        TypeError: ``half_precision`` is not a bool, or ``sketch`` no number.
        ValueError: ``sketch`` is not in (0, 1].
    """

    name = "layer_rotation"
    own_rule = OWN_RULES[name]

    def __init__(self, half_precision: bool = False, sketch: float | None = None) -> None:
        if not isinstance(half_precision, bool):
            raise TypeError(f"half_precision must be True or False, got {half_precision!r}")
        if sketch is not None:
            require_number("sketch", sketch, low=0, high=1, open_low=True, closed=True)
        self.half_precision = half_precision
        self.sketch = sketch
        self.reset()

    @override
    def reset(self) -> None:
        super().reset()
        self._initial = InitialWeights(self.half_precision, self.sketch)
        self._mean = ChainedMean()
        self._look_is_due = False

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._initial.hand_over(is_main=trainer.global_rank == 0)
        found = layers(pl_module)
        gone = self._initial.leave(found)
        if gone and not len(self._initial):
            raise ValueError(
                f"the checkpoint holds initial weights of {gone[0]!r}, which this model lacks or has in another "
                "shape, and of no layer that it has; resume with the model it was saved from, or start a new run from "
                "its weights"
            )
        self._update(found, gone)
        self._look_is_due = has_lazy_parameter(pl_module)
        if not self._initial.has_angle and not self._look_is_due:
            raise ValueError(
                "LayerRotation needs a trainable parameter of two or more dimensions that is not all zero, got "
                f"{len(self._initial)} trainable of {len(found)} and none with an angle; unfreeze one, take "
                "MonitoredMetric, or FSDP2 (ModelParallelStrategy) where FSDP or DeepSpeed flattened them"
            )

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._look_is_due = self._look_is_due or batch_idx == 0

    @override
    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if self._look_is_due:
            self._look(pl_module)

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any) -> None:
        if self._look_is_due:  # gradients accumulate, or Lightning was not told of the step
            self._look(pl_module)

    @override
    def measure(self, trainer: Any, pl_module: Any) -> float | None:
        found = self._look(pl_module)
        if not len(self._initial):
            self.warn_once("no longer measured: the model has no trainable weights of two or more dimensions.")
            return None
        if self._waits_for_thaw(trainer, found):
            return None
        distances = self._initial.distances(found)
        if not self._initial.is_main:
            return None
        return self._mean.add(distances) if distances else math.nan

    @override
    def teardown(self) -> None:
        self._initial.release()

    @override
    def state_dict(self) -> dict[str, Any]:
        return self._initial.state_dict() | {"mean": asdict(self._mean)}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._initial.load_state_dict(state)
        # Older checkpoints lack it: the first mean then says where the curve is.
        self._mean = ChainedMean(**state.get("mean", {"value": None}))

    def _look(self, pl_module: nn.Module) -> dict[str, Layer]:
        """Bring the layers that are measured up to date with the model.

        Returns:
            All layers of the model by name.
        """
        self._look_is_due = False
        found = layers(pl_module)
        self._update(found, self._initial.leave(found))
        return found

    def _update(self, found: dict[str, Layer], gone: list[str]) -> None:
        for name in self._initial.join(found):
            self._mean.join(name)
        if gone and len(self._initial):
            names = ", ".join(gone[:3]) + (", ..." if len(gone) > 3 else "")
            self.warn_once(
                "layers that were measured are gone or have another shape; the mean is now over the model's layers",
                f" ({len(gone)} gone, {names}; {len(self._initial)} measured).",
            )

    def _waits_for_thaw(self, trainer: Any, found: dict[str, Layer]) -> bool:
        frozen = [name for name, layer in found.items() if not layer.is_trainable and name not in self._initial]
        kinds = {kind.__name__ for callback in trainer.callbacks for kind in type(callback).__mro__}
        waits = bool(frozen) and ("BaseFinetuning" in kinds or 2 * len(frozen) > len(found))
        if waits:
            self.warn_once(
                "not measured while layers are frozen that may be unfrozen later: the others say nothing about them",
                f" ({len(frozen)} of {len(found)} are frozen).",
            )
        return waits
