import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod import cli
from lightning_critperiod.lightning_seam.namespace import LightningDataModule
from lightning_critperiod.recipe import Recipe, Volume
from lightning_critperiod.studies.baselines.scores import Scores
from lightning_critperiod.studies.compare.compare_options import ALL
from lightning_critperiod.studies.compare.conclusions import conclusions
from lightning_critperiod.studies.compare.pareto import pareto_figure, pareto_front
from lightning_critperiod.studies.compare.quantities import quantity, ramp, shuffled
from lightning_critperiod.studies.compare.shipped_arms import find, make, shipped
from lightning_critperiod.studies.compare.spent import Spent
from lightning_critperiod.studies.metric import Metric, Monitor
from lightning_critperiod.studies.plan import Plan
from lightning_critperiod.studies.results import Results
from lightning_critperiod.studies.statistics import paired, seeds_needed, verdict
from lightning_critperiod.studies.summary import summarize

N, BATCH, EPOCHS, SWITCH = 64, 8, 6, 3
FRACTION_AFTER = 0.75
SPENT_BY_OURS = SWITCH * 3 * N + (EPOCHS - SWITCH) * N * FRACTION_AFTER
ACCURACY = Metric("test_acc", "max")
AT_EQUAL_COST = ("short", "constant", "reverse", "rs2", "infobatch", "ramp")


class Blobs(LightningDataModule):
    """Two overlapping clouds of points, with a declared volume and a test set."""

    def __init__(self, augmentation_multiplier: float = 3.0, pruning_ratio: float = 0.0):
        super().__init__()
        self.augmentation_multiplier, self.pruning_ratio = augmentation_multiplier, pruning_ratio

    def _loader(self, n, seed, shuffle=False):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(n) % 2
        points = torch.randn(n, 4, generator=generator) + labels[:, None]
        return DataLoader(TensorDataset(points, labels), batch_size=BATCH, shuffle=shuffle)

    def train_dataloader(self):
        return self._loader(N, 0, shuffle=True)

    def val_dataloader(self):
        return self._loader(32, 1)

    def test_dataloader(self):
        return self._loader(200, 2)


class Deadly(Blobs):
    """Kills the process in mid-run, the first time."""

    def __init__(self, flag: str, augmentation_multiplier: float = 3.0):
        super().__init__(augmentation_multiplier)
        self.flag = Path(flag)

    def val_dataloader(self):
        if not self.flag.exists():
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().val_dataloader()


class Untested(LightningDataModule):
    """Has no test set."""


class TwoLayers(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


CONFIG = {
    "seed_everything": 7,
    "margin": 5.0,
    "model": {
        "class_path": "lightning_critperiod.models.ImageClassifier",
        "init_args": {
            "network": {"class_path": "test_compare.TwoLayers"},
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "momentum": 0.9}},
            "lr_scheduler": {
                "class_path": "torch.optim.lr_scheduler.CosineAnnealingLR",
                "init_args": {"T_max": -1},
            },
        },
    },
    "data": {"class_path": "test_compare.Blobs"},
    "critical_period": {
        "rule": {"class_path": "lightning_critperiod.AtEpoch", "init_args": {"epoch": SWITCH}},
        "recipe": {
            "after": {"augmentation_multiplier": 1.0, "pruning_ratio": 1 - FRACTION_AFTER},
            "annealing_fraction": 0.0,
        },
    },
    "trainer": {"max_epochs": EPOCHS, "accelerator": "cpu"},
}


def written(folder, changes=None, name="blobs"):
    """A config file; a change of None takes the key out."""
    config = {**CONFIG, **(changes or {})}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in config.items() if value is not None}))
    return file


