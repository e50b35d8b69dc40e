"""``critperiod fit|validate|test|predict``: LightningCLI with our callbacks in place."""

import sys
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.model_helpers import is_overridden
from typing_extensions import override

from lightning_critperiod import costs
from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.cli.refusal import refusing
from lightning_critperiod.lightning_seam.cli import ChoosingCLI
from lightning_critperiod.report import CostMonitor, RunRecorder, command_console
from lightning_critperiod.shipped_configs import with_files

KINDS = (CriticalPeriodCallback, costs.CostMeter, RunRecorder)


class CritperiodCLI(ChoosingCLI):
    """LightningCLI with ``CriticalPeriodCallback`` (``critical_period``) and ``CostMonitor`` (``costs``) in place.

    A callback of the same kind in ``trainer.callbacks`` takes the place of either, and of the ``RunRecorder``.
    ``--config`` takes the names of shipped configs too. After ``fit`` the test set is evaluated, if there is one, with
    the weights that training ended with.

    Args:
        args: The words of the command line; None is the process's own.
        run: Whether to run a subcommand. Without, ``args`` have none: the config is parsed and made into objects.
        report: Whether ``fit`` leaves its report and says what it cost; the record is collected all the same.
    """

    recorder: RunRecorder | None = None

    def __init__(self, args: Sequence[str] | None = None, run: bool = True, report: bool = True) -> None:
        self.report = report
        # A study goes on from checkpoints of its own, and its config says all. A function as class_path takes none.
        self.reads_hyperparameters = report
        self._words = list(sys.argv[1:] if args is None else args)
        strict = {"exit_on_error": False, "allow_abbrev": False}  # main() says it in one line
        with refusing(until=self._has_trained):
            super().__init__(
                LightningModule,
                None,  # any LightningDataModule, or the data of the model
                subclass_mode_model=True,
                subclass_mode_data=True,
                parser_kwargs={**strict, **dict.fromkeys(self.subcommands() if run else (), strict)},
                args=None if args is None else list(args),
                run=run,
            )

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.config = parser.parse_args(with_files(self._words))

    @override
    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Those whose parsers are made: making all takes a quarter of the time that a small run takes to start."""
        known = LightningCLI.subcommands()
        called = self._words[0] if self._words else ""
        return {called: known[called]} if called in known else known

    def _has_trained(self) -> bool:
        trainer = vars(self).get("trainer")
        return trainer is not None and trainer.fit_loop.epoch_loop.batch_progress.total.ready > 0

    @property
    def has_test_set(self) -> bool:
        """Whether the data, or the model in their place, have a test set."""
        return any(
            is_overridden("test_dataloader", owner) for owner in (self.datamodule, self.model) if owner is not None
        )

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(CriticalPeriodCallback, "critical_period")
        parser.add_lightning_class_args(CostMonitor, "costs")
        what = "What critperiod compare may lose to the full recipe, in the unit of its metric; fit does not read it."
        parser.add_argument("--margin", type=float | None, default=None, help=what)

    @override
    def choose(self, listed: list[Any], ours: list[Any]) -> list[Any]:
        taken = [kind for kind in KINDS if any(isinstance(callback, kind) for callback in listed)]
        ours = [callback for callback in ours if not isinstance(callback, tuple(taken))]
        if self.subcommand != "fit":
            ours = []  # what they do, they do in fit
        elif RunRecorder not in taken:
            # Shown after the test.
            self.recorder = RunRecorder(write=self.report, show=False, config=self.config_text())
            ours.append(self.recorder)  # reads the others, so it comes after them
        return ours

    def after_fit(self) -> None:
        """Evaluate the test set, if there is one and training came to its end; then say what the run cost."""
        trainer: Any = self.trainer
        if (
            self.has_test_set
            and is_overridden("test_step", self.model)
            and trainer.state.finished
            and not trainer.fast_dev_run
        ):
            trainer.test(self.model, datamodule=self.datamodule, verbose=False)
        if self.report and trainer.is_global_zero and self.recorder is not None:
            self.recorder.show_on(command_console())
