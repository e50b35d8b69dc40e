"""A LightningCLI that chooses among the callbacks that its parser adds."""

from abc import abstractmethod
from argparse import SUPPRESS
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from typing_extensions import override


class ChoosingCLI(LightningCLI):
    """LightningCLI with a say in which of the parser's own callbacks join those of ``trainer.callbacks``.

    Attributes:
        reads_hyperparameters: Whether those in a checkpoint override the arguments of the model.
    """

    reads_hyperparameters = True

    @abstractmethod
    def choose(self, listed: list[Any], ours: list[Any]) -> list[Any]:
        """The callbacks to add.

        Args:
            listed: What ``trainer.callbacks`` lists.
            ours: What the parser would add.
        """

    def config_text(self) -> str:
        """The config of the subcommand that runs, as YAML."""
        text: str = self._parser(self.subcommand).dump(self.config[self.subcommand], skip_none=False)
        return text

    def make_trainer(self, config: dict[str, Any], listed: list[Any], ours: list[Any]) -> Trainer:
        """The trainer.

        Args:
            config: The arguments of Trainer.
            listed: What ``trainer.callbacks`` lists.
            ours: The callbacks that the parser adds.

        Returns:
            It, with the callbacks.
        """
        return super()._instantiate_trainer(config, self.choose(listed, ours))

    @override
    def _parse_ckpt_path(self) -> None:
        if self.reads_hyperparameters:
            super()._parse_ckpt_path()

    @override
    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Any]) -> Trainer:
        listed = config.get("callbacks") or []
        return self.make_trainer(config, listed if isinstance(listed, list) else [listed], callbacks)


class WithoutModel(ChoosingCLI):
    """Has no arguments for a model and its data, and of those of Trainer only the ones that are given."""

    @override
    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        names = parser.add_lightning_class_args(self.trainer_class, "trainer")
        parser.set_defaults(dict.fromkeys(names, SUPPRESS))
