"""Writes what the site has beside the repository's own pages: reference, cards, commands; nothing of it is kept."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from lightning_critperiod import changes, recipe, rules, signals

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("compare", "oracle", "report", "inspect")
CARDS = {
    "Signals": (signals.LayerRotation, signals.GradientConfusion, signals.TrainingGradientConfusion,
                signals.GradientPredictiveness, signals.MonitoredMetric),
    "Rules": (rules.Slope, rules.LowOutlier, rules.Plateau, rules.Forecast, rules.Worthwhile, rules.Patient,
              rules.AtEpoch, rules.Never),
    "Changes": (recipe.Volume, recipe.Cooldown, recipe.Budget, changes.Phased, changes.GrowingImages,
                changes.GrowingLength, changes.Guard, changes.ValidateSparsely),
}  # fmt: skip
FIGURES = ("cifar10/pareto.svg", "oracle/fashion/figure1.svg", "oracle/fashion/figure2.svg")
CALLBACKS = ("CriticalPeriodCallback", "EarlyCooldown", "CostMonitor", "RunRecorder", "Recipe")
FURTHER = {
    "Your own signal, rule or change": (
        "lightning_critperiod.signals.Signal",
        "lightning_critperiod.rules.Rule",
        "lightning_critperiod.Change",
    ),
    "The decision without a Trainer": ("lightning_critperiod.detector.Detector",),
    "Datamodules": (
        "lightning_critperiod.datamodules.Digits",
        "lightning_critperiod.datamodules.FashionMNIST",
        "lightning_critperiod.datamodules.CIFAR10",
        "lightning_critperiod.datamodules.CIFAR100",
        "lightning_critperiod.datamodules.ImageFolder",
    ),
    "Networks": ("lightning_critperiod.models.CifarResNet", "lightning_critperiod.models.ImageClassifier"),
    "A run's record": (
        "lightning_critperiod.record.Record",
        "lightning_critperiod.record.Run",
        "lightning_critperiod.record.Decision",
        "lightning_critperiod.record.Measured",
        "lightning_critperiod.record.Projected",
    ),
}


def write(docs: Path) -> None:
    """Make the pages below ``_generated``."""
    made = docs / "_generated"
    shutil.rmtree(made, ignore_errors=True)
    (made / "cards").mkdir(parents=True)
    (made / "api.md").write_text(api())
    (made / "cli.md").write_text(commands())
    for figure in FIGURES:
        shutil.copy(ROOT / "results" / figure, made)
    (made / "changelog.md").write_text((ROOT / "CHANGELOG.md").read_text())
    calibration = (docs / "calibration.md").read_text()
    for kind in (kind for kinds in CARDS.values() for kind in kinds):
        (made / "cards" / f"{kind.__name__}.md").write_text(card(kind, calibration))
    (made / "cards" / "index.md").write_text(cards())


def described(name: str, *options: str) -> str:
    """A class from its docstring."""
    lines = "".join(f"   :{option}:\n" for option in options)
    return f"```{{eval-rst}}\n.. autoclass:: {name}\n{lines}```\n"


def api() -> str:
    """Every public name that has no card."""
    ours = [described(f"lightning_critperiod.{name}") for name in CALLBACKS]
    parts = ["# Python reference\n\nSignals, rules and changes have a page each: [cards](cards/index.md).\n", *ours]
    for title, names in FURTHER.items():
        parts += [f"## {title}\n", *(described(name, *_members(title)) for name in names)]
    return "\n".join(parts)


def _members(title: str) -> tuple[str, ...]:
    """What is to be written or called by hand is shown with its methods."""
    return ("members",) if title.startswith(("Your own", "The decision")) else ()


def cards() -> str:
    """The list of all cards."""
    parts = ["# Signals, rules, changes\n\nOne page each: what it is, formula, source, cost, and what was measured.\n"]
    for title, kinds in CARDS.items():
        names = "\n".join(kind.__name__ for kind in kinds)
        parts.append(f"## {title}\n\n```{{toctree}}\n:maxdepth: 1\n{names}\n```\n")
    return "\n".join(parts)


def card(kind: type, calibration: str) -> str:
    """One concept: its docstring, and its rows of the calibration of the rules."""
    parts = [f"# {kind.__name__}\n", described(f"lightning_critperiod.{kind.__name__}")]
    tables = rows_of(kind.__name__, calibration)
    if tables:
        parts += [
            "## False alarms and delays\n",
            *tables,
            "How these were measured: [calibration](../../calibration.md).\n",
        ]
    if not issubclass(kind, recipe.Volume | recipe.Budget | changes.ValidateSparsely | rules.AtEpoch | rules.Never):
        parts.append("What it looks like in a run: [gallery](../../gallery.md).\n")
    return "\n".join(parts)


def rows_of(name: str, page: str) -> list[str]:
    """The tables of a Markdown page, cut down to the rows of one class; tables without one are left out."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        head, line, *rows = table.splitlines()
        mine = [row for row in rows if re.search(rf"\| `{name}[(.]", row)]
        if mine:
            found.append("\n".join([head, line, *mine, ""]))
    return found


def commands() -> str:
    """What each command says about itself."""
    parts = ["# Command line\n", _help(), "`fit`, `validate`, `test` and `predict` are LightningCLI's own.\n"]
    for command in COMMANDS:
        parts += [f"## critperiod {command}\n", _help(command)]
    return "\n".join(parts)


def _help(*command: str) -> str:
    call = [sys.executable, "-m", "lightning_critperiod", *command, "--help"]
    plain = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    text = subprocess.run(call, capture_output=True, text=True, check=True, env=plain).stdout
    return f"```text\n{text.strip()}\n```\n"


def links_to_files(app: Any, docname: str, source: list[str]) -> None:
    """Files of the repository that are no pages are named, not linked: the site does not have them."""
    page = ROOT / "docs" / docname
    names = re.compile(r"\[([^\]]+)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)")

    def link(match: re.Match[str]) -> str:
        target = (page.parent / match[2]).resolve()
        if target == ROOT / "README.md":
            return f"[{match[1]}](/index.md)"
        if target == ROOT / "CHANGELOG.md":
            return f"[{match[1]}](/_generated/changelog.md)"
        return match[0] if target.is_relative_to(ROOT / "docs") else f"{match[1]} (`{target.relative_to(ROOT)}`)"

    if not docname.startswith("_generated"):
        source[0] = names.sub(link, source[0])
