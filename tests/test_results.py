"""What lies in results/ is what its own records say."""

import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from lightning_critperiod.report.words import OWN_NOISE

ROOT = Path(__file__).parents[1]
STUDIES = sorted(file.parent for file in (ROOT / "results").rglob("study.json"))


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: str(study.relative_to(ROOT / "results")))
def test_a_study_redrawn_from_its_records_has_the_table_and_the_figures_that_are_there(study, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from results import redraw

    copy = Path(shutil.copytree(study, tmp_path / study.name))
    drawn = [copy / "table.md", *copy.glob("*.svg")]
    table = drawn[0].read_text()
    assert len(drawn) > 1
    for file in drawn:
        file.unlink()
    assert redraw(tmp_path) == [copy]
    assert drawn[0].read_text() == table
    assert all(file.is_file() for file in drawn)  # their text depends on the version of matplotlib


def test_the_tables_of_the_oracle_page_are_those_of_its_records(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from results import fill

    page = Path(shutil.copy(ROOT / "docs" / "oracle.md", tmp_path))
    before = page.read_text()
    fill(page, ROOT / "results" / "oracle" / "fashion")
    assert page.read_text() == before
    assert "| 3 |" in before  # seeds


def test_what_the_readme_says_of_the_interval_is_what_the_coverage_runs_found():
    found = [json.loads(path.read_text()) for path in (ROOT / "results" / "coverage").glob("seed_*.json")]
    covered = sum(pair["low"] <= pair["full"] <= pair["high"] for pair in found)
    assert f"{covered} of {len(found)} pairs" in (ROOT / "docs" / "coverage.md").read_text()
    assert not any(character.isdigit() for character in OWN_NOISE)  # no figure of this machine's in a user's report


@pytest.mark.parametrize("name", ["freezing", "growing", "headline", "late_augmentation", "sharpness", "short_first"])
def test_a_page_of_a_study_is_what_its_records_say(name, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    module = importlib.import_module(name)
    replace(module.STUDY, page=tmp_path / "page.md").judge(module.page)
    assert (tmp_path / "page.md").read_text() == (ROOT / "docs" / f"{name}.md").read_text()


@pytest.mark.parametrize("study", ["coverage", "ending", "scale"])
def test_a_page_of_a_benchmark_is_what_its_records_say(study, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    page = tmp_path / f"{study}.md"
    importlib.import_module(study).judge(ROOT / "results" / study, page)
    assert page.read_text() == (ROOT / "docs" / f"{study}.md").read_text()


def test_the_settings_of_the_study_of_endings_are_those_that_its_development_runs_choose(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import ending_page as page

    found = page.read_development(ROOT / "results" / "ending")
    assert page.choose(found) == (page.CONSTANT, page.DECAYED, page.MIN_GAIN)


def test_the_settings_of_the_headline_study_are_those_that_its_development_runs_choose(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import headline_arms as arms
    from headline_page import choice

    records = [json.loads(path.read_text()) for path in (ROOT / "results" / "headline").glob("*_100_*.json")]
    chosen = choice(records)
    assert {arm: peak for arm, (_, peak) in chosen.items()} == arms.PEAKS
    assert chosen["together"][0] == arms.CHOSEN


def test_the_rate_of_the_large_network_is_the_one_that_its_development_runs_choose(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from growing_setups import PEAK
    from headline_arms import LARGE, peaks

    accuracies = {}
    for path in (ROOT / "results" / "growing").glob("cifar10_ResNet-18_*_100_*.json"):
        run = json.loads(path.read_text())
        accuracies.setdefault(run["peak"], []).append(run["test_acc"])
    assert {len(found) for found in accuracies.values()} == {3}
    best = max(accuracies, key=lambda peak: fmean(accuracies[peak]))
    assert best == PEAK
    assert {peak for name in LARGE for peak in peaks(name).values()} == {best}


def test_the_rule_of_the_study_of_freezing_is_the_one_that_its_development_runs_choose(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from freezing_page import CHOSEN

    files = sorted((ROOT / "results" / "freezing").glob("*fine-tuned_10[012].json"))
    runs = [json.loads(path.read_text()) for path in files]
    saved = {}
    for rule in (name for name in runs[0]["arms"] if " at " in name):
        lost, cost = {}, []
        for run in runs:
            full, arm = run["arms"]["full"], run["arms"][rule]
            lost.setdefault(run["setup"], []).append(100 * (full["test_acc"] - arm["test_acc"]))
            cost.append(arm["flops"] / full["flops"])
        if all(fmean(losses) <= 0.2 for losses in lost.values()):
            saved[rule] = 1 - fmean(cost)
    assert len(files) == 6
    assert max(saved, key=saved.get) == CHOSEN.name
    assert max(saved.values()) < 0.15


def test_the_settings_of_the_study_of_sharpness_are_those_that_its_development_runs_choose(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from sharpness_page import RATE, RHO

    runs = [json.loads(path.read_text()) for path in (ROOT / "results" / "sharpness").glob("*_100_rate_*.json")]
    of_rate, of_rho = {}, {}
    for run in runs:
        if run["arm"] == "SGD, longer":
            of_rate.setdefault(run["rate"], []).append(run["test_acc"])
        elif run["rate"] == RATE:
            of_rho.setdefault(run["rho"], []).append(run["test_acc"])
    assert len(runs) == 24
    assert max(of_rate, key=lambda rate: fmean(of_rate[rate])) == RATE
    assert max(of_rho, key=lambda rho: fmean(of_rho[rho])) == RHO
