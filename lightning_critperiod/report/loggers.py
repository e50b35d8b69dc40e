"""The report on the loggers that can show one: TensorBoard, Weights & Biases and MLflow.

A logger that fails is a warning: a report that does not arrive must not cost the model that was trained.
"""

import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod.lightning_seam.namespace import NAMES
from lightning_critperiod.record import Record, as_json
from lightning_critperiod.report.markdown import markdown
from lightning_critperiod.report.page import page
from lightning_critperiod.report.plotting import figures, svgs
from lightning_critperiod.report.save import pages

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TAG = "critical_period"
Send = Callable[[Any, Record, int], None]
"""Takes a logger, the record and the optimizer step that it is about."""


def log_report(record: Record, loggers: Iterable[Any], step: int) -> None:
    """The report of a run, ``critical_period/report``.

    TensorBoard gets text and renders its Markdown, W&B a panel that shows the page; MLflow gets all three files as
    artifacts, ``critical_period/report.html`` and so on.

    Args:
        record: The record of the run.
        loggers: The loggers of the trainer; those of other kinds are left alone.
        step: The optimizer step it is about.
    """
    _send(record, loggers, step, {"TensorBoardLogger": _text, "WandbLogger": _panel, "MLFlowLogger": _files})


def log_figures(record: Record, loggers: Iterable[Any], step: int) -> None:
    """The figures of the report as images, ``critical_period/<caption>``; on MLflow as artifacts of that name.

    Args:
        record: The record of the run.
        loggers: The loggers of the trainer; those of other kinds are left alone.
        step: The optimizer step they are about.
    """
    kinds = {"TensorBoardLogger": _figures, "WandbLogger": _images, "MLFlowLogger": _image_files}
    _send(record, loggers, step, kinds)


def _send(record: Record, loggers: Iterable[Any], step: int, kinds: Mapping[str, Send]) -> None:
    modules = [sys.modules[f"{name}.loggers"] for name in NAMES if f"{name}.loggers" in sys.modules]
    for logger in loggers:
        for kind, send in kinds.items():
            if isinstance(logger, tuple(getattr(module, kind) for module in modules)):
                _attempt(send, logger, record, step)


def _attempt(send: Send, logger: Any, record: Record, step: int) -> None:
    try:
        send(logger, record, step)
    except Exception as error:  # a full disk, a server that is gone, a package of another version
        rank_zero_warn(
            f"The report of the run did not reach {type(logger).__name__} ({type(error).__name__}: {error}); "
            "it is in the run's folder."
        )


def _text(logger: Any, record: Record, step: int) -> None:
    logger.experiment.add_text(f"{TAG}/report", markdown(record), step)


def _figures(logger: Any, record: Record, step: int) -> None:
    for caption, figure in _opaque(record).items():
        logger.experiment.add_figure(f"{TAG}/{caption}", figure, step, close=False)


def _panel(logger: Any, record: Record, step: int) -> None:
    import wandb  # type: ignore[import-not-found, unused-ignore]

    logger.log_metrics({f"{TAG}/report": wandb.Html(page(record, svgs(record)), inject=False)}, step)


def _images(logger: Any, record: Record, step: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for caption, path in _drawn(record, Path(folder)).items():
            logger.log_image(f"{TAG}/{caption}", [str(path)], step)


def _files(logger: Any, record: Record, step: int) -> None:
    for name, text in {"report.json": as_json(record.to_json()), **pages(record)}.items():
        logger.experiment.log_text(logger.run_id, text, f"{TAG}/{name}")


def _image_files(logger: Any, record: Record, step: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _drawn(record, Path(folder))
        logger.experiment.log_artifacts(logger.run_id, folder, TAG)


def _drawn(record: Record, folder: Path) -> dict[str, Path]:
    """Caption -> the figure in a file; the name of a metric may hold a slash."""
    found = {}
    for caption, figure in _opaque(record).items():
        found[caption] = folder / f"{caption.replace('/', '_')}.png"
        figure.savefig(found[caption], dpi=150)
    return found


def _opaque(record: Record) -> "dict[str, Figure]":
    """The figures on white: an image whose transparency is lost would have it black."""
    found = figures(record)
    for figure in found.values():
        figure.patch.set_alpha(1)
    return found