def compare(monkeypatch, *arguments):
    """`critperiod compare` in this process; hands back the exit status."""
    monkeypatch.setattr(sys, "argv", ["critperiod", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """All arms with one seed, one after the other in this process: the results folder."""
    folder = tmp_path_factory.mktemp("everything")
    arms = ",".join([*ALL.split(","), "ours_annealed"])
    with pytest.MonkeyPatch.context() as patch:
        status = compare(
            patch, "--config", written(folder), "--arms", arms, "--seeds", 1, "--results", folder / "results"
        )
    assert status == 0
    return folder / "results" / "blobs"


def record(folder, arm, seed=7):
    return json.loads((folder / arm / f"seed-{seed}.json").read_text())


def drawn(found):
    return [epoch["samples"] for epoch in found["epochs"]]


def steps_of(found):
    return [rate for rates, steps in found["comparison"]["rates"] for rate in rates * steps]


def test_the_thirteen_opponents_and_ours_in_three_forms_are_shipped_and_run(everything):
    assert set(shipped()) == {*ALL.split(","), "ours_annealed"}
    assert len(shipped()) == 16
    for name in shipped():
        assert record(everything, name)["metrics"]["test"]["test_acc"] > 0.6


def test_ours_full_and_k1_draw_what_their_names_say(everything):
    assert drawn(record(everything, "ours")) == [3 * N] * SWITCH + [int(N * FRACTION_AFTER)] * (EPOCHS - SWITCH)
    assert drawn(record(everything, "full")) == [3 * N] * EPOCHS
    assert drawn(record(everything, "k1")) == [N] * EPOCHS


def test_arms_of_equal_cost_draw_what_ours_drew_and_what_its_detector_could_have_drawn(everything):
    ours = record(everything, "ours")
    seconds = ours["measured"]["seconds_by_phase"]
    per_sample = (seconds["training"] + seconds["data_wait"]) / SPENT_BY_OURS
    budget = SPENT_BY_OURS + round(seconds["detector"] / per_sample)
    assert budget > SPENT_BY_OURS
    for name in AT_EQUAL_COST:
        assert abs(sum(drawn(record(everything, name))) - budget) <= EPOCHS / 2, name
    assert sum(drawn(record(everything, "infobatch"))) == budget


def test_the_lr_matched_arm_has_the_same_learning_rate_at_every_step_and_as_many_steps(everything):
    ours, matched = record(everything, "ours"), record(everything, "lr_matched")
    assert steps_of(matched) == steps_of(ours)
    assert matched["run"]["steps"] == ours["run"]["steps"] == SWITCH * 24 + (EPOCHS - SWITCH) * 6
    assert len(set(drawn(matched)[:-1])) == 1


def test_a_run_in_a_sequence_equals_the_same_run_at_another_place_in_it(everything):
    """The arm `fixed` switches at half of the run, as ours does in this config: the same training, later."""
    ours, fixed = record(everything, "ours"), record(everything, "fixed")
    assert [epoch["metrics"] for epoch in fixed["epochs"]] == [epoch["metrics"] for epoch in ours["epochs"]]
    assert fixed["metrics"] == ours["metrics"]


def test_the_learning_rate_is_decayed_in_every_arm_that_is_not_stopped(everything):
    for name in set(shipped()) - {"early_stopping"}:
        steps = steps_of(record(everything, name))
        epochs = record(everything, name)["run"]["max_epochs"]
        assert steps[-1] == pytest.approx(0.05 * (1 + math.cos(math.pi * (epochs - 1) / epochs))), name


def test_reverse_is_cheap_first_and_the_ramp_falls_in_a_straight_line(everything):
    reverse, falling = drawn(record(everything, "reverse")), drawn(record(everything, "ramp"))
    assert reverse == sorted(reverse)
    assert reverse[0] == N * FRACTION_AFTER
    assert falling[0] == 3 * N
    assert np.diff(falling[:4]) == pytest.approx([falling[1] - falling[0]] * 3, abs=1)


def test_short_has_the_full_recipe_in_fewer_epochs(everything):
    short = record(everything, "short")
    assert short["run"]["max_epochs"] == round(SPENT_BY_OURS / (3 * N)) == 4
    assert max(drawn(short)) == pytest.approx(SPENT_BY_OURS / 4, rel=0.2)


def test_rs2_keeps_a_random_part_and_all_views_of_it(everything):
    volumes = [epoch["volume"] for epoch in record(everything, "rs2")["epochs"]]
    assert all(volume["augmentation_multiplier"] == 3 for volume in volumes)
    assert volumes[0]["pruning_ratio"] == pytest.approx(1 - SPENT_BY_OURS / (EPOCHS * 3 * N), abs=0.1)


def test_the_placebo_hands_the_rule_the_values_of_ours_in_another_order(everything):
    ours = [epoch["signal"] for epoch in record(everything, "ours")["epochs"]]
    placebo = record(everything, "placebo")
    seen = placebo["comparison"]["filled"]["critical_period"]["signal"]["init_args"]["values"]
    assert sorted(seen) == sorted(ours)
    assert seen != ours
    assert [epoch["signal"] for epoch in placebo["epochs"]] == seen
    assert placebo["decision"]["rule"] == record(everything, "ours")["decision"]["rule"]


def test_annealing_is_what_tells_the_three_forms_of_ours_apart(everything):
    assert drawn(record(everything, "ours_unannealed")) == drawn(record(everything, "ours"))
    # 3 + ceil(3 x 0.875) = 6: an eighth of three epochs is none
    assert record(everything, "ours_annealed")["decision"]["recipe"]["annealing_fraction"] == 0.125


def test_finished_runs_are_not_run_again(everything, monkeypatch):
    files = {file: file.stat().st_mtime_ns for file in everything.glob("*/seed-*.json")}
    table = (everything / "table.md").read_text()
    config = everything.parents[1] / "blobs.yaml"
    arms = ",".join([*ALL.split(","), "ours_annealed"])
    arguments = ("--config", config, "--arms", arms, "--seeds", 1, "--results", everything.parent)
    assert compare(monkeypatch, *arguments) == 0
    assert {file: file.stat().st_mtime_ns for file in everything.glob("*/seed-*.json")} == files
    assert (everything / "table.md").read_text() == table


def test_worker_processes_of_their_own_get_the_results_of_the_sequence(everything, tmp_path, monkeypatch):
    arguments = ("--config", written(tmp_path), "--arms", "ours,k1", "--seeds", 1, "--results", tmp_path)
    assert compare(monkeypatch, *arguments, "--workers", 2) == 0
    for name in ("ours", "k1"):
        alone, in_sequence = record(tmp_path / "blobs", name), record(everything, name)
        assert alone["metrics"] == in_sequence["metrics"]
        assert [e["metrics"] for e in alone["epochs"]] == [e["metrics"] for e in in_sequence["epochs"]]


@pytest.mark.slow
def test_a_killed_comparison_goes_on_with_the_runs_that_are_left(tmp_path, monkeypatch):
    config, results = written(tmp_path), tmp_path / "results"
    arguments = ["--config", str(config), "--arms", "k1,ours", "--seeds", "20", "--results", str(results)]
    paths = os.pathsep.join(str(Path(__file__).parents[level]) for level in (0, 1))
    command = [sys.executable, "-m", "lightning_critperiod", "compare", *arguments]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and len(list(results.glob("blobs/*/seed-*.json"))) < 2:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {file: file.read_bytes() for file in results.glob("blobs/*/seed-*.json")}
    assert 2 <= len(finished) < 40
    arguments[arguments.index("20")] = "2"
    assert compare(monkeypatch, *arguments) == 0
    assert all(file.read_bytes() == content for file, content in finished.items())
    assert len(list(results.glob("blobs/*/seed-[78].json"))) == 4


@pytest.mark.slow
@pytest.mark.parametrize("where", [(), ("--ray", "local")], ids=["processes", "ray"])
def test_a_run_whose_worker_is_killed_is_run_again_and_counted_once(everything, tmp_path, monkeypatch, where):
    if where:
        pytest.importorskip("ray")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(__file__).parents[level]) for level in (0, 1)))
        monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    data = {"class_path": "test_compare.Deadly", "init_args": {"flag": str(tmp_path / "flag")}}
    arguments = ("--config", written(tmp_path, {"data": data}), "--arms", "ours,k1", "--seeds", 1)
    assert compare(monkeypatch, *arguments, "--results", tmp_path, "--workers", 2, *where) == 0
    assert (tmp_path / "flag").exists()
    assert len(list(tmp_path.glob("blobs/*/*.json"))) == 2
    for name in ("ours", "k1"):
        again, undisturbed = record(tmp_path / "blobs", name), record(everything, name)
        assert drawn(again) == drawn(undisturbed)
        assert again["metrics"] == undisturbed["metrics"]


