"""What the layers of a model started from: whole, in half precision, or as sketches."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lightning_critperiod.signals.card_copies import CardCopies
from lightning_critperiod.signals.cuda_distance import distance_where_it_is
from lightning_critperiod.signals.layers import Layer
from lightning_critperiod.signals.sketch import Sketch, sketch_size

_LEAST = 1024  # numbers in a sketch


class InitialWeights:
    """The layers that are measured and, on rank 0, their initial weights.

    Layers join and leave on all ranks alike, because gathering a sharded layer takes all of them.

    Args:
        half_precision: Keep them in bfloat16 where they have more bits.
        sketch: The part of a layer that is kept, as a sketch; None for all of it.

    Attributes:
        is_main: Whether this rank keeps them.
        has_angle: Whether some layer was not all zero when it joined.
    """

    def __init__(self, half_precision: bool, sketch: float | None) -> None:
        self.half_precision = half_precision
        self.sketch = sketch
        self.is_main = True
        self.has_angle = False
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._kept: dict[str, Tensor | Sketch] = {}
        self._copies = CardCopies()

    def __len__(self) -> int:
        return len(self._shapes)

    def __contains__(self, name: str) -> bool:
        return name in self._shapes

    def join(self, found: Mapping[str, Layer]) -> list[str]:
        """Take the trainable layers that are new, with their weights as they are now.

        Returns:
            Their names.
        """
        new = [name for name, layer in found.items() if layer.is_trainable and name not in self._shapes]
        for name in new:
            weights = found[name].whole()
            self.has_angle = self.has_angle or bool(weights.any())
            self._shapes[name] = tuple(weights.shape)
            if self.is_main:
                self._kept[name] = self._keep(weights)
        return new

    def leave(self, found: Mapping[str, Layer]) -> list[str]:
        """Forget the layers that are gone or have another shape.

        Returns:
            Their names.
        """
        gone = [name for name, shape in self._shapes.items() if name not in found or found[name].shape != shape]
        for name in gone:
            del self._shapes[name]
            self._kept.pop(name, None)
        return gone

    def distances(self, found: Mapping[str, Layer]) -> dict[str, float]:
        """The cosine distance of each layer, without those that have no angle; empty on the other ranks."""
        queued: dict[str, Tensor | float] = {}
        for name in self._shapes:
            weights = found[name].whole()
            if self.is_main:
                if not queued:
                    self._copies.decide(self._whole, weights.device)
                queued[name] = self._distance(name, weights)
        distances = {name: float(distance) for name, distance in queued.items()}  # only here a card is waited for
        return {name: distance for name, distance in distances.items() if distance == distance}

    def release(self) -> None:
        """Give back the memory of a card; what is kept stays."""
        self._copies.clear()

    def state_dict(self) -> dict[str, Any]:
        """The tensors that are kept, not copied."""
        sketches = {name: kept for name, kept in self._kept.items() if isinstance(kept, Sketch)}
        return {
            "initial": self._whole,
            "sketches": {name: {"shape": kept.shape, "sums": kept.sums} for name, kept in sketches.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what was kept, in whatever form: what is a sketch stays one."""
        self._kept = dict(state["initial"])
        for name, sketch in state.get("sketches", {}).items():
            self._kept[name] = Sketch(tuple(sketch["shape"]), sketch["sums"])
        self._shapes = {name: tuple(kept.shape) for name, kept in self._kept.items()}
        self.has_angle = True
        self._copies.clear()

    def hand_over(self, is_main: bool) -> None:
        """Say whether this rank keeps the weights; what another rank loaded is dropped."""
        self.is_main = is_main
        if not is_main:
            self._kept = {}

    def _keep(self, weights: Tensor) -> Tensor | Sketch:
        if self.sketch is not None:
            size = sketch_size(weights.numel(), self.sketch, _LEAST)
            if size < weights.numel():
                sketch = Sketch.of(weights, size)
                return Sketch(sketch.shape, sketch.sums.cpu())
        long = weights.dtype in (torch.float32, torch.float64)
        dtype = torch.bfloat16 if self.half_precision and long else weights.dtype
        return weights.to("cpu", dtype, copy=True)

    @property
    def _whole(self) -> dict[str, Tensor]:
        return {name: kept for name, kept in self._kept.items() if isinstance(kept, Tensor)}

    def _distance(self, name: str, weights: Tensor) -> Tensor | float:
        kept = self._kept[name]
        if isinstance(kept, Sketch):
            return kept.distance(weights)
        return distance_where_it_is(self._copies.get(name, kept), weights)
