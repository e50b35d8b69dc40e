"""``critperiod compare``: its options."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_critperiod.recipe import require_number
from lightning_critperiod.studies.arm import Arm
from lightning_critperiod.studies.compare.shipped_arms import find
from lightning_critperiod.studies.compare.spent import BUDGETS
from lightning_critperiod.studies.study_options import StudyOptions, common, listed, study_parser

ALL = (
    "ours,full,k1,short,constant,lr_matched,fixed,random,reverse,rs2,infobatch,placebo,early_stopping,"
    "ours_unannealed,ramp"
)
DESCRIPTION = """Trains the arms of one config side by side, with the same seeds and splits, and says what was lost and
saved. Finished runs are never run again: the same command continues where it was stopped, and makes the tables again
when all runs are finished. Records, table.md, summary.json and pareto.svg are in a folder of the config's name."""


@dataclass(frozen=True)
class CompareOptions(StudyOptions):
    """What ``critperiod compare`` is asked for.

    Args:
        arms: To be compared.
        margin: The margin of non-inferiority against the arm ``full``, in the unit of the metric, if one was given.
    """

    arms: list[Arm]
    margin: float | None


def parse(arguments: Sequence[str]) -> CompareOptions:
    """Read the command line; nothing is imported for it that takes long.

    Args:
        arguments: Those behind ``critperiod compare``.

    Returns:
        The options; a ValueError says what is wrong with them.
    """
    parser = study_parser("compare", DESCRIPTION, seeds=5, results="results")
    names = "Names of ready-made arms, or YAML files with overrides of the config: a b, a,b or [a, b]."
    parser.add_argument("--arms", nargs="+", default=[ALL], help=names)
    budget = "The unit in which arms of equal cost spend as much as ours; short@flops in --arms sets it for one arm. "
    budget += "FLOPs and seconds are converted to samples by the cost of a sample in the arm full."
    parser.add_argument("--budget", choices=BUDGETS, default="samples", help=budget)
    margin = "Non-inferiority margin against the arm full, in the unit of the metric (points of an accuracy); the "
    parser.add_argument("--margin", type=float, help=f"{margin}config's own if not given.")
    given = vars(parser.parse_args(list(arguments)))
    given.pop("cfg", None)
    if given["margin"] is not None:
        require_number("margin", given["margin"], low=0, open_low=True)
    arms = find(listed(given["arms"]), given["budget"])
    return CompareOptions(**common(given), arms=arms, margin=given["margin"])