def test_an_arm_that_cannot_run_does_not_take_the_others_with_it(tmp_path, monkeypatch, capsys):
    arm = tmp_path / "broken.yaml"
    arm.write_text("# Wants what is not there.\ncritical_period: {rule: {class_path: nowhere.Rule}}\n")
    arguments = ("--config", written(tmp_path), "--arms", f"k1,{arm}", "--seeds", 1, "--results", tmp_path)
    assert compare(monkeypatch, *arguments) == 1
    assert "broken, seed 7 failed" in capsys.readouterr().out
    assert (tmp_path / "blobs" / "k1" / "seed-7.json").is_file()
    assert not (tmp_path / "blobs" / "broken").exists()


@pytest.mark.parametrize(
    ("arms", "changes", "message"),
    [
        ("k1,nonsense", {}, "unknown arm 'nonsense'.*k1"),
        ("k1,k1", {}, "different names, got 'k1' twice"),
        ("constant", {}, "'constant' takes its budget from what 'ours' drew"),
        ("k1", {"data": {"class_path": "test_compare.Untested"}}, "must have a test set"),
        ("full", {"margin": None}, "needs a margin stated beforehand"),
        ("k1", {"trainer": {"fast_dev_run": True}}, "fast_dev_run leaves no records"),
        ("k1", {"trainer": {"max_epoch": 3}}, "max_epoch"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, arms, changes, message):
    arguments = ("--config", written(tmp_path, changes), "--arms", arms, "--results", tmp_path / "results")
    assert compare(monkeypatch, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(f"^critperiod: error: .*{message}", line)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("changes", [{"seed_everything": 8}, {"margin": 1.0}])
def test_the_results_of_another_config_are_refused(everything, tmp_path, monkeypatch, capsys, changes):
    before = sorted(everything.rglob("*"))
    arguments = ("--config", written(tmp_path, changes), "--arms", "k1", "--results", everything.parent)
    assert compare(monkeypatch, *arguments) == 2
    assert "holds the results of another" in capsys.readouterr().err
    assert sorted(everything.rglob("*")) == before


def test_an_arm_of_the_same_name_with_other_overrides_is_refused(everything, tmp_path, monkeypatch, capsys):
    (tmp_path / "k1.yaml").write_text("critical_period: {observe_only: true}\n")
    config = everything.parents[1] / "blobs.yaml"
    arguments = ("--config", config, "--arms", tmp_path / "k1.yaml", "--seeds", 1, "--results", everything.parent)
    assert compare(monkeypatch, *arguments) == 2
    assert "an arm 'k1' with other overrides" in capsys.readouterr().err


def test_no_records_and_no_such_metric_are_said(everything):
    arms = find(["ours", "k1"])
    with pytest.raises(ValueError, match="no records to compare"):
        summarize(arms, {"ours": {}, "k1": {}}, ACCURACY, None)
    with pytest.raises(
        ValueError, match="no test metric 'f1' in ours, seed 7: give --metric one of test_loss, test_acc"
    ):
        summarize(arms, {"ours": {7: record(everything, "ours")}}, Metric("f1", "max"), None)


def test_an_arm_with_a_quantity_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"\$cost is not known, expected one of \$"):
        make("mine", {"trainer": {"max_epochs": "$cost"}}, "")


# Statistics


def test_the_intervals_are_those_of_a_slow_computation():
    values, reference = {1: 90.1, 2: 91.0, 3: 89.7, 4: 90.6, 9: 50.0}, {1: 90.0, 2: 90.2, 3: 89.9, 4: 89.8}
    found = paired(values, reference)
    d = np.array([0.1, 0.8, -0.2, 0.8])
    half = 3.182446305284263 * d.std(ddof=1) / 2  # t(0.975, 3), from a table
    assert found.seeds == 4
    assert found.t == pytest.approx((d.mean() - half, d.mean() + half))
    resampled = [d[list(np.unravel_index(i, (4, 4, 4, 4)))].mean() for i in range(256)]  # all of them
    assert found.bootstrap == pytest.approx(np.percentile(resampled, [2.5, 97.5]), abs=0.03)


def test_one_seed_has_no_interval_and_no_common_seed_no_difference():
    found = paired({1: 2.0}, {1: 1.5, 2: 7.0})
    assert (found.mean, found.t, found.bootstrap) == (0.5, None, None)
    assert verdict(found, 1.0) == "undecided"
    assert paired({1: 2.0}, {2: 1.0}) is None


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ((0.0, 0.1, -0.1, 0.05), "non-inferior"),
        ((-0.6, -0.55, -0.62, -0.58), "inferior"),
        ((-1.5, 1.5, 0.3, -0.4), "undecided"),
        ((-0.3, -0.31, -0.29, -0.3), "non-inferior"),  # worse, but by less than the margin
        ((-0.75, -0.75, -0.75, -0.75), "undecided"),  # no spread to judge by: chance on a coarse scale
    ],
)
def test_the_verdict_is_the_place_of_the_interval_against_the_margin(differences, expected):
    found = paired(dict(enumerate(differences)), dict.fromkeys(range(4), 0.0))
    assert verdict(found, 0.5) == expected


