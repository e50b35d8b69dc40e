"""A function of the user's own that makes a run: found, called, and refused where no study can be made of it."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger

PASS_ON = 'pass them to Trainer after your own arguments, Trainer(**{"max_epochs": 30, **overrides})'
ENDS = "ends the program (sys.exit): it must not read the command line, which is that of critperiod"
KEPT = ("max_epochs", "max_steps", "logger", "default_root_dir", "accumulate_grad_batches", "gradient_clip_val")
"""Arguments that are attributes of a Trainer, with the value that was given."""

_TWICE = re.compile(r"got multiple values for keyword argument '(\w+)'")


class Built(NamedTuple):
    """What the function makes: all that a run needs.

    Args:
        module: The model.
        data: None where the model has its data itself.
        trainer: With the callbacks of the user.
    """

    module: LightningModule
    data: LightningDataModule | None
    trainer: Any  # a Trainer, whose attributes mypy does not know


@dataclass(frozen=True)
class BuildFunction:
    """``build(seed, overrides)``.

    Args:
        name: Its import path.
        function: The function itself.
    """

    name: str
    function: Callable[..., Any]

    @classmethod
    def find(cls, name: str) -> "BuildFunction":
        """The function of an import path; a ValueError says why there is none."""
        module, _, last = name.rpartition(".")
        what = (
            f"expected for --build a function by its import path, such as train.build for build in train.py, got {name}"
        )
        if not module or not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(what)
        try:
            function = getattr(import_module(module), last, None)
        except SystemExit:
            raise ValueError(f"the module {module} {ENDS}") from None
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # of a package that the user's module imports
            raise ValueError(f"{what}: there is no module {error.name} in this folder, and none installed") from None
        if not callable(function):
            raise ValueError(f"{what}: the module {module} has no function {last}")
        _require_arguments(name, function)
        return cls(name, function)

    def __call__(self, seed: int, overrides: Mapping[str, Any]) -> Built:
        """Make a run; a ValueError says what is wrong with what was made."""
        built = self._three(self._call(seed, overrides))
        for name in KEPT:
            given, found = overrides.get(name), getattr(built.trainer, name)
            if not isinstance(given, bool | list | None) and given != found and not built.trainer.fast_dev_run:
                wrong = f"must be {given}, got {found}" if isinstance(given, int | float | str) else "must be theirs"
                raise ValueError(f"{self.name} does not follow its overrides, trainer.{name} {wrong}: {PASS_ON}")
        return built

    def _call(self, seed: int, overrides: Mapping[str, Any]) -> Any:
        try:
            return self.function(seed=seed, overrides=dict(overrides))
        except SystemExit:
            raise ValueError(f"{self.name} {ENDS}") from None
        except Exception as error:
            if (twice := _TWICE.search(str(error))) and twice[1] in overrides:
                raise ValueError(
                    f"{self.name} gives {twice[1]} beside the overrides, which have it too: {PASS_ON}"
                ) from None
            which = f"overrides of {', '.join(overrides)}" if overrides else "overrides={}"
            raise ValueError(f"{self.name} raised {type(error).__name__} with {which}: {error}") from error

    def _three(self, made: Any) -> Built:
        parts = list(made) if isinstance(made, tuple | list) else [made]
        kinds = (LightningModule, LightningDataModule | None, Trainer)
        if len(parts) == len(kinds) and all(map(isinstance, parts, kinds)):
            return Built(*parts)
        got = ", ".join(f"{type(part).__module__}.{type(part).__qualname__}" for part in parts)
        raise ValueError(
            f"{self.name} must return (module, data, trainer): a LightningModule, a LightningDataModule (None if the "
            f"module has the loaders itself; put other loaders into one) and a Trainer of lightning.pytorch, got {got}"
        )

    def check(self, first: Built, seed: int, overrides: Mapping[str, Any]) -> None:
        """Make one more run, with all that a study overrides, before any is trained.

        Args:
            first: A run.
            seed: Its seed.
            overrides: What it was made with.

        Raises:
            ValueError: The function does not follow its overrides, or both runs share an object.
        """
        with TemporaryDirectory() as folder:
            of_a_study = {
                "max_epochs": max(first.trainer.max_epochs or 0, 0) + 1,
                "default_root_dir": folder,
                "logger": CSVLogger(folder),
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "enable_checkpointing": True,
            }
            second = self(seed, {**overrides, **of_a_study})
        others = [id(part) for part in _parts(second)]
        for part in _parts(first):
            if id(part) in others:
                raise ValueError(
                    f"{self.name} returns the same {type(part).__name__} in every call, with what the run before left "
                    "in it: make a new one in the function"
                )


def _require_arguments(name: str, function: Callable[..., Any]) -> None:
    signature = inspect.signature(function)
    try:
        signature.bind(seed=0, overrides={})
    except TypeError:
        raise ValueError(f"{name} must take the arguments (seed, overrides), got {signature}") from None


def _parts(built: Built) -> list[Any]:
    """The objects that have a state of their own."""
    trainer = built.trainer
    return [part for part in (*built, *trainer.callbacks, trainer.strategy) if part is not None]
