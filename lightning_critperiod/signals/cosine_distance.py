"""The cosine distance between the weights of a layer at two times, exact down to distances of 1e-8."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Weights in one float32 dot product: few enough that a chunk stays in the cache and that rounding stays near 1e-6 (1e-4
# for a layer of equal weights, the worst case), enough that the calls cost nothing.
_CHUNK = 2**18
_QUICK_CHUNK = 2**15  # NumPy's calls cost less, so that both sets and their difference may lie in a smaller cache


def cosine_distance(initial: Tensor, current: Tensor) -> float:
    """Cosine distance of a layer's weights to its initial weights.

    It is computed as half the squared norm of the difference of the unit vectors, which does not cancel: the relative
    error stays below 1e-3 (mostly near 1e-6) down to distances of 1e-8 and beyond, whatever the size of the weights and
    in any floating type. Both are read once, a chunk at a time; nothing of the layer's size is allocated unless the two
    live on different devices.

    Args:
        initial: The initial weights, of any shape.
        current: The present weights, of the same shape.

    Returns:
        In [0, 2]; NaN where there is no angle, because one of them is all zero (or not finite).
    """
    a, b = flat(initial.to(current.device), current), flat(current, current)
    if a.device.type == "cpu" and a.dtype == b.dtype and a.dtype in {torch.float32, torch.float64}:
        distance = _quick_distance(a.numpy(), b.numpy())
        if not math.isnan(distance):
            return distance
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    distance = _chunked_distance(a, b, dtype)
    # Out of float32's range, or really zero: float64 holds the square of any float32.
    return _chunked_distance(a, b, torch.float64) if math.isnan(distance) else distance


def flat(weights: Tensor, like: Tensor) -> Tensor:
    """A flat view, in the order in which ``like`` lies in memory: channels-last weights are not copied."""
    order = sorted(range(like.dim()), key=like.stride, reverse=True)
    weights = weights.detach().permute(order)
    return (torch.view_as_real(weights) if weights.is_complex() else weights).reshape(-1)


def _quick_distance(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """(|a - b|^2 - (|a| - |b|)^2) / (2 |a| |b|), the same by fewer operations; NaN where it may cancel."""
    aa, bb, rr = 0.0, 0.0, 0.0
    buffer = np.empty(min(_QUICK_CHUNK, len(a)), a.dtype)
    with np.errstate(all="ignore"):  # what is not finite has no distance, which is no error
        for start in range(0, len(a), _QUICK_CHUNK):
            x, y = a[start : start + _QUICK_CHUNK], b[start : start + _QUICK_CHUNK]
            rest = np.subtract(x, y, out=buffer[: len(x)])
            aa, bb, rr = aa + float(x.dot(x)), bb + float(y.dot(y)), rr + float(rest.dot(rest))
    if not (_lowest(a.size, torch.float32) <= min(aa, bb) and max(aa, bb) < math.inf):
        return math.nan
    p, q = math.sqrt(aa), math.sqrt(bb)
    result = rr - (p - q) ** 2
    # The sums are exact to about 1e-6, so this is what the difference may be off by.
    error = 2e-6 * (rr + 2 * p * abs(p - q))
    return result / (2 * p * q) if error < 1e-4 * result else math.nan


def _lowest(size: int, dtype: torch.dtype) -> float:
    """The squared norm below which the squares of differences of 1e-7 would underflow."""
    return torch.finfo(dtype).tiny * 1e14 * size


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
    lowest = _lowest(a.numel(), dtype)
    if not (lowest <= aa < math.inf and lowest <= bb < math.inf):
        return math.nan
    off = [(s - math.sqrt(aa / bb), rr, rb, yy) for s, rr, rb, yy in sums]
    return max(0.0, sum(rr + 2 * o * rb + o * o * yy for o, rr, rb, yy in off) / (2 * aa))


def _scale(aa: float, bb: float, dtype: torch.dtype) -> float:
    """|a| / |b|, rounded to what the weights are multiplied by; any number where it is not defined."""
    return torch.tensor(math.sqrt(aa / bb) if aa > 0 and bb > 0 else 1.0, dtype=dtype).item()


def _dot(a: Tensor, b: Tensor) -> float:
    return torch.dot(a, b).item()