@pytest.mark.parametrize("sd", [0.2, 0.5, 1.5])
def test_with_the_seeds_needed_four_of_five_studies_of_equal_arms_show_it(sd):
    n, margin = seeds_needed(sd, 0.5), 0.5
    draws = np.random.default_rng(0).normal(0, sd, (20_000, n))
    from scipy.stats import t

    low = draws.mean(1) - t.ppf(0.975, n - 1) * draws.std(1, ddof=1) / math.sqrt(n)
    assert (low > -margin).mean() == pytest.approx(0.8, abs=0.12 if n < 6 else 0.04)


def test_the_front_holds_the_arms_that_none_beats_in_both(everything):
    arms = find(shipped())
    summary = summarize(arms, {arm.name: {7: record(everything, arm.name)} for arm in arms}, ACCURACY, 5.0)
    rows = summary.rows
    front = {row.arm for row in pareto_front(summary)}
    for row in rows:
        beaten = any(
            other.mean >= row.mean
            and other.samples <= row.samples
            and other != row
            and (other.mean, other.samples) != (row.mean, row.samples)
            for other in rows
        )
        twin = any((o.mean, o.samples) == (row.mean, row.samples) for o in rows if o.arm in front and o is not row)
        assert (row.arm in front) == (not beaten and not twin)
    labels = {text.get_text() for text in pareto_figure(summary).axes[0].texts}
    assert labels == set(shipped())


