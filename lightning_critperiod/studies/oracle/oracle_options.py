"""``critperiod oracle``: its options."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_critperiod.recipe import require_number
from lightning_critperiod.studies.oracle.switches import default_epochs
from lightning_critperiod.studies.study_options import StudyOptions, common, numbers, study_parser

DESCRIPTION = """Trains the config's recipe with the switch at each epoch of a grid, without annealing, and says what
each switch keeps and saves, compared with the full recipe in all epochs (Figure 1 of the paper). With --annealing it
also tries bringing the full recipe back in the last part of a run (Figure 2). Finished runs are kept: run the same
command again to continue where it stopped. Records, table.md, figure1.svg and figure2.svg are in a folder with the name
of the config."""


@dataclass(frozen=True)
class OracleOptions(StudyOptions):
    """What ``critperiod oracle`` is asked for.

    Args:
        switch_epochs: First epochs after the switch; none is the default grid.
        annealing: Fractions of the epochs after the switch with the full recipe again.
        at: Where the runs of ``annealing`` switch; None means where the config's own rule fires.
    """

    switch_epochs: list[int]
    annealing: list[float]
    at: int | None

    def epochs(self, max_epochs: int) -> list[int]:
        """Of the switch.

        Args:
            max_epochs: Length of a run.

        Returns:
            Those asked for, or the default grid.

        Raises:
            ValueError: One is outside the run.
        """
        epochs = self.switch_epochs or default_epochs(max_epochs)
        for epoch in [*epochs, *([] if self.at is None else [self.at])]:
            if not 0 <= epoch < max_epochs:
                raise ValueError(
                    f"a switch epoch must be from 0 to {max_epochs - 1} (max_epochs {max_epochs}), got {epoch}"
                )
        return epochs


def parse(arguments: Sequence[str]) -> OracleOptions:
    """Read the command line; nothing is imported for it that takes long.

    Args:
        arguments: Those behind ``critperiod oracle``.

    Returns:
        The options.

    Raises:
        ValueError: Something is wrong with them.
    """
    parser = study_parser("oracle", DESCRIPTION, seeds=3, results="results/oracle")
    epochs = "First epochs after the switch, as a b, a,b or [a, b]. If not given, eight, evenly spread over the run."
    parser.add_argument("--switch-epochs", nargs="+", metavar="EPOCH", help=epochs)
    fractions = "Fractions of the epochs after the switch that have the full recipe again, as a b, a,b or [a, b]."
    parser.add_argument("--annealing", nargs="+", metavar="FRACTION", help=fractions)
    at = "Epoch at which the runs of --annealing switch. If not given, where the config's own rule fires."
    parser.add_argument("--at", type=int, metavar="EPOCH", help=at)
    given = vars(parser.parse_args(list(arguments)))
    annealing = numbers("annealing", given["annealing"], float)
    for fraction in annealing:
        require_number("annealing", fraction, low=0, high=1, closed=True)
    if given["at"] is not None and not annealing:
        raise ValueError("--at says where the runs of --annealing switch: give --annealing too")
    switch_epochs = numbers("switch-epochs", given["switch_epochs"], int)
    options = OracleOptions(**common(given), switch_epochs=switch_epochs, annealing=annealing, at=given["at"])
    max_epochs = options.config.stated("trainer.max_epochs")
    if isinstance(max_epochs, int) and max_epochs > 0:
        options.epochs(max_epochs)
    return options
