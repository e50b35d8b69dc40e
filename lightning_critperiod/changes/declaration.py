"""The volume that a datamodule declares by its attributes ``augmentation_multiplier`` and ``pruning_ratio``."""

import inspect
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from lightning_critperiod.recipe import Volume

NAMES = ("augmentation_multiplier", "pruning_ratio")
MISSING = object()


class DeclaredVolume:
    """Reads, writes and gives back the two attributes of one datamodule.

    Args:
        datamodule: One for which ``is_declared`` holds.

    Raises:
        TypeError: A declared value is not a number.
        ValueError: A declared value is out of range.
    """

    def __init__(self, datamodule: Any) -> None:
        self.datamodule = datamodule
        self.values = tuple(getattr(datamodule, name) for name in NAMES)
        self.volume = Volume(*self.values)
        self._own = {name: vars(datamodule).get(name, MISSING) for name in NAMES}

    @staticmethod
    def is_declared(datamodule: Any) -> bool:
        """Whether a datamodule has both attributes."""
        return all(getattr(datamodule, name, MISSING) is not MISSING for name in NAMES)

    def write(self, volume: Volume) -> None:
        """Let the datamodule read the volume of the epoch that starts."""
        self._set(volume.augmentation_multiplier, volume.pruning_ratio)

    def restore(self) -> None:
        """Leave the datamodule with what it had: an attribute of its class does not stay behind on the instance."""
        for name, value, own in zip(NAMES, self.values, self._own.values(), strict=True):
            if own is not MISSING or self._is_property(name):
                setattr(self.datamodule, name, value)
            else:
                vars(self.datamodule).pop(name, None)

    @contextmanager
    def neutral(self) -> Generator[None]:
        """The attributes read 1 and 0 inside, so that a datamodule which applies them itself applies nothing."""
        present = [getattr(self.datamodule, name) for name in NAMES]
        self._set(1, 0)
        try:
            yield
        finally:
            self._set(*present)

    def _set(self, *values: float) -> None:
        for name, value in zip(NAMES, values, strict=True):
            try:
                setattr(self.datamodule, name, value)
            except AttributeError as error:
                raise ValueError(
                    f"{type(self.datamodule).__name__}.{name} must be an attribute that can be set: the callback "
                    f"writes it whenever the volume changes. Got a read-only one ({error})."
                ) from error

    def _is_property(self, name: str) -> bool:
        return inspect.isdatadescriptor(inspect.getattr_static(type(self.datamodule), name, None))


def own_volume(trainer: Any) -> Volume:
    """What the user's own project draws: the volume that the datamodule declares, else every sample once."""
    declared = DeclaredVolume.is_declared(trainer.datamodule)
    return DeclaredVolume(trainer.datamodule).volume if declared else Volume()
