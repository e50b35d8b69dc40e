"""What can be said of a command line without importing Lightning, which takes seconds."""

from collections.abc import Sequence
from difflib import get_close_matches

from lightning_critperiod.shipped_configs import with_files

OPTIONS = (
    "config",
    "print_config",
    "help",
    "seed_everything",
    "trainer",
    "model",
    "data",
    "critical_period",
    "costs",
    "margin",
    "optimizer",
    "lr_scheduler",
    "ckpt_path",
    "weights_only",
    "verbose",
    "return_predictions",
)
"""Of LightningCLI with our callbacks, without what is below them."""


def first_look(arguments: Sequence[str]) -> None:
    """Refuse a config that is not there, and an option that is one of ours misspelt.

    Args:
        arguments: Those behind the command. An option that is like none of ours is left to Lightning, which may have
            got a new one.

    Raises:
        ValueError: An option is misspelt.
    """
    with_files(arguments)
    given = [word[2:].partition("=")[0].partition(".")[0] for word in arguments if word.startswith("--")]
    for name in (name.rstrip("+") for name in given):
        alike = get_close_matches(name, OPTIONS, n=1, cutoff=0.7)
        if name not in OPTIONS and alike:
            raise ValueError(f"there is no option --{name}, did you mean --{alike[0]}?")
