"""InfoBatch, written from its paper: prunes samples of small loss at random and makes up for it in the gradient."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import BatchSampler, RandomSampler, Sampler, SequentialSampler
from typing_extensions import override

from lightning_critperiod.changes import DeclaredVolume, EpochClock, TrainLoaders
from lightning_critperiod.data import Draws
from lightning_critperiod.lightning_seam import Overrides, finished_epochs
from lightning_critperiod.lightning_seam.namespace import Callback
from lightning_critperiod.recipe import Volume, require_number
from lightning_critperiod.studies.baselines.not_applicable import NotApplicable
from lightning_critperiod.studies.baselines.scores import Scores


class Order(Sampler[int]):
    """Indices written down before the epoch starts."""

    def __init__(self, indices: Tensor) -> None:
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Any:
        return iter(self.indices.tolist())


class InfoBatch(Callback):
    """InfoBatch at a given cost.

    Qin et al. 2024 (arXiv 2303.04947): a sample's score is its latest loss; in every epoch but the last
    ``annealing_fraction`` of them, a part ``pruning_ratio`` = r of the samples whose score is below the mean is left
    out, and the loss of those of them that are kept is multiplied by 1 / (1 - r), so that the expected gradient stays.

    An epoch goes over the kept samples m times. m is chosen again before every epoch, so that the epochs to come, if
    they keep as many as this one (all of them in the last part), just use up ``samples``.

    For one process, a module whose forward gives logits, trained with the cross-entropy on (input, class) batches, and
    a loader that draws each sample of its dataset once. The learning rate's clock is that of the epochs.

    Args:
        samples: How many samples the whole run draws.
        pruning_ratio: r, in [0, 1); 0.5 in the paper.
        annealing_fraction: The last part of training, without pruning, in [0, 1]; 1 - delta = 0.125 in the paper.

    Raises:
        ValueError: An argument is out of range.
        NotApplicable: The run is of another kind.
    """

    def __init__(self, samples: int, pruning_ratio: float = 0.5, annealing_fraction: float = 0.125) -> None:
        require_number("samples", samples, low=1)
        require_number("pruning_ratio", pruning_ratio, low=0, high=1)
        require_number("annealing_fraction", annealing_fraction, low=0, high=1, closed=True)
        self.samples = samples
        self.pruning_ratio = pruning_ratio
        self.annealing_fraction = annealing_fraction
        self._length: TrainLoaders | None = None
        self._lr: EpochClock | None = None
        self._overrides = Overrides()

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage != "fit":
            return
        self._undo()
        if trainer.world_size > 1:
            raise NotApplicable(f"InfoBatch works in one process, got {trainer.world_size}")
        declared = DeclaredVolume(trainer.datamodule) if DeclaredVolume.is_declared(trainer.datamodule) else None
        self._seed = torch.initial_seed() % 2**62
        self._length = TrainLoaders(trainer, Draws(Volume(), self._seed, lambda: finished_epochs(trainer)), volumes=())
        self._length.install(declared)
        self._lr = EpochClock(trainer)

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        assert self._length is not None
        assert self._lr is not None
        self._batches = _plain_batches(trainer.train_dataloader)
        self._scores = Scores(len(trainer.train_dataloader.dataset), self.pruning_ratio, self._seed)
        self._left = self.samples
        self._planned = trainer.num_training_batches
        self._overrides.put(
            pl_module, "training_step", lambda batch, batch_idx: self._loss(pl_module, batch, batch_idx)
        )
        self._begin(trainer, 0)
        self._length.restart(0)

    def _begin(self, trainer: Any, epoch: int) -> None:
        """Choose what the epoch draws and tell the loop its length."""
        assert self._length is not None
        assert self._lr is not None
        last = trainer.max_epochs - math.floor(trainer.max_epochs * self.annealing_fraction + 1e-9)
        kept = self._scores.select(epoch, pruned=epoch < last)
        ahead = range(epoch + 1, trainer.max_epochs)
        weight = len(kept) + sum(len(kept) if e < last else self._scores.n for e in ahead)
        count = max(1, round(self._left * len(kept) / weight))
        self._left = max(0, self._left - count)
        self._indices = self._scores.passes(kept, count, epoch)
        self._batches.sampler = Order(self._indices)
        self._length.tell_length()
        self._lr.begin(epoch, self._planned)

    def _loss(self, pl_module: Any, batch: Any, batch_idx: int) -> Tensor:
        inputs, labels = _classification(batch)
        first = batch_idx * self._batches.batch_size
        indices = self._indices[first : first + self._batches.batch_size]
        losses = functional.cross_entropy(pl_module(inputs), labels, reduction="none")
        self._scores.update(indices, losses.detach().cpu())
        return (losses * self._scores.weights[indices].to(losses)).mean()

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        epoch = finished_epochs(trainer)
        if epoch < trainer.max_epochs:
            self._begin(trainer, epoch)

    @override
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._undo()

    @override
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        self._undo()

    def _undo(self) -> None:
        for part in (self._overrides, self._lr, self._length):
            if part is not None:
                part.undo()
        self._length = self._lr = None


def _classification(batch: Any) -> tuple[Tensor, Tensor]:
    pair = isinstance(batch, list | tuple) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)
    if not pair or batch[1].ndim != 1 or batch[1].is_floating_point():
        raise NotApplicable("InfoBatch prunes by the cross-entropy of (input, class) batches, and these are others")
    return batch[0], batch[1]


def _plain_batches(loader: Any) -> BatchSampler:
    batches = getattr(loader, "batch_sampler", None)
    sampler = getattr(getattr(batches, "sampler", None), "base", None)
    plain = (
        isinstance(sampler, RandomSampler)
        and not sampler.replacement
        and sampler.num_samples == len(sampler.data_source)
    )
    if type(batches) is not BatchSampler or not (plain or isinstance(sampler, SequentialSampler)):
        raise NotApplicable(
            f"InfoBatch needs a loader that draws each sample of its dataset once, got {type(loader).__name__} with "
            f"{type(sampler).__name__}"
        )
    return batches
