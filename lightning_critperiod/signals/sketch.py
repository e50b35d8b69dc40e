"""A sketch of a layer's weights: few numbers from which the cosine distance to other weights can be told."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import Self

# Weights that are hashed at a time: they stay in the cache of a processor, and keep a card busy.
_ROWS = 2**18
_ROWS_ON_CARD = 2**21


@dataclass(frozen=True)
class Sketch:
    """Signed sums of a layer's weights at unit length: a count sketch.

    Weight i is added with the sign s(i) to the sum number i mod ``size``, s a fixed hash of i. The distance to other
    weights is half the squared distance of the two sketches: an unbiased estimate of the cosine distance d whose
    standard error is at most d sqrt(2 / ``size``), whatever the weights and however small d is, as long as they do not
    repeat with the period ``size``.

    Source: Charikar, Chen and Farach-Colton 2002, "Finding frequent items in data streams"; the error Weinberger et
    al., arXiv 0902.2206 (2009).

    Args:
        shape: The shape of the layer.
        sums: float32 [size], NaN for weights that are all zero.
    """

    shape: tuple[int, ...]
    sums: Tensor

    @classmethod
    def of(cls, weights: Tensor, size: int) -> Self:
        """The sketch of a layer; it lies where the weights do."""
        return cls(tuple(weights.shape), _sums(weights, size))

    def distance(self, current: Tensor) -> float:
        """The estimated cosine distance to weights of the same shape, NaN if one of the two is all zero."""
        sums = _sums(current, len(self.sums))
        return (self.sums.to(sums.device) - sums).double().square().sum().item() / 2


def sketch_size(weights: int, part: float, least: int) -> int:
    """The prime from max(``least``, ``part`` of the weights) up: no stride of a layer shares a factor with it."""
    size = max(least, round(part * weights), 2)
    while any(size % divisor == 0 for divisor in range(2, int(size**0.5) + 1)):
        size += 1
    return size


def _sums(weights: Tensor, size: int) -> Tensor:
    flat = (torch.view_as_real(weights) if weights.is_complex() else weights).reshape(-1)
    dtype = torch.promote_types(flat.dtype, torch.float32)
    step = size * max(1, (_ROWS if flat.device.type == "cpu" else _ROWS_ON_CARD) // size)
    sums, squares = flat.new_zeros(size, dtype=torch.float64), []
    for start in range(0, len(flat), step):
        part = flat[start : start + step].to(dtype)
        squares.append(torch.dot(part, part))
        signed = torch.nn.functional.pad(part * _signs(start, len(part), flat.device), (0, -len(part) % size))
        sums += signed.view(-1, size).sum(0)
    square = 0.0
    for part_square in torch.stack(squares).tolist():  # only here a card is waited for
        square += part_square
    if dtype == torch.float32 and not 1e-25 < square < math.inf:  # out of float32's range, or really zero
        return _sums(weights.double(), size)
    return (sums / math.sqrt(square)).float() if square > 0 else torch.full_like(sums, torch.nan).float()


def _signs(start: int, count: int, device: torch.device) -> Tensor:
    """1 or -1 for each index from ``start`` on: the top bit of a hash, the same on every device."""
    bits = torch.arange(start, start + count, dtype=torch.int32, device=device)
    for shift, factor in ((16, 0x7FEB352D), (15, -0x7B935975)):
        bits.bitwise_xor_(bits >> shift).mul_(factor)
    return bits.bitwise_right_shift_(31).bitwise_or_(1)
