"""The code in docs/projects.md compares a project with itself."""

import re
from pathlib import Path

import pytest
from conftest import TinyData, TinyModel

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume

PAGE = (Path(__file__).parents[1] / "docs" / "projects.md").read_text()


@pytest.mark.filterwarnings("ignore:.*smaller than the logging interval")
def test_the_comparison_finds_an_observer_equal_and_a_switch_different_from_its_epoch_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {"make_model": TinyModel, "make_data": TinyData}
    exec(compile(code, "projects.md", "exec"), names)
    plain = names["epochs"]()
    acts = names["epochs"](CriticalPeriodCallback(rule=AtEpoch(2), recipe=Recipe(after=Volume(pruning_ratio=0.5))))
    assert [epoch[0] for epoch in plain] == [9, 18, 27, 36]
    assert acts[:2] == plain[:2]
    assert acts[2] != plain[2]
