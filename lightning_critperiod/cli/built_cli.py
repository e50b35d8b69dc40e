"""The command line of a project whose model, data and trainer come from a function of its own."""

import os
from collections.abc import Sequence
from typing import Any, cast

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from lightning_critperiod.cli.build_function import BuildFunction
from lightning_critperiod.cli.lightning_cli import CritperiodCLI
from lightning_critperiod.lightning_seam.cli import WithoutModel


class BuiltCLI(WithoutModel, CritperiodCLI):
    """``CritperiodCLI`` for ``build(seed, overrides)``: config files have no ``model`` and ``data``.

    What they give under ``trainer`` are the overrides; their callbacks and ours follow those of the trainer that
    ``build`` returns. Only studies use it: with ``run=False`` it checks the function.

    Args:
        build: The import path of the function.
        args: As for ``CritperiodCLI``.
        run: As for ``CritperiodCLI``.
        report: As for ``CritperiodCLI``.
    """

    def __init__(self, build: str, args: Sequence[str] | None = None, run: bool = True, report: bool = True) -> None:
        self.build = build
        super().__init__(args, run, report)

    @override
    def make_trainer(self, config: dict[str, Any], listed: list[Any], ours: list[Any]) -> Trainer:
        overrides = {name: value for name, value in config.items() if name != "callbacks"}
        parsed = self.config if self.subcommand is None else self.config[self.subcommand]
        seed, build = int(parsed["seed_everything"]), BuildFunction.find(self.build)
        built = build(seed, overrides)
        if self.subcommand is None:
            build.check(built, seed, overrides)
        else:
            _keep_checkpoints_in(overrides["default_root_dir"], built.trainer)
        self.model, self.datamodule = built.module, built.data
        callbacks = [*built.trainer.callbacks, *listed]
        callbacks += self.choose(callbacks, ours)
        # As in Trainer: those that save checkpoints come last.
        built.trainer.callbacks = sorted(callbacks, key=lambda callback: isinstance(callback, Checkpoint))
        return cast("Trainer", built.trainer)


def _keep_checkpoints_in(folder: str, trainer: Any) -> None:
    """A ``dirpath`` is the user's own, where the checkpoints of a study would replace theirs."""
    for callback in trainer.callbacks:
        if vars(callback).get("dirpath") is not None:
            callback.dirpath = os.path.join(folder, "checkpoints")
