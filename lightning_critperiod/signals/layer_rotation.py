"""Layer rotation: how far each layer's weights have turned away from where they started."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from typing_extensions import override

from lightning_critperiod.signals.base import Signal

# Weights in one float32 dot product: few enough that a chunk stays in the cache and that rounding stays near 1e-6 (1e-4
# for a layer of equal weights, the worst case), enough that the calls cost nothing.
_CHUNK = 2**18
_WRAPPERS = ("_fsdp_wrapped_module.", "_orig_mod.", "_checkpoint_wrapped_module.")


def layer_rotation(initial: Sequence[Tensor], current: Sequence[Tensor]) -> Tensor:
    """Cosine distance of each layer's weights to its initial weights.

    d_l = 1 - <a_l, b_l> / (|a_l| |b_l|), with a the initial and b the current weights, in [0, 2]. It is computed as
    half the squared norm of the difference of the unit vectors, which does not cancel: the relative error stays below
    1e-3 (mostly near 1e-6) down to distances of 1e-8 and beyond, whatever the size of the weights and in any floating
    type. Both sets are read once, a chunk at a time; nothing of a layer's size is allocated unless the two sets live on
    different devices.

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
    return torch.tensor([_distance(a, b) for a, b in zip(initial, current, strict=True)], dtype=torch.float64)


def _distance(initial: Tensor, current: Tensor) -> float:
    a, b = _flat(initial.to(current.device), current), _flat(current, current)
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    distance = _chunked_distance(a, b, dtype)
    # Out of float32's range, or really zero: float64 holds the square of any float32.
    return _chunked_distance(a, b, torch.float64) if math.isnan(distance) else distance


def _flat(weights: Tensor, like: Tensor) -> Tensor:
    """A flat view, in the order in which ``like`` lies in memory: channels-last kernels are not copied."""
    order = sorted(range(like.dim()), key=like.stride, reverse=True)
    weights = weights.detach().permute(order)
    return (torch.view_as_real(weights) if weights.is_complex() else weights).reshape(-1)


def _chunked_distance(a: Tensor, b: Tensor, dtype: torch.dtype) -> float:
    """|a - S b|^2 / (2 |a|^2) with S = |a| / |b|, from one read of the weights."""
    # S is known only at the end. A chunk is compared at the scale s that the chunks before it suggest, r = a - s b, and
    # corrected afterwards: a - S b = r + (s - S) b. Each term is about as small as the result, so nothing cancels.
    scale, aa, bb = 1.0, 0.0, 0.0
    sums: list[tuple[float, float, float, float]] = []
    for x, y in zip(torch.split(a, _CHUNK), torch.split(b, _CHUNK), strict=True):
        x, y = x.to(dtype), y.to(dtype)
        if not sums:
            scale = _scale(_dot(x, x), _dot(y, y), dtype)
        rest = torch.sub(x, y, alpha=scale)
        rr, rb, yy = _dot(rest, rest), _dot(rest, y), _dot(y, y)
        sums.append((scale, rr, rb, yy))
        aa += rr + 2 * scale * rb + scale * scale * yy
        bb += yy
        scale = _scale(aa, bb, dtype)
    # Below the lowest norm, the squares of differences of 1e-7 would underflow.
    lowest = torch.finfo(dtype).tiny * 1e14 * a.numel()
    if not (lowest <= aa < math.inf and lowest <= bb < math.inf):
        return math.nan
    off = [(s - math.sqrt(aa / bb), rr, rb, yy) for s, rr, rb, yy in sums]
    return max(0.0, sum(rr + 2 * o * rb + o * o * yy for o, rr, rb, yy in off) / (2 * aa))


def _scale(aa: float, bb: float, dtype: torch.dtype) -> float:
    """|a| / |b|, rounded to what the weights are multiplied by; any number where it is not defined."""
    return torch.tensor(math.sqrt(aa / bb) if aa > 0 and bb > 0 else 1.0, dtype=dtype).item()


def _dot(a: Tensor, b: Tensor) -> float:
    return torch.dot(a, b).item()


