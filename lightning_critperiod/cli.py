"""The command line: ``critperiod fit|validate|test|predict`` is LightningCLI with our callbacks in place.

``critperiod compare`` trains the arms of a comparison by it, ``critperiod oracle`` a grid of switches. ``critperiod
report`` draws the pages of old runs again, ``critperiod inspect`` says what the method would have done in them.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.model_helpers import is_overridden
from typing_extensions import override

from lightning_critperiod import compare, costs, inspection, oracle, reporting
from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.refusal import Refusal, refusing
from lightning_critperiod.report import CostMonitor, RunRecorder, command_console

Study = compare.Comparison | oracle.Oracle
STUDIES: dict[str, Callable[[list[str], Any], Study]] = {"compare": compare.prepare, "oracle": oracle.prepare}
READ_ONLY = {"inspect": inspection.inspect, "report": reporting.report}
KINDS = (CriticalPeriodCallback, costs.CostMonitor, RunRecorder)
COMMANDS = {
    "fit": "Train; the report of what it cost and saved is left in the run's folder.",
    "validate": "Evaluate a model on the validation data.",
    "test": "Evaluate a model on the test data.",
    "predict": "Run a model on data without labels.",
    "compare": "Train the arms of a comparison with the same seeds; say what was lost and what was saved.",
    "oracle": "Train the recipe with the switch at every epoch of a grid; say what each one keeps and saves.",
    "report": "Draw the pages of a run again, or one page of several runs. Trains nothing.",
    "inspect": "Say from the logs of any Lightning run where each rule would have ended the period. Trains nothing.",
}
HELP = """usage: critperiod COMMAND [OPTIONS]

{commands}

critperiod COMMAND --help says what its options are. To see it work: critperiod fit --config configs/digits.yaml
"""


class CritperiodCLI(LightningCLI):
    """LightningCLI with ``CriticalPeriodCallback`` (``critical_period``) and ``CostMonitor`` (``costs``) in place.

    Either gives way to one of its kind that is listed in ``trainer.callbacks``, and so does the ``RunRecorder``. After
    ``fit`` the test set is evaluated, if there is one, with the weights that training ended with.

    Args:
        args: Of the command line; None is the process's own.
        run: Whether to run a subcommand. Without, ``args`` have none: the config is parsed and made into objects.
    """

    recorder: RunRecorder | None = None

    def __init__(self, args: Sequence[str] | None = None, run: bool = True) -> None:
        quiet = {"exit_on_error": False}  # main() says it in one line
        with refusing(until=self._has_trained):
            super().__init__(
                LightningModule,
                LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                auto_configure_optimizers=False,
                parser_kwargs={**quiet, **dict.fromkeys(self.subcommands() if run else (), quiet)},
                args=None if args is None else list(args),
                run=run,
            )

    def _has_trained(self) -> bool:
        trainer = vars(self).get("trainer")
        return trainer is not None and trainer.fit_loop.epoch_loop.batch_progress.total.ready > 0

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(CriticalPeriodCallback, "critical_period")
        parser.add_lightning_class_args(CostMonitor, "costs")
        what = "Points of accuracy that critperiod compare may lose to the full recipe; fit does not read it."
        parser.add_argument("--margin", type=float | None, default=None, help=what)

    @override
    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Any]) -> Trainer:
        listed = config["callbacks"] or []
        theirs = listed if isinstance(listed, list) else [listed]
        taken = [kind for kind in KINDS if any(isinstance(callback, kind) for callback in theirs)]
        ours = [callback for callback in callbacks if not isinstance(callback, tuple(taken))]
        if self.subcommand != "fit":
            ours = []  # what they do, they do in fit
        elif RunRecorder not in taken:
            text = self._parser(self.subcommand).dump(self.config[self.subcommand], skip_none=False)
            self.recorder = RunRecorder(show=False, config=text)  # shown after the test
            ours.append(self.recorder)  # reads the others, so it comes after them
        return super()._instantiate_trainer(config, ours)

    def after_fit(self) -> None:
        """Evaluate the test set, if there is one and training came to its end; then say what the run cost."""
        trainer: Any = self.trainer
        has_test_set = self.datamodule is not None and is_overridden("test_dataloader", self.datamodule)
        if has_test_set and trainer.state.finished and not trainer.fast_dev_run:
            trainer.test(self.model, datamodule=self.datamodule, verbose=False)
        if trainer.is_global_zero and self.recorder is not None:
            self.recorder.show_on(command_console())


def _study(arguments: list[str]) -> Study:
    with refusing():
        return STUDIES[arguments[0]](arguments[1:], CritperiodCLI)


def _read_only(arguments: list[str]) -> None:
    """Commands that look at old runs and train nothing: all that can go wrong is their input."""
    with refusing():
        READ_ONLY[arguments[0]](arguments[1:])


def _overview() -> str:
    return HELP.format(commands="\n".join(f"  {name:<10}{what}" for name, what in COMMANDS.items()))


def _run(arguments: list[str]) -> None:
    first = arguments[0] if arguments else "--help"
    if first in {"-h", "--help"}:
        sys.stdout.write(_overview())
    elif first in STUDIES:
        sys.exit(_study(arguments).run())
    elif first in READ_ONLY:
        _read_only(arguments)
    elif not first.startswith("-") and first not in COMMANDS:
        raise Refusal(f"there is no command {first!r}, only {', '.join(COMMANDS)}")
    else:
        CritperiodCLI()


def main() -> None:
    """Run the command line. Bad input is one line on standard error and exit status 2."""
    try:
        _run(sys.argv[1:])
    except Refusal as refusal:
        sys.stderr.write(f"critperiod: error: {refusal}\n")
        sys.exit(2)