def test_the_findings_say_where_the_placebo_decided_as_ours_did(everything):
    arms = find(["ours", "placebo"])
    records = {arm.name: {7: record(everything, arm.name)} for arm in arms}
    text = " ".join(conclusions(summarize(arms, records, ACCURACY, None)))
    assert "In 1 of 1 seeds the placebo switched at the same epoch as ours" in text  # AtEpoch reads no signal


def test_the_findings_say_that_the_saving_comes_from_fewer_steps_where_ours_does_not_win(everything):
    arms = find(["ours", "full", "constant"])
    records = {arm.name: {7: record(everything, arm.name)} for arm in arms}
    text = " ".join(conclusions(summarize(arms, records, ACCURACY, 5.0)))
    assert "ours is undecided at the margin of 5 points" in text
    assert "statistically indistinguishable from constant" in text
    assert "comes from fewer steps" in text


def test_the_findings_say_where_one_view_is_as_good_and_cheaper():
    from scipy.stats import t

    study = Results(Path(__file__).parents[1] / "results" / "digits")
    arms = find(["ours", "full", "k1"])
    records = {arm.name: study.records(arm.name) for arm in arms}
    differences = np.array([
        100 * (k1["metrics"]["test"]["test_acc"] - full["metrics"]["test"]["test_acc"])
        for k1, full in zip(records["k1"].values(), records["full"].values(), strict=True)
    ])
    n = len(differences)
    low = differences.mean() - t.ppf(0.975, n - 1) * differences.std(ddof=1) / math.sqrt(n)
    text = " ".join(conclusions(summarize(arms, records, ACCURACY, 0.5)))
    assert ("A rule has nothing to gain here" in text) == (low > -0.5)
    assert f"k1 draws 28% fewer samples than ours: {differences.mean():+.2f} [{low:+.2f}, " in text


