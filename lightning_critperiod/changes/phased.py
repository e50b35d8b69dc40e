"""An attribute of the module or the datamodule that has one value per phase."""

import inspect
from typing import Any

from typing_extensions import override

from lightning_critperiod.recipe import Change
from lightning_critperiod.timeline import PHASES, Phase

Value = bool | int | float | str | list[Any] | None

DATAMODULE = "datamodule"


class Phased(Change):
    """Gives an attribute of the module (or of the datamodule, as ``datamodule.x``) another value in some phases.

    In a phase without a value (None) the attribute keeps the user's own value; a cooldown without one has the value of
    ``after``. The user's own value is restored after ``fit``. Whenever an attribute of the datamodule changes,
    Lightning asks ``train_dataloader()`` for new loaders, so that the value reaches worker processes, persistent ones
    too.

    Args:
        path: Dotted path of an attribute that exists, such as "mixup_alpha", "backbone.dropout.p" or
            "datamodule.image_size".
        during: Value in the critical period.
        after: Value after it.
        annealing: Value in the last part of training, where there is one.
        cooldown: Value in the cooldown; the recipe must have one.

    Raises:
        TypeError: ``path`` is not a string.
        ValueError: ``path`` is empty, or no phase has a value. Before the first batch: there is no such attribute, it
            is read-only, or a value is of another type than the user's own.

    >>> Phased("mixup_alpha", after=0.0).value("cooldown", own=0.2)
    0.0
    """

    def __init__(
        self,
        path: str,
        during: Value = None,
        after: Value = None,
        annealing: Value = None,
        cooldown: Value = None,
    ) -> None:
        if not isinstance(path, str):
            raise TypeError(f"path must be the dotted path of an attribute, got {path!r}")
        if not all(path.split(".")):
            raise ValueError(f"path must be the dotted path of an attribute such as 'backbone.dropout.p', got {path!r}")
        self.path = path
        self.during = during
        self.after = after
        self.annealing = annealing
        self.cooldown = after if cooldown is None else cooldown
        self.needs_cooldown = cooldown is not None
        if all(value is None for value in self._values):
            raise ValueError(f"Phased({path!r}) needs a value for a phase: during, after, annealing or cooldown")
        self.name = f"phased/{path}"
        self._target: Any = None
        self._own: Any = None
        self._is_of_class = False
        self._changed = False

    def value(self, phase: Phase, own: Any) -> Any:
        """The value in a phase, where the user's own is ``own``."""
        value = dict(zip(PHASES, self._values, strict=True))[phase]
        return own if value is None else value

    @override
    def setup(self, trainer: Any, pl_module: Any) -> None:
        self.undo()
        if self._is_of_datamodule:  # its loaders may be made before training starts
            self._find(trainer, pl_module)
            self.apply("during")

    @override
    def start(self, trainer: Any, pl_module: Any) -> None:
        if self._target is None:
            self._find(trainer, pl_module)

    @override
    def apply(self, phase: Phase) -> None:
        value = self.value(phase, self._own)
        self._changed = bool(getattr(self._target, self._attribute) != value)
        if self._changed:
            setattr(self._target, self._attribute, value)

    @override
    def undo(self) -> None:
        target, self._target = self._target, None
        if target is None:
            return
        if self._is_of_class:
            vars(target).pop(self._attribute, None)
        else:
            setattr(target, self._attribute, self._own)

    @property
    @override
    def setting(self) -> Any:
        return None if self._target is None else getattr(self._target, self._attribute)

    @property
    @override
    def needs_new_loaders(self) -> bool:
        return self._changed and self._is_of_datamodule

    @property
    def _values(self) -> tuple[Value, ...]:
        return self.during, self.after, self.annealing, self.cooldown

    @property
    def _is_of_datamodule(self) -> bool:
        return self.path.partition(".")[0] == DATAMODULE

    @property
    def _attribute(self) -> str:
        return self.path.rpartition(".")[2]

    def _find(self, trainer: Any, pl_module: Any) -> None:
        names = self.path.split(".")
        root, names = (trainer.datamodule, names[1:]) if self._is_of_datamodule else (pl_module, names)
        if root is None or not names:
            raise ValueError(f"Phased({self.path!r}) needs a datamodule and the name of its attribute, got {root!r}")
        target = root
        for name in names[:-1]:
            target = self._get(target, name)
        own = self._get(target, names[-1])
        self._is_of_class = _is_of_class(target, self._attribute)
        self._check(target, own)
        self._target, self._own = target, own

    def _get(self, target: Any, name: str) -> Any:
        try:
            return getattr(target, name)
        except AttributeError:
            raise ValueError(
                f"Phased({self.path!r}) needs an attribute that exists, but {type(target).__name__} has no {name!r}: "
                "give it one, or correct the path."
            ) from None

    def _check(self, target: Any, own: Any) -> None:
        for value in self._values:
            if value is not None and not _is_of_one_type(value, own):
                raise ValueError(
                    f"Phased({self.path!r}) must keep the type of the attribute, {type(own).__name__} ({own!r}), got "
                    f"{value!r}"
                )
        try:
            setattr(target, self._attribute, own)
        except (AttributeError, TypeError) as error:
            raise ValueError(
                f"Phased({self.path!r}) needs an attribute that can be set, but it is read-only ({error})."
            ) from None


def _is_of_one_type(value: Any, own: Any) -> bool:
    if own is None:
        return True
    numbers = all(isinstance(number, int | float) and not isinstance(number, bool) for number in (value, own))
    sequences = all(isinstance(one, list | tuple) for one in (value, own))
    return numbers or sequences or type(value) is type(own)


def _is_of_class(target: Any, name: str) -> bool:
    """Whether the instance has no value of its own, only its class has."""
    static = inspect.getattr_static(type(target), name, None)
    own = name in getattr(target, "__dict__", {})
    return not own and static is not None and not inspect.isdatadescriptor(static)
