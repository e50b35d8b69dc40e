"""The study of Worthwhile on real curves: its page is what its curves say, and every curve has a source."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CURVES = ROOT / "results" / "worthwhile" / "curves.json"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import worthwhile

    return worthwhile


def test_every_public_curve_has_its_source_and_no_repository_is_in_both_halves():
    curves = json.loads(CURVES.read_text())
    roles = {(curve["repo"], curve["role"]) for curve in curves}
    assert len(curves) >= 25
    assert len(roles) == len({repo for repo, _ in roles})
    assert {role for _, role in roles} == {"development", "confirmation"}
    assert CURVES.stat().st_size < 300_000
    for curve in curves:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", curve["repo"])
        assert re.fullmatch(r"[0-9a-f]{40}", curve["commit"])
        assert curve["path"]
        assert curve["licence"]
        assert curve["mode"] in {"min", "max"}
        assert len(curve["values"]) >= 15


def test_what_was_to_come_is_counted_by_the_best_so_far_of_a_mean(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from worthwhile_curves import Curve

    curve = Curve("a", "acc", "max", "", "", "", [0.0, 3.0, 6.0, 9.0, 0.0, 0.0, 12.0, 12.0])
    assert curve.best.tolist() == [0.0, 1.5, 3.0, 6.0, 6.0, 6.0, 6.0, 8.0]
    assert curve.span == 8
    assert curve.to_come(4, 7) == 0
    assert curve.to_come(3, 99) == 5
    assert curve.right_epoch(2) == 4
    assert curve._replace(mode="min", values=[-v for v in curve.values]).best.tolist() == curve.best.tolist()


@pytest.mark.parametrize("name", ["WORTHWHILE", "FORECAST"])
def test_the_rows_of_public_runs_on_the_page_are_what_the_curves_say(study, name):
    rule = getattr(study, name)
    for role in ("confirmation", "development"):
        curves = [curve for curve in study.load(role) if curve.group == study.STRANGERS]
        row = study.row(rule, [study.judge(rule, curve, 0.02) for curve in curves])
        half = (ROOT / "docs" / "worthwhile.md").read_text().split(f"## The {role} half")[1]
        table = half.split("### Every rule, `min_gain` 2%")[1].split("Public runs:")[1].split("Ours,")[0]
        assert f"| {' | '.join(row)} |" in table.splitlines()


@pytest.mark.slow
def test_the_page_is_what_its_command_writes(study):
    assert study.document(["confirmation", "development"]) == (ROOT / "docs" / "worthwhile.md").read_text()
