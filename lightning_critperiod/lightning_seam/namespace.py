"""Which Lightning: ``lightning.pytorch`` or ``pytorch_lightning``, whichever the user has imported, or both.

The two packages hold the same code twice, and a class of one is no subclass of the other's. LightningCLI refuses a
callback that is not of its own namespace, so ours inherits from every namespace that is loaded when it is imported, and
from every one that is installed where none is loaded yet. What is imported later runs our callback in its Trainer all
the same, but its LightningCLI does not know it.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

NAMES = ("lightning.pytorch", "pytorch_lightning")


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name.partition(".")[0]) is not None


def _namespaces() -> list[ModuleType]:
    loaded = [name for name in NAMES if name in sys.modules]
    return [importlib.import_module(name) for name in loaded or filter(_installed, NAMES)]


def _union(path: str) -> Any:
    """A base class that is a subclass of ``path`` in every loaded namespace."""
    bases = tuple(getattr(namespace, path) for namespace in _namespaces())
    return bases[0] if len(bases) == 1 else type(path, bases, {})


if TYPE_CHECKING:
    from lightning.pytorch import Callback as Callback
    from lightning.pytorch import LightningDataModule as LightningDataModule
    from lightning.pytorch import LightningModule as LightningModule
else:
    Callback = _union("Callback")
    LightningDataModule = _union("LightningDataModule")
    LightningModule = _union("LightningModule")
