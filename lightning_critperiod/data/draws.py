"""What all samplers of one run share."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from lightning_critperiod.recipe import Volume


@dataclass
class Draws:
    """What all samplers of one run share: the volume of the next epoch, and where its random numbers come from.

    Args:
        volume: The volume that an epoch has which starts now.
        seed: With the epoch, decides every draw: f(seed, epoch). The global generators are never touched.
        epoch: Answers the 0-based epoch that starts now.
        own: False as long as the user's loader is used as it is; True once the callback chooses the samples.
        first: Keep the first samples of the user's stream in every epoch, and no random ones: overfitting on a few
            batches needs the same ones each time.
        begun: How many epochs a sampler of these draws has begun to draw.
    """

    volume: Volume
    seed: int
    epoch: Callable[[], int]
    own: bool = False
    first: bool = False
    begun: int = 0

    def number(self, stream: int) -> int:
        """A seed for one stream of random numbers of the epoch that starts now."""
        return (self.seed * 1_000_003 + self.epoch() * 2 + stream) % 2**63


@contextmanager
def seeded(number: int, generator: object = None) -> Generator[None]:
    """Torch's global CPU generator (and one more) start from ``number`` inside and are as before afterwards."""
    generators = [g for g in (torch.default_generator, generator) if isinstance(g, torch.Generator)]
    states = [g.get_state() for g in generators]
    for g in generators:
        g.manual_seed(number)  # torch.manual_seed would reach the GPUs too
    try:
        yield
    finally:
        for g, state in zip(generators, states, strict=True):
            g.set_state(state)
