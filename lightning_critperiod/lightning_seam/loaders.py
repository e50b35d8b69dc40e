"""The train dataloaders that Lightning holds."""

import math
from collections.abc import Callable, Sequence
from typing import Any


def train_loaders(trainer: Any) -> list[Any]:
    """The train dataloaders in use, in Lightning's order; none before it has set them up."""
    combined = trainer.fit_loop._combined_loader
    return [] if combined is None else list(combined.flattened)


def has_loaders(trainer: Any) -> bool:
    """Whether Lightning has set its train dataloaders up."""
    return trainer.fit_loop._combined_loader is not None


def is_cyclic(trainer: Any) -> bool:
    """Whether a loader that is shorter than the epoch begins again."""
    return has_loaders(trainer) and trainer.fit_loop._combined_loader._mode == "max_size_cycle"


def combined_batches(trainer: Any, lengths: Sequence[float]) -> float:
    """Batches of an epoch of the combined loader, whose own loaders have these lengths."""
    if not lengths:
        return math.inf
    return min(lengths) if trainer.fit_loop._combined_loader._mode == "min_size" else max(lengths)


def give_back(trainer: Any, original: Callable[[Any], Any]) -> None:
    """Put the loaders that ``original`` answers in the place of those in use."""
    combined = trainer.fit_loop._combined_loader
    if combined is not None:
        combined.flattened = [original(loader) for loader in combined.flattened]


def iterate_again(trainer: Any) -> None:
    """Begin a new iteration over the train dataloaders."""
    fetcher = trainer.fit_loop._data_fetcher
    if fetcher is not None:
        iter(fetcher)


def drop_train_loaders(trainer: Any) -> None:
    """Let Lightning ask for the train dataloaders once more when it sets up its data next."""
    trainer.fit_loop._combined_loader = None


def reload_train_loaders(trainer: Any) -> None:
    """Let Lightning ask for the train dataloaders once more, now."""
    drop_train_loaders(trainer)
    trainer.fit_loop.setup_data()


def prepared(trainer: Any, loader: Any) -> Any:
    """A train dataloader sharded as Lightning would shard it."""
    return trainer._data_connector._prepare_dataloader(loader, shuffle=True, mode="train")
