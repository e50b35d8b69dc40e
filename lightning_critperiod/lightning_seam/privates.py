"""The attributes of Lightning that are no public interface and that we can't do without."""

from operator import attrgetter
from typing import Any

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
    """Refuse a version of Lightning that lacks what we need of its insides.

    Args:
        trainer: Of the run.

    Raises:
        RuntimeError: An attribute is missing.
    """
    for name in NEEDED:
        try:
            attrgetter(name)(trainer)
        except AttributeError:
            package = type(trainer).__module__.partition(".")[0]
            version = getattr(__import__(package), "__version__", "of unknown version")
            raise RuntimeError(
                f"CriticalPeriodCallback needs Trainer.{name}, which {package} {version} does not have: install a "
                "version of lightning that this package was tested with, or give observe_only=True."
            ) from None
