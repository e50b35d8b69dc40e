"""What the command line says in one line, and what not: an error in the user's own code keeps its traceback."""

import re
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from difflib import get_close_matches

from jsonargparse import ArgumentError

REFUSED = (ArgumentError, ValueError, TypeError, OSError)
NOISE = ("Does not validate against", "Subtypes:", "Errors:", "Expected a <class 'NoneType'>", "Given value")
OURS = "lightning_critperiod"
# What calls the user's code or is called by it and by ours: who of the two is to blame, its own frames do not tell.
LIBRARIES = {"jsonargparse", "lightning", "lightning_utilities", "pytorch_lightning", "codecarbon", "yaml", "rich"}
LIBRARIES |= {
    "torch",
    "torchvision",
    "torchmetrics",
    "numpy",
    "sklearn",
    "PIL",
    "matplotlib",
    "tensorboard",
    *sys.stdlib_module_names,
}

_UNKNOWN_CLASS = re.compile(
    r'Parser key "((?:[\w.]+\.)?(rule|signal))":.*Expected a dot import path string: (\S+)', re.DOTALL
)
_NO_CLASS = re.compile(
    r'Parser key "(model|data)":.*Expected a (?:config )?path but (\S+) either.*?'
    r"(Expected a dot import path string|No module named .*?|module \S+ has no attribute .*?)[\n:]",
    re.DOTALL,
)
_A_CLASS = {"model": "lightning_critperiod.models.ImageClassifier", "data": "lightning_critperiod.datamodules.Digits"}


class Refusal(Exception):
    """Input that no training can start with, in one line."""


@contextmanager
def refusing(until: Callable[[], bool] = lambda: False) -> Generator[None]:
    """Make one line of what bad input raises; what the user's own code raises goes on as it came.

    Args:
        until: Whether the input was good enough to begin with: from then on nothing is made shorter.

    Yields:
        Nothing.

    Raises:
        Refusal: The input is bad.
    """
    try:
        yield
    except _refused() as error:
        if until() or is_of_the_user(error):
            raise
        raise Refusal(one_line(error)) from error


def _refused() -> tuple[type[BaseException], ...]:
    """Lightning's own error is among them where Lightning is imported."""
    lightning = sys.modules.get("lightning.fabric.utilities.exceptions")
    return REFUSED if lightning is None else (*REFUSED, lightning.MisconfigurationException)


def is_of_the_user(error: BaseException) -> bool:
    """Whether the innermost frame that is not a library's, where the error began, is the user's and not ours."""
    while (before := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = before
    names = [
        frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    # A worker of a DataLoader is a process of its own: its traceback comes as text.
    in_worker = str(error).startswith("Caught ") and "Original Traceback" in str(error)
    return in_worker or next((name != OURS for name in reversed(names) if name not in LIBRARIES), False)


def one_line(error: BaseException) -> str:
    """What a person needs of an error's text: jsonargparse wraps the cause in what it tried without success."""
    if found := _UNKNOWN_CLASS.search(str(error)):
        return _there_is_no(*found.groups())
    if found := _NO_CLASS.search(str(error)):
        return _is_no_class(*found.groups())
    lines = [line.strip(" -") for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(NOISE))


def _is_no_class(key: str, name: str, reason: str) -> str:
    """What a model or its data may be given as, where it is neither a file nor a class."""
    why = "" if reason.startswith("Expected") else f" ({reason})"
    return f"--{key}: {name} is neither a config file nor the import path of a class, such as {_A_CLASS[key]}{why}"


def _there_is_no(key: str, kind: str, name: str) -> str:
    """Which rules or signals there are, where a name is none of them."""
    import lightning_critperiod as ours

    names = ours.ROOMS[f"{kind}s"]
    alike = get_close_matches(name, names, n=1)
    meant = f". Did you mean {alike[0]}?" if alike else ""
    return f"--{key}: there is no {kind} {name!r}, only {', '.join(names)}, or the import path of your own{meant}"