# Quantities


def plan_of(epochs, during, after):
    rule = {"class_path": "x.Y", "init_args": {}}
    return Plan(epochs, Recipe(during, after, 0.0), None, rule, Monitor("EarlyStopping", "val_loss", "min"))


PLAN = plan_of(20, Volume(3.0), Volume(1.0, 0.3))


def spent_by(samples, **changes):
    return Spent(**{
        "samples": samples, "detector_samples": 0, "pass_samples": 1000, "batch_size": 64,
        "rates": [([0.1], 100), ([0.05], 300)], "signal": [1.0, 2.0, 3.0], **changes,
    })  # fmt: skip


@pytest.mark.parametrize("passes", [16.3, 20.0, 33.3, 59.9, 60.0])
def test_every_equal_cost_quantity_adds_up_to_the_budget(passes):
    known = {name: quantity(name, PLAN, 0, spent_by(round(1000 * passes))) for name in (
        "constant_multiplier", "short_epochs", "short_multiplier", "rs2_pruning_ratio",
        "reverse_epoch", "reverse_multiplier", "ramp",
    )}  # fmt: skip
    assert 20 * known["constant_multiplier"] == pytest.approx(passes)
    assert known["short_epochs"] * known["short_multiplier"] == pytest.approx(passes)
    assert 20 * 3 * (1 - known["rs2_pruning_ratio"]) == pytest.approx(passes)
    first = known["reverse_epoch"]
    assert 0.7 * first + (20 - first) * known["reverse_multiplier"] == pytest.approx(passes)
    assert sum(known["ramp"]) == pytest.approx(passes, abs=1e-3)
    assert known["ramp"] == sorted(known["ramp"], reverse=True)


def test_the_ramp_that_may_spend_all_is_flat_and_the_one_that_may_not_is_a_cliff():
    assert ramp(3.0, 1.0, 4, 12.0) == pytest.approx([3.0] * 4, abs=1e-3)
    assert ramp(3.0, 1.0, 4, 6.0) == pytest.approx([3.0, 1.0, 1.0, 1.0], abs=1e-3)


def test_reverse_needs_two_volumes():
    plan = plan_of(20, Volume(), Volume())
    with pytest.raises(ValueError, match="full volume above the cheap one"):
        quantity("reverse_epoch", plan, 0, spent_by(20_000))


def test_the_random_epoch_is_uniform_between_the_first_and_the_last():
    plan = plan_of(6, Volume(3.0), Volume())
    counts = np.bincount([quantity("random_epoch", plan, seed, None) for seed in range(2000)], minlength=6)
    assert counts[0] == 0
    assert counts[1:] == pytest.approx([400] * 5, abs=80)  # 4.5 standard deviations


def test_shuffling_depends_on_the_seed_alone():
    values = [float(i) for i in range(10)]
    state = torch.get_rng_state()
    assert shuffled(values, 3) == shuffled(values, 3) != shuffled(values, 4)
    assert sorted(shuffled(values, 3)) == values
    assert torch.equal(torch.get_rng_state(), state)


# InfoBatch


def test_infobatch_leaves_out_half_of_the_samples_below_the_mean_and_makes_up_for_them():
    losses = torch.tensor([0.1, 0.2, 0.3, 0.4, 9.0, 9.5])  # mean 3.25: four are below
    scores = Scores(6, pruning_ratio=0.5, seed=1)
    scores.update(torch.arange(6), losses)
    kept = scores.select(epoch=1, pruned=True).tolist()
    assert {4, 5} <= set(kept)
    assert len(kept) == 4
    assert scores.weights.tolist() == [2, 2, 2, 2, 1, 1]


