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
    "recipe": set(),
    "timeline": set(),
    "detector": {"rules"},
    "rules": {"recipe"},
    "override": set(),
    "namespace": set(),
    "declaration": {"recipe"},
    "signals": {"namespace", "recipe"},
    "data": {"recipe"},
    "lr": {"override"},
    "epoch_length": {"data", "declaration", "override", "recipe"},
    "verify": {"recipe", "rules", "signals"},
    "drive": {"data", "declaration", "epoch_length", "lr", "recipe", "verify"},
    "logs": {"override", "recipe"},
    "own_rule": {"rules", "signals"},
    "callback": {
        "declaration",
        "detector",
        "drive",
        "epoch_length",
        "logs",
        "namespace",
        "override",
        "own_rule",
        "recipe",
        "rules",
        "signals",
        "timeline",
        "verify",
    },
    "costs": {"callback", "namespace", "recipe"},
    "models": {"namespace"},
    "datamodules": {"epoch_length", "namespace", "recipe"},
    "record": {"callback", "costs", "recipe", "rules", "timeline"},
    "report": {"costs", "namespace", "recipe", "record"},
    "recorder": {"report"},
    "reporting": {"record", "report"},
    "inspection": {"own_rule", "recipe", "record", "report", "rules", "signals", "timeline"},
    "compare": {
        "callback",
        "data",
        "declaration",
        "epoch_length",
        "lr",
        "namespace",
        "override",
        "recipe",
        "record",
        "report",
        "rules",
        "signals",
    },
    "oracle": {"callback", "compare", "epoch_length", "inspection", "recipe", "record", "report", "rules"},
    "refusal": set(),
    "cli": {"callback", "compare", "costs", "inspection", "oracle", "refusal", "report", "reporting"},
    "__main__": {"cli"},
    "__init__": {"callback", "recipe", "report", "rules", "signals"},
}
STANDARD_LIBRARY_ONLY = {"recipe", "rules", "override", "timeline", "detector"}


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


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path):
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("lightning_critperiod.")}
    assert ours - {room(path)} <= ARROWS[room(path)]


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
        for statement in ("import lightning.pytorch", "import lightning_critperiod")
    ]
    assert not (loaded[1] - loaded[0]) & HEAVY
