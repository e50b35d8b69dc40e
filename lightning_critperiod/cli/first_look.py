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
SAY_THE_MODEL = ("-c", "--config", "--model", "-h", "--help", "--print_config")


def first_look(arguments: Sequence[str]) -> None:
    """Refuse a config that is not there, an option that is one of ours misspelt, and a command without a model.

    Args:
        arguments: Those behind the command. An option that is like none of ours is left to Lightning, which may have
            got a new one.

    Raises:
        ValueError: An option is misspelt, or there is neither a config nor a model.
    """
    with_files(arguments)
    given = [word[2:].partition("=")[0].partition(".")[0] for word in arguments if word.startswith("--")]
    for name in (option.rstrip("+") for option in given):
        alike = get_close_matches(name, OPTIONS, n=1, cutoff=0.7)
        if name not in OPTIONS and alike:
            raise ValueError(f"there is no option --{name}, did you mean --{alike[0]}?")
    if not any(word.startswith(SAY_THE_MODEL) for word in arguments):
        raise ValueError(
            "no model is given: --config takes a file or the name of a shipped config, --model a class. "
            "To see it work: critperiod fit --config digits"
        )
