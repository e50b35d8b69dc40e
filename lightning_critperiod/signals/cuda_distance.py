"""The cosine distance of weights on a CUDA card: queued there, nobody waits for it."""

import torch
from torch import Tensor

from lightning_critperiod.signals.cosine_distance import cosine_distance, flat

# Weights in one piece: in float64 two pieces and their difference take 48 MiB, about the L2 cache of a large card.
_PIECE = 2**21


def distance_where_it_is(initial: Tensor, current: Tensor) -> Tensor | float:
    """Cosine distance of a layer's weights to its initial weights: on a CUDA card a scalar that is queued there."""
    return cuda_distance(initial, current) if current.is_cuda else cosine_distance(initial, current)


def cuda_distance(initial: Tensor, current: Tensor) -> Tensor:
    """Cosine distance of a layer's weights on a card to its initial weights, which may lie in the host's memory.

    |a - S b|^2 / (2 |a|^2) with S = |a| / |b|, in float64, from one read of the weights: a piece is compared at its own
    scale s, r = a - s b, and corrected once S is known: a - S b = r + (s - S) b. Each term is about as small as the
    result, so nothing cancels. Initial weights in the host's memory cross the bus once, a piece at a time.

    Args:
        initial: The initial weights, of any shape.
        current: The present weights, of the same shape.

    Returns:
        float64 scalar on the device of ``current``, in [0, 2]; NaN where there is no angle, because one of them is all
        zero (or not finite).
    """
    pieces = zip(*(torch.split(flat(weights, current), _PIECE) for weights in (initial, current)), strict=True)
    scale, aa, bb, rr, rb = torch.stack([_sums(x, y) for x, y in pieces]).unbind(1)
    off = scale - (aa.sum() / bb.sum()).sqrt()
    return ((rr + 2 * off * rb + off.square() * bb).sum() / (2 * aa.sum())).clamp(min=0)


def _sums(initial: Tensor, current: Tensor) -> Tensor:
    """s, |a|^2, |b|^2, |r|^2 and <r, b> of a piece, float64 [5]."""
    # What is not pinned is on its way when this returns, and the conversion happens on the card.
    a, b = initial.to(current.device, non_blocking=True).double(), current.double()
    aa, bb = a.dot(a), b.dot(b)
    scale = torch.where(bb > 0, (aa / bb).sqrt(), 1.0)
    rest = torch.addcmul(a, b, scale, value=-1)
    return torch.stack([scale, aa, bb, rest.dot(rest), rest.dot(b)])
