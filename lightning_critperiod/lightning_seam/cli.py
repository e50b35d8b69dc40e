"""A LightningCLI that chooses among the callbacks that its parser adds."""

from abc import abstractmethod
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningCLI
from typing_extensions import override


class ChoosingCLI(LightningCLI):
    """LightningCLI with a say in which of the parser's own callbacks join those of ``trainer.callbacks``."""

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

    @override
    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Any]) -> Trainer:
        listed = config["callbacks"] or []
        chosen = self.choose(listed if isinstance(listed, list) else [listed], callbacks)
        return super()._instantiate_trainer(config, chosen)
