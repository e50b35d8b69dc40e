"""Who may import whom, held against the imports that are in the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lightning_critperiod"
HEAVY = {"matplotlib", "codecarbon", "jsonargparse", "ray", "sklearn", "torchvision", "rich"}

# room -> rooms of ours that it may import
ARROWS = {
    "__init__": {"callback", "changes", "early_cooldown", "lazy_names", "recipe", "report", "rules", "signals"},
    "__main__": {"cli"},
    "callback": {"changes", "detector", "lightning_seam", "recipe", "rules", "signals", "timeline", "watching"},
    "changes": {"data", "lightning_seam", "recipe", "rules", "signals", "timeline"},
    "cli": {"callback", "costs", "inspection", "record", "report", "shipped_configs", "studies"},
    "costs": {"lazy_names", "lightning_seam", "recipe"},
    "data": {"recipe"},
    "datamodules": {"changes", "data", "lightning_seam", "recipe"},
    "detector": {"rules"},
    "early_cooldown": {"callback", "changes", "lightning_seam", "recipe", "rules", "signals"},
    "inspection": {"detector", "recipe", "record", "report", "rules", "signals", "timeline"},
    "lazy_names": set(),
    "lightning_seam": set(),
    "models": {"lightning_seam"},
    "recipe": {"timeline"},
    "record": {"callback", "costs", "early_cooldown", "lazy_names", "lightning_seam", "recipe", "rules", "timeline"},
    "recorder": {"report"},
    "report": {"costs", "lazy_names", "lightning_seam", "recipe", "record"},
    "rules": {"recipe"},
    "shipped_configs": set(),
    "signals": {"lightning_seam", "recipe", "rules"},
    "studies": {
        "callback",
        "changes",
        "data",
        "detector",
        "lightning_seam",
        "recipe",
        "record",
        "report",
        "rules",
        "shipped_configs",
        "signals",
        "timeline",
    },
    "timeline": set(),
    "watching": {"changes", "detector", "lightning_seam", "rules", "signals"},
}
STANDARD_LIBRARY_ONLY = {"detector", "recipe", "rules", "timeline"}


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Modules that a file imports when it is itself imported, or later (inside functions)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module == "lightning_critperiod":
                yield from (f"lightning_critperiod.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


FILES = sorted(PACKAGE.rglob("*.py"))


def test_the_arrows_are_exactly_those_of_the_imports():
    found = {room(path): set() for path in FILES}
    for path in FILES:
        ours = {name.split(".")[1] for name in imports(path) if name.startswith("lightning_critperiod.")}
        found[room(path)] |= ours - {room(path)}
    assert found == ARROWS


@pytest.mark.parametrize("path", [p for p in FILES if room(p) in STANDARD_LIBRARY_ONLY], ids=lambda p: p.name)
def test_rules_and_recipe_need_the_standard_library_only(path):
    theirs = {name.split(".")[0] for name in imports(path)} - {"lightning_critperiod"}
    assert theirs <= set(sys.stdlib_module_names)


def test_the_arrows_are_one_way():
    done: set[str] = set()
    while left := {name: targets - done for name, targets in ARROWS.items() if name not in done}:
        free = {name for name, targets in left.items() if not targets}
        assert free, f"a circle among {left}"
        done |= free


def test_importing_the_package_loads_nothing_heavy():
    """Lightning itself imports some of these when they are installed; what counts is what ours adds."""
    code = "import sys; {}; print(sorted(m for m in sys.modules if '.' not in m))"
    loaded = [
        set(
            ast.literal_eval(
                subprocess.run(
                    [sys.executable, "-c", code.format(statement)], check=True, capture_output=True, text=True
                ).stdout
            )
        )
        for statement in ("import lightning.pytorch", "from lightning_critperiod import *")
    ]
    assert not (loaded[1] - loaded[0]) & HEAVY
