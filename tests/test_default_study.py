"""The pages on a safe default and on the guard say what their records say."""

import json
from pathlib import Path

import pytest
from scipy.stats import ttest_1samp

ROOT = Path(__file__).parents[1]
DEFAULT, GUARDED = ROOT / "results" / "safe_default", ROOT / "results" / "guard"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def interval_of(losses):
    found = ttest_1samp(losses, 0).confidence_interval(0.95)
    return found.low, found.high


def recorded(folder, pattern="*.json"):
    return [json.loads(path.read_text()) for path in sorted(folder.glob(pattern))]


def test_the_page_on_one_line_is_what_its_records_say(tmp_path):
    from safe_default_judge import judge

    judge(DEFAULT, ROOT / "results" / "late_enough", tmp_path / "default.md")
    assert (tmp_path / "default.md").read_text() == (ROOT / "docs" / "default.md").read_text()


def test_the_page_on_the_guard_is_what_its_records_say(tmp_path):
    from guard_judge import judge

    judge(GUARDED, DEFAULT, tmp_path / "guard.md")
    assert (tmp_path / "guard.md").read_text() == (ROOT / "docs" / "guard.md").read_text()


def test_a_row_is_the_paired_interval_over_all_runs():
    from safe_default_judge import load, row

    name, multiplier = "0.8, Recipe()", 1
    records = load(DEFAULT)[0]
    losses, drawn = [], []
    for r in records:
        if r["k"] == multiplier:
            losses.append(100 * r["arms"][name]["test_acc"] - 100 * r["plain"]["test_acc"])
            drawn.append((17 * multiplier + 3 * 0.7) / (20 * multiplier))  # 16 epochs, 3 cheap ones, 1 of annealing
    low, high = interval_of(losses)
    cells = row(records, name, multiplier)
    mean = sum(losses) / len(losses)
    assert cells[2:6] == [
        len(losses),
        "0.80",
        f"{1 - sum(drawn) / len(drawn):.1%}",
        f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]",
    ]


@pytest.mark.parametrize(("shift", "expected"), [(0.0, "holds"), (-0.15, "open"), (-0.5, "out")])
def test_the_verdict_is_that_of_the_whole_interval(shift, expected):
    from safe_default_judge import verdict

    spread = [-0.2, -0.1, 0.0, 0.1, 0.2]
    found = {setup: [shift + value for value in spread] for setup in "abcde"}
    low, high = interval_of([value for values in found.values() for value in values])
    assert verdict(found) == expected == ("holds" if low > -0.2 else "out" if high < -0.2 else "open")


def test_one_set_up_that_loses_puts_a_candidate_out_whatever_the_mean():
    from safe_default_judge import verdict

    gains = {setup: [1.0, 1.1, 0.9] for setup in "abcd"}
    assert verdict(gains) == "holds"
    assert verdict(gains | {"e": [-0.5, -0.52, -0.48]}) == "out"


def test_a_seed_whose_runs_are_not_all_there_is_left_out(tmp_path):
    from safe_default_judge import load

    files = sorted(DEFAULT.glob("*_k_1_seed_10.json"))
    for path in files:
        (tmp_path / path.name).write_text(path.read_text())
    assert load(tmp_path)[1] == {1: [10], 3: []}
    (tmp_path / files[0].name).unlink()
    assert load(tmp_path) == ([], {1: [], 3: []})


def test_the_default_that_observes_leaves_every_recorded_run_as_it_is():
    runs = {(r["setup"], r["k"], r["seed"]): r["plain"]["weights"] for r in recorded(DEFAULT)}
    without = recorded(DEFAULT / "same")
    assert len(without) >= 5
    assert all(runs[r["setup"], r["k"], r["seed"]] == r["weights"] for r in without)


def test_what_the_guard_saved_and_its_false_alarms_counted_by_hand():
    from guard import GUARD
    from guard_judge import alarms, saved_row

    records = recorded(GUARDED)
    gained = [
        100 * (r["arms"]["1% of the samples, guard"]["test_acc"] - r["arms"]["1% of the samples"]["test_acc"])
        for r in records
    ]
    low, high = interval_of(gained)
    assert saved_row(records, "1% of the samples")[5] == f"{sum(gained) / len(gained):+.2f} [{low:+.2f}, {high:+.2f}]"
    fired = 0
    for r in records:
        curve = r["plain"]["val_acc"]
        values = curve[:16] + r["arms"]["0.8, Recipe()"]["val_acc"]
        low = [epoch >= 16 and values[epoch] < max(values[:epoch]) - GUARD.max_drop for epoch in range(20)]
        fired += any(all(low[start : start + GUARD.patience]) for start in range(21 - GUARD.patience))
    assert sum(alarms(records)["CIFAR-100, k = 3", "0.8, Recipe()"]) == fired


def test_a_guarded_run_that_was_recorded_fired_where_the_unguarded_one_says():
    from guard import DESTRUCTIVE, GUARD, fired_at

    for r in recorded(GUARDED):
        for name in DESTRUCTIVE:
            if not r["arms"][f"{name}, guard"]["trained"]:
                continue
            assert r["arms"][f"{name}, guard"]["back_epoch"] == fired_at(GUARD, r["plain"], r["arms"][name])
