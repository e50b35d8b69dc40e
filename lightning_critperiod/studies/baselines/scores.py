"""InfoBatch's choice of samples."""

import math

import torch
from torch import Tensor


class Scores:
    """The latest loss of every sample, and the choice that is made by it.

    Source: Qin et al. 2024, "InfoBatch: Lossless Training Speed Up by Unbiased Dynamic Data Pruning", arXiv 2303.04947.

    Args:
        n: Samples.
        pruning_ratio: r, the part of the samples with a score below the mean that an epoch leaves out.
        seed: The seed of the choice; the global random state is neither read nor changed.

    Attributes:
        scores: float32 tensor [n], equal for all before the first loss.
        weights: float32 tensor [n], what a sample's loss is multiplied by in this epoch.
    """

    def __init__(self, n: int, pruning_ratio: float, seed: int) -> None:
        self.n = n
        self.pruning_ratio = pruning_ratio
        self.seed = seed
        self.scores = torch.ones(n)
        self.weights = torch.ones(n)

    def update(self, indices: Tensor, losses: Tensor) -> None:
        """Note losses, one a sample; of a sample that comes twice the later one counts.

        Args:
            indices: int64 tensor [b].
            losses: float tensor [b].
        """
        for index, loss in zip(indices.tolist(), losses.tolist(), strict=True):
            self.scores[index] = loss

    def select(self, epoch: int, pruned: bool) -> Tensor:
        """Choose the samples of an epoch and set the weights.

        Args:
            epoch: Which one; with the seed it decides the choice.
            pruned: Whether any are left out.

        Returns:
            int64 tensor of the samples kept, in ascending order.
        """
        self.weights = torch.ones(self.n)
        small = torch.nonzero(self.scores < self.scores.mean()).flatten()
        if not pruned or not len(small):
            return torch.arange(self.n)
        shuffled = small[torch.randperm(len(small), generator=self._generator(epoch, 0))]
        out = shuffled[: int(len(small) * self.pruning_ratio)]
        self.weights[small] = 1 / (1 - self.pruning_ratio)
        keep = torch.ones(self.n, dtype=torch.bool)
        keep[out] = False
        return torch.nonzero(keep).flatten()

    def passes(self, kept: Tensor, count: int, epoch: int) -> Tensor:
        """``count`` indices: passes over the kept samples, each in a new random order."""
        generator = self._generator(epoch, 1)
        orders = [kept[torch.randperm(len(kept), generator=generator)] for _ in range(math.ceil(count / len(kept)))]
        return torch.cat(orders)[:count]

    def _generator(self, epoch: int, stream: int) -> torch.Generator:
        return torch.Generator().manual_seed((self.seed * 1_000_003 + epoch * 2 + stream) % 2**63)
