"""``critperiod compare``: its options."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from jsonargparse import ArgumentParser
from typing_extensions import override

from lightning_critperiod.recipe import require_number
from lightning_critperiod.studies.arm import Arm
from lightning_critperiod.studies.compare.shipped_arms import find
from lightning_critperiod.studies.compare.spent import BUDGETS
from lightning_critperiod.studies.results import Results
from lightning_critperiod.studies.sources import Sources, refuse_parts
from lightning_critperiod.studies.study_options import StudyOptions, common, listed, study_parser

ALL = [
    *("ours", "full", "k1", "short", "constant", "lr_matched", "fixed", "random", "reverse", "rs2", "infobatch"),
    *("placebo", "early_stopping", "ours_unannealed", "ramp"),
]
DESCRIPTION = """Trains several variants of one config, the arms, with the same seeds and data splits, and says what
each one lost and saved. Finished runs are kept: run the same command again to continue where it stopped, or to make the
tables again. Records, table.md, summary.json and pareto.svg are in a folder with the name of the config."""
LEAST_SEEDS = 3
"""With two the t-interval is 13 standard errors wide to each side."""


@dataclass(frozen=True)
class CompareOptions(StudyOptions):
    """What ``critperiod compare`` is asked for.

    Args:
        arms: To be compared.
        margin: The margin of non-inferiority against the arm ``full``, in the unit of the metric, if one is stated: on
            the command line, in the config, or for the runs that are there already.
        levers: Whether the arms are the levers that apply to the config, which it takes a training step to know.
    """

    arms: list[Arm]
    margin: float | None
    levers: bool = False

    @property
    @override
    def results(self) -> Results:
        return Results(self.folder / f"{self.config.name}-levers") if self.levers else super().results


def parse(arguments: Sequence[str]) -> CompareOptions:
    """Read the command line; nothing is imported for it that takes long.

    Args:
        arguments: Those behind ``critperiod compare``.

    Returns:
        The options.

    Raises:
        ValueError: Something is wrong with them.
    """
    parser = study_parser("compare", DESCRIPTION, seeds=5, results="results")
    names = (
        "Ready-made arms, or YAML files that override the config, as a b, a,b or [a, b]. If not given: "
        f"{' '.join(ALL)}."
    )
    parser.add_argument("--arms", nargs="+", metavar="ARM", help=names)
    levers = (
        "In place of --arms: each lever that applies, beside a shorter run of its FLOPs; ends with a recipe to paste."
    )
    parser.add_argument("--levers", action="store_true", help=levers)
    budget = (
        "The arms of equal cost spend as much of this as the arm ours; short@flops in --arms sets it for one arm. "
        "FLOPs and seconds are converted to samples with the cost of a sample in the arm full. If not given: samples."
    )
    parser.add_argument("--budget", choices=BUDGETS, help=budget)
    margin = (
        "Non-inferiority margin: how much worse than the arm full an arm may be, in the unit of the metric (points, "
        "for an accuracy). If not given, the config's own."
    )
    parser.add_argument("--margin", type=float, help=margin)
    given = vars(parser.parse_args(list(arguments)))
    given.pop("cfg", None)
    arms, margin, levers = _arms(given), given.pop("margin"), given.pop("levers")
    options = CompareOptions(**common(given), arms=arms, margin=margin, levers=levers)
    if levers and options.seeds < LEAST_SEEDS:
        raise ValueError(
            f"levers are judged by an interval over the seeds: --levers needs at least {LEAST_SEEDS} seeds, "
            f"got {options.seeds}"
        )
    return replace(options, margin=_margin(options))


def _arms(given: dict[str, Any]) -> list[Arm]:
    """The arms that are named; none where levers are to be found."""
    names, budget = given.pop("arms"), given.pop("budget")
    if not given["levers"]:
        arms = find(listed(names or ALL), budget or "samples")
        for arm in arms:
            refuse_parts(given["build"], f"arm {arm.name!r}", arm.overrides)
        return arms
    for option, value in (("--arms", names), ("--budget", budget)):
        if value is not None:
            raise ValueError(f"the arms of --levers are its own, at equal FLOPs: leave {option} out, or --levers")
    return []


def _margin(options: CompareOptions) -> float | None:
    """The margin of this command line or of the config; it is that of the runs which are there already."""
    stated = options.results.margins.get(options.metric)
    margin = _of_config(options.config) if options.margin is None else options.margin
    if margin is not None:
        require_number("margin", margin, low=0, open_low=True)
    if stated is not None and margin not in {None, stated}:
        raise ValueError(
            f"the folder {options.results.folder} holds the results of another margin, {stated:g} stated "
            f"beforehand, got {margin:g}: give --results another folder, or remove it"
        )
    has_full = options.levers or any(arm.name == "full" for arm in options.arms)
    if (margin := stated if margin is None else margin) is None and has_full:
        raise ValueError(
            "a verdict against the arm 'full' needs a margin stated beforehand: --margin, in the unit of "
            f"{options.metric} (points, if it is an accuracy)"
        )
    return margin


def _of_config(sources: Sources) -> float | None:
    """As LightningCLI reads it."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--margin", type=float | None)
    margin: float | None = parser.parse_object({"margin": sources.stated("margin")}).margin
    return margin
