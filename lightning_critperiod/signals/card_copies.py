"""Copies of the initial weights on a card, where they take little of what is free there."""

from collections.abc import Mapping

import torch
from torch import Tensor

SHARE = 0.1
"""The copies take at most this part of the memory that nobody uses on a card: neither training, nor torch's cache, nor
another process."""


class CardCopies:
    """Copies beside the weights on a card, so that the initial weights cross the bus once in a run.

    Before every look it is decided anew whether there is room: the copies are made at the end of the first epoch, when
    torch has reserved what a training step takes, and given back as soon as they would take more than their share.
    """

    def __init__(self) -> None:
        self._copies: dict[str, Tensor] = {}

    def decide(self, kept: Mapping[str, Tensor], device: torch.device) -> None:
        """Have copies of all that is kept, or of nothing.

        Args:
            kept: Name -> initial weights in the host's memory.
            device: Where the weights are.
        """
        for name in [name for name in self._copies if name not in kept]:
            del self._copies[name]
        if device.type != "cuda" or not self._have_room(kept, device):
            self.clear()
            return
        for name in kept:
            if name not in self._copies or self._copies[name].device != device:
                self._copies[name] = kept[name].to(device)

    def get(self, name: str, kept: Tensor) -> Tensor:
        """The copy where there is one, else what is kept."""
        return self._copies.get(name, kept)

    def clear(self) -> None:
        """Give the memory back."""
        self._copies = {}

    def _have_room(self, kept: Mapping[str, Tensor], device: torch.device) -> bool:
        held = sum(copy.nbytes for copy in self._copies.values())
        unused, _ = torch.cuda.mem_get_info(device)
        return sum(weights.nbytes for weights in kept.values()) <= SHARE * (unused + held)
