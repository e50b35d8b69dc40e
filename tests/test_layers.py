"""Who may import whom, held against the imports that are in the source."""

import ast
import sys
from pathlib import Path

import pytest
from conftest import TinyData, TinyModel
from fresh import Python
from torch.utils.data import DataLoader

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume
from lightning_critperiod.lightning_seam import how_obtained, privates

PACKAGE = Path(__file__).parents[1] / "lightning_critperiod"
HEAVY = {"matplotlib", "codecarbon", "jsonargparse", "ray", "sklearn", "torchvision", "rich"}

# room -> rooms of ours that it may import
ARROWS = {
    "__init__": {"callback", "changes", "early_cooldown", "lazy_names", "recipe", "report", "rules", "signals"},
    "__main__": {"cli"},
    "callback": {"changes", "detector", "lightning_seam", "recipe", "rules", "signals", "timeline", "watching"},
    "changes": {"data", "detector", "lightning_seam", "recipe", "rules", "signals", "timeline"},
    "cli": {"callback", "costs", "inspection", "lightning_seam", "record", "report", "shipped_configs", "studies"},
    "costs": {"lazy_names", "lightning_seam", "recipe"},
    "data": {"lightning_seam", "recipe"},
    "datamodules": {"changes", "data", "lightning_seam", "recipe"},
    "detector": {"rules"},
    "early_cooldown": {"callback", "changes", "lightning_seam", "recipe", "rules", "signals", "watching"},
    "from_config": set(),
    "inspection": {"detector", "from_config", "recipe", "record", "report", "rules", "signals", "timeline"},
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
        "from_config",
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


def test_importing_the_package_loads_nothing_heavy(tmp_path):
    """Lightning itself imports some of these when they are installed; what counts is what ours adds."""
    code = "import sys, lightning.pytorch; before = set(sys.modules)\nfrom lightning_critperiod import *\n"
    (tmp_path / "imports.py").write_text(code + "print(sorted(set(sys.modules) - before))")
    status, out, err = Python(tmp_path / "imports.py").finish()
    assert status == 0, err
    added = set(ast.literal_eval(out))
    assert "lightning_critperiod.callback" in added
    assert not {name.partition(".")[0] for name in added} & HEAVY


READS = {"getattr", "setattr", "hasattr", "delattr", "attrgetter"}
PUBLIC_ALL_THE_SAME = {"_generate_state_key"}
"""Lightning documents it for the authors of callbacks."""


def is_private(name):
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__") and name.strip("_") != ""


def defined(node):
    """Names that a piece of our own source defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
        own = isinstance(node, ast.Name) or (isinstance(node.value, ast.Name) and node.value.id == "self")
        yield from [node.id if isinstance(node, ast.Name) else node.attr] if own else []


def used(node):
    """Names of attributes that a piece of source touches, or imports from elsewhere."""
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.ImportFrom):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.Call):
        yield from (keyword.arg for keyword in node.keywords)
        if isinstance(node.func, ast.Name) and node.func.id in READS:
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def test_private_attributes_of_others_are_touched_in_one_room_only():
    nodes = {path: list(ast.walk(ast.parse(path.read_text()))) for path in FILES}
    ours = {name for found in nodes.values() for node in found for name in defined(node)}
    theirs = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path, found in nodes.items()
        if room(path) != "lightning_seam"
        for node in found
        for name in used(node)
        if is_private(name) and name not in ours | PUBLIC_ALL_THE_SAME
    }
    assert theirs == set()


def test_the_check_of_private_attributes_knows_those_of_torch(monkeypatch, trainer_for):
    class Another(DataLoader):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            del self._iterator

    monkeypatch.setattr(privates, "DataLoader", Another)
    callback = CriticalPeriodCallback(rule=AtEpoch(2), recipe=Recipe(after=Volume(pruning_ratio=0.5)))
    with pytest.raises(RuntimeError, match=r"DataLoader\._iterator, which torch 2"):
        trainer_for(callback).fit(TinyModel(), TinyData())


def test_a_codecarbon_that_does_not_tell_its_hardware_still_measures():
    assert "does not tell" in how_obtained(object())["energy"]
