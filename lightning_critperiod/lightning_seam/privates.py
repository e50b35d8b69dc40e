"""The attributes of others that are no public interface and that we can't do without."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from torch.utils.data import DataLoader

NEEDED = (
    "fit_loop.setup_data",
    "fit_loop._combined_loader",
    "fit_loop._data_fetcher",
    "fit_loop._data_source",
    "fit_loop._last_train_dl_reload_epoch",
    "fit_loop.epoch_progress.current.processed",
    "fit_loop.epoch_progress.current.ready",
    "fit_loop.epoch_progress.current.completed",
    "fit_loop.restarted_mid_epoch",
    "fit_loop.epoch_loop.restarting",
    "fit_loop.epoch_loop.batch_idx",
    "fit_loop.epoch_loop.batch_progress.current.processed",
    "fit_loop.epoch_loop.batch_progress.total.ready",
    "fit_loop.epoch_loop.update_lr_schedulers",
    "fit_loop.epoch_loop._batches_that_stepped",
    "fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total.completed",
    "strategy.process_dataloader",
    "_data_connector._prepare_dataloader",
)


def check_privates(trainer: Any) -> None:
    """Refuse a version of Lightning or torch that lacks what we need of its insides.

    What can be missing has a fallback where it is used: ``how_length_is_told``, ``how_obtained``.

    Args:
        trainer: The trainer of the run.

    Raises:
        RuntimeError: An attribute is missing.
    """
    for attribute, package in _missing(trainer):
        version = getattr(__import__(package), "__version__", "of unknown version")
        raise RuntimeError(
            f"CriticalPeriodCallback needs {attribute}, which {package} {version} does not have: install a version of "
            f"{package} that this package was tested with, or give observe_only=True."
        )


def _missing(trainer: Any) -> Iterator[tuple[str, str]]:
    """Attributes that are not there, each with the package that should have it."""
    for name in NEEDED:
        try:
            attrgetter(name)(trainer)
        except AttributeError:
            yield f"Trainer.{name}", type(trainer).__module__.partition(".")[0]
    empty: Any = ()
    if not hasattr(DataLoader(empty), "_iterator"):
        yield "DataLoader._iterator", "torch"
