"""The options that both studies have, and lists on the command line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml  # type: ignore[import-untyped]
from jsonargparse import ArgumentParser

from lightning_critperiod.recipe import require_int
from lightning_critperiod.shipped_configs import find_config
from lightning_critperiod.studies.metric import Mode
from lightning_critperiod.studies.results import Results
from lightning_critperiod.studies.sources import Sources, read_sources

T = TypeVar("T")


@dataclass(frozen=True)
class StudyOptions:
    """What both studies are asked for.

    Args:
        config: The files of the config, read.
        seeds: The number of seeds of each arm.
        metric: Name of the test metric that decides.
        mode: Which direction of it is better, if that was said.
        source: Whether runs with the same beginning train it only once.
        workers: Runs at a time.
        ray: Address of a Ray cluster.
        folder: Folder for the results of all configs.
    """

    config: Sources
    seeds: int
    metric: str
    mode: Mode | None
    source: Literal["trunk", "scratch"]
    workers: int
    ray: str | None
    folder: Path

    @property
    def all_seeds(self) -> range:
        """The config's own and those that follow it."""
        return range(self.config.seed, self.config.seed + self.seeds)

    @property
    def results(self) -> Results:
        """Those of this config."""
        return Results(self.folder / self.config.name)

    @property
    def from_trunk(self) -> bool:
        """Whether runs go on from checkpoints: they are on this machine's disk, which a cluster does not see."""
        return self.source == "trunk" and self.ray is None


def study_parser(command: str, description: str, seeds: int, results: str) -> ArgumentParser:
    """A parser with the options that both studies have.

    Args:
        command: Its name.
        description: What it does.
        seeds: The default.
        results: The default.

    Returns:
        The parser, to add more options to.
    """
    parser = ArgumentParser(
        prog=f"critperiod {command}", description=description, exit_on_error=False, allow_abbrev=False
    )
    add = parser.add_argument
    layers = (
        "A config file, or the name of a shipped config. Of several, later ones override earlier ones, and the last "
        "one gives the results folder its name."
    )
    add("-c", "--config", action="extend", nargs="+", default=[], help=layers)
    build = (
        "In place of a config with model and data: the import path of build(seed, overrides), which returns module, "
        "data and trainer. A config may give rule and recipe."
    )
    add("--build", metavar="MODULE.FUNCTION", help=build)
    first = "Number of seeds: the config's seed_everything (0 if it has none) and the ones that follow it."
    add("--seeds", type=int, default=seeds, metavar="N", help=first)
    add("--metric", default="test_acc", metavar="NAME", help="The test metric that decides, by its logged name.")
    known = "If not given, the config's ModelCheckpoint or EarlyStopping on this metric decides, or the metric's name."
    add("--mode", choices=("min", "max"), help=f"Whether a lower (min) or a higher (max) metric is better. {known}")
    share = "trunk: epochs that several runs have in common are trained once; scratch: every run trains all its epochs."
    add("--from", dest="source", choices=("trunk", "scratch"), default="trunk", help=share)
    at_a_time = (
        "Number of runs trained at the same time, each in its own process; 1: one after the other, in this process."
    )
    add("--workers", type=int, default=1, metavar="N", help=at_a_time)
    cluster = "Address of a Ray cluster that trains the runs instead of this machine, --workers at a time."
    add("--ray", metavar="ADDRESS", help=cluster)
    add("--results", default=results, metavar="FOLDER", help="Folder for the results of all configs.")
    return parser


def common(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``StudyOptions``, checked.

    Args:
        given: What was parsed; what both studies have is taken out.

    Returns:
        Name -> value.
    """
    for name in ("seeds", "workers"):
        require_int(name, given[name], low=1)
    names = ("seeds", "metric", "mode", "source", "workers", "ray")
    found = {name: given.pop(name) for name in names}
    files = [find_config(name) for name in listed(given.pop("config"))]
    config = read_sources(files, given.pop("build"))
    return {**found, "config": config, "folder": Path(given.pop("results"))}


def listed(words: Sequence[str]) -> list[str]:
    """A list on the command line: ``a b``, ``a,b`` or ``[a, b]``.

    Args:
        words: As they were given.

    Returns:
        Its items.

    Raises:
        ValueError: It is not a list.

    >>> listed(["[a,", "b]"]), listed(["a", "b"]), listed(["a,b"])
    (['a', 'b'], ['a', 'b'], ['a', 'b'])
    """
    text = " ".join(words)
    if not text.lstrip().startswith("["):
        return [item.strip() for word in words for item in word.split(",") if item.strip()]
    try:
        items = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"expected a list such as [a, b], got {text!r}") from error
    return [str(item) for item in items]


def numbers(name: str, words: Sequence[str] | None, kind: Callable[[str], T]) -> list[T]:
    """A list of numbers on the command line.

    Args:
        name: The option.
        words: As they were given, if they were.
        kind: ``int`` or ``float``.

    Returns:
        The numbers, each once.

    Raises:
        ValueError: One is no such number, or comes twice.
    """
    items = listed(words or ())
    try:
        found = [kind(item) for item in items]
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        raise ValueError(f"{name} must be {what}, got {' '.join(items)}") from None
    twice = [item for index, item in enumerate(found) if item in found[:index]]
    if twice:
        raise ValueError(f"{name} must be different from each other, got {twice[0]} twice")
    return found