def test_infobatch_gives_the_full_gradient_on_average():
    losses = torch.rand(40, generator=torch.Generator().manual_seed(0)).double()
    scores = Scores(40, pruning_ratio=0.5, seed=3)
    scores.update(torch.arange(40), losses)
    sums = []
    for epoch in range(4000):
        kept = scores.select(epoch, pruned=True)
        sums.append((losses[kept] * scores.weights[kept]).sum().item())
    small = int((losses < losses.mean()).sum())
    # an odd number below the mean is halved downwards: one half of a sample more is kept
    excess = losses[losses < losses.mean()].sum().item() * (2 * (small - small // 2) / small - 1)
    error = np.std(sums) / math.sqrt(len(sums))
    assert np.mean(sums) == pytest.approx(losses.sum().item() + excess, abs=5 * error)


def test_infobatch_leaves_nothing_out_before_the_first_loss_and_in_the_last_part():
    scores = Scores(6, pruning_ratio=0.5, seed=1)
    assert scores.select(0, pruned=True).tolist() == list(range(6))
    scores.update(torch.tensor([2, 2]), torch.tensor([5.0, 0.5]))
    assert scores.scores.tolist() == [1, 1, 0.5, 1, 1, 1]
    assert scores.select(5, pruned=False).tolist() == list(range(6))
    assert scores.weights.tolist() == [1] * 6


def test_infobatch_passes_see_every_kept_sample_equally_often_but_for_the_last_pass():
    kept = torch.tensor([1, 3, 4])
    indices = Scores(6, 0.5, seed=1).passes(kept, 8, epoch=0).tolist()
    assert sorted(indices[:3]) == sorted(indices[3:6]) == [1, 3, 4]
    assert len(indices) == 8


def test_infobatch_without_pruning_is_ordinary_training(tmp_path, trainer_for):
    """r = 0 and one pass an epoch: the plain gradient of every sample once; against a loop in plain torch."""
    from lightning_critperiod.models import ImageClassifier
    from lightning_critperiod.studies.baselines import InfoBatch

    torch.manual_seed(0)
    model = ImageClassifier(TwoLayers(), optimizer=lambda p: torch.optim.SGD(p, lr=0.05))
    twin = TwoLayers()
    twin.load_state_dict(model.network.state_dict())
    seen = []
    model.network.register_forward_hook(lambda m, i, o: seen.append(i[0].clone()) if m.training else None)
    data = Blobs()
    trainer_for(InfoBatch(2 * N, pruning_ratio=0.0), max_epochs=2, limit_val_batches=0).fit(model, datamodule=data)
    points, labels = data.train_dataloader().dataset.tensors
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05)
    for batch in seen:
        chosen = labels[(batch[:, None] == points).all(2).int().argmax(1)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(twin(batch), chosen).backward()
        optimizer.step()
    assert torch.cat(seen).unique(dim=0).shape[0] == N
    assert len(seen) == 2 * N // BATCH
    for ours, theirs in zip(model.network.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert "training_step" not in vars(model)
    assert data.augmentation_multiplier == 3


def test_infobatch_refuses_a_loader_that_draws_otherwise(trainer_for):
    from torch.utils.data import WeightedRandomSampler

    from lightning_critperiod.models import ImageClassifier
    from lightning_critperiod.studies.baselines import InfoBatch

    dataset = Blobs().train_dataloader().dataset
    loader = DataLoader(dataset, sampler=WeightedRandomSampler(torch.ones(N), N))
    with pytest.raises(ValueError, match="each sample of its dataset once, got DataLoader with WeightedRandomSampler"):
        trainer_for(InfoBatch(N)).fit(ImageClassifier(TwoLayers()), loader, Blobs().val_dataloader())


def test_rates_are_noted_per_optimizer_step_when_gradients_accumulate(trainer_for):
    from lightning_critperiod.models import ImageClassifier
    from lightning_critperiod.studies.baselines import RecordRates

    rates = RecordRates()
    trainer = trainer_for(rates, max_epochs=2, accumulate_grad_batches=3, limit_val_batches=0)
    trainer.fit(ImageClassifier(TwoLayers()), datamodule=Blobs(augmentation_multiplier=1))
    assert sum(steps for _, steps in rates.rates) == trainer.global_step == 6


def test_the_small_configs_state_their_margin():
    for file in (Path(__file__).parents[1] / "configs" / "small").glob("*.yaml"):
        assert yaml.safe_load(file.read_text())["margin"] == 0.5, file.name