class LayerRotation(Signal):
    """Mean over layers of the cosine distance between a layer's weights and its initial weights, in [0, 2].

    Layers are the kernels (parameters with ndim > 1) that are trainable when training starts. A frozen kernel
    never rotates and would only dilute the mean, so it does not count (the authors' code, too, takes the
    trainable weights); one that is unfrozen later does not join, because its arrival would bend the curve. A
    kernel whose initial or current weights are all zero has no angle and is left out of the mean.

    The initial weights are those at the start of the fit, after whatever the model's own hooks load. One
    copy is kept in the host memory of rank 0 and saved with every checkpoint, which grows by the size of the
    kernels, or half of it; a GPU sees one layer of it at a time, once an epoch. Sharded parameters (FSDP2,
    tensor parallel) are gathered one layer at a time. The flat parameters of FSDP1 and DeepSpeed ZeRO-3 have
    no layers left to look at. What models of up to 1.3B weights cost is in docs/scale.md.

    Source: Carbonnelle & De Vleeschouwer, arXiv 1806.01603 (2018); as a predictor of the critical period
    Fukase et al., arXiv 2506.15954 (2025).

    Before training a ValueError refuses a model in which no trainable kernel has an angle, and a checkpoint
    whose kernels are not those of the model. The value is NaN once no layer has an angle any more.

    Args:
        half_precision: Keep the initial weights in bfloat16 where they have more bits: half the memory, half of
            what a checkpoint grows by. The rounding turns a layer by a distance of at most 2e-6.

    Raises:
        TypeError: ``half_precision`` is no bool.
    """

    name = "layer_rotation"

    def __init__(self, half_precision: bool = False) -> None:
        if not isinstance(half_precision, bool):
            raise TypeError(f"half_precision must be True or False, got {half_precision!r}")
        self.half_precision = half_precision
        self._initial: dict[str, Tensor | None] = {}  # None where another rank holds the weights

    @override
    def reset(self) -> None:
        self._initial = {}

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        kernels = _kernels(pl_module)
        if self._initial:
            self._require_restored(kernels)
            if trainer.global_rank:
                self._initial = dict.fromkeys(self._initial)
        else:
            self._snapshot(kernels, keep=trainer.global_rank == 0)

    @override
    def measure(self, trainer: Any, pl_module: Any) -> float | None:
        kernels = _kernels(pl_module)
        layers = ((initial, _whole(kernels[name])) for name, initial in self._initial.items())
        distances = [_distance(initial, current) for initial, current in layers if initial is not None]
        return float(trainer.strategy.broadcast(torch.tensor(distances, dtype=torch.float64).nanmean().item()))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"initial": self._initial}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._initial = dict(state["initial"])

    def _snapshot(self, kernels: dict[str, nn.Parameter], keep: bool) -> None:
        has_angle = False
        for name, parameter in kernels.items():
            if parameter.requires_grad:
                weights = _whole(parameter)
                has_angle = has_angle or bool(weights.any())
                self._initial[name] = weights.to("cpu", self._kept(weights.dtype), copy=True) if keep else None
        if not has_angle:
            raise ValueError(
                "LayerRotation needs a trainable parameter of two or more dimensions that is not all zero, got "
                f"{len(self._initial)} trainable of {len(kernels)} and none with an angle; unfreeze one, take "
                "MonitoredMetric, or FSDP2 (ModelParallelStrategy) where FSDP or DeepSpeed flattened them"
            )

    def _kept(self, dtype: torch.dtype) -> torch.dtype:
        long = dtype in (torch.float32, torch.float64)
        return torch.bfloat16 if self.half_precision and long else dtype

    def _require_restored(self, kernels: dict[str, nn.Parameter]) -> None:
        for name, weights in self._initial.items():
            fits = name in kernels and (weights is None or weights.shape == kernels[name].shape)
            if not fits:
                raise ValueError(
                    f"the checkpoint holds initial weights of {name!r}, which this model lacks or has in "
                    "another shape; resume with the model it was saved from, or start anew from its weights"
                )


def _kernels(module: nn.Module) -> dict[str, nn.Parameter]:
    for part in module.modules():
        if isinstance(part, FSDPModule):  # an evaluation leaves the root's parameters unsharded, in compute precision
            part.reshard()
    return {_clean(name): p for name, p in module.named_parameters() if p.dim() > 1}


def _clean(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def _whole(parameter: Tensor) -> Tensor:
    parameter = parameter.detach()
    return parameter.full_tensor() if isinstance(parameter, DTensor) else parameter
