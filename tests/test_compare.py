import dataclasses
import json
import math
import os
import re
import shutil
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
from lightning_critperiod.models import ImageClassifier
from lightning_critperiod.recipe import Recipe, Volume
from lightning_critperiod.studies.compare.arm_jobs import ArmJobs
from lightning_critperiod.studies.compare.compare_options import ALL, parse
from lightning_critperiod.studies.compare.comparison_pages import redraw
from lightning_critperiod.studies.compare.comparison_table import main_cells, markdown
from lightning_critperiod.studies.compare.conclusions import conclusions
from lightning_critperiod.studies.compare.pareto import pareto_figure, pareto_front
from lightning_critperiod.studies.compare.shipped_arms import find, make, shipped
from lightning_critperiod.studies.compare.spent import spent
from lightning_critperiod.studies.config import Config
from lightning_critperiod.studies.estimate import seconds_left
from lightning_critperiod.studies.metric import Metric, Monitor
from lightning_critperiod.studies.plan import Plan
from lightning_critperiod.studies.results import Results
from lightning_critperiod.studies.rows import summarize
from lightning_critperiod.studies.sources import Sources
from lightning_critperiod.studies.study_run import load_run
from lightning_critperiod.studies.trunks import Trunks

N, BATCH, EPOCHS, SWITCH = 64, 8, 6, 3
FRACTION_AFTER = 0.75
SPENT_BY_OURS = SWITCH * 3 * N + (EPOCHS - SWITCH) * N * FRACTION_AFTER


def plan_of(epochs, during, after):
    rule = {"class_path": "x.Y", "init_args": {}}
    return Plan(epochs, Recipe(during, after, 0.0), None, rule, Monitor("EarlyStopping", "val_loss", "min"))


ACCURACY = Metric("test_acc", "max")
ON_REQUEST = ("ours_annealed", "cooldown", "reduce_on_plateau")
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


class Thrown:
    """Ctrl-C comes while it is thrown away, where Python drops the exception."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)


class Interrupted(Blobs):
    def val_dataloader(self):
        Thrown()
        return super().val_dataloader()


class Untested(LightningDataModule):
    """Has no test set."""


class Silent(ImageClassifier):
    """Logs nothing in its test."""

    def test_step(self, batch, batch_idx):
        pass


class Trained(ImageClassifier):
    """Its test needs what training leaves behind."""

    def training_step(self, batch, batch_idx):
        self.trained = True
        return super().training_step(batch, batch_idx)

    def test_step(self, batch, batch_idx):
        assert self.trained
        super().test_step(batch, batch_idx)


class TwoLayers(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


class Repeats(nn.Module):
    """Computes its first layer several times: 256 FLOPs a sample each time, and 192 for the second layer."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.passes = nn.Linear(4, 16), nn.Linear(16, 2), 2

    def forward(self, x):
        return self.second(sum(self.first(x).relu() for _ in range(self.passes)))


def flops(samples, passes):
    return samples * (256 * passes + 192)


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
    arms = ",".join([*ALL, *ON_REQUEST])
    with pytest.MonkeyPatch.context() as patch:
        status = compare(
            patch, "--config", written(folder), "--arms", arms, "--seeds", 1, "--results", folder / "results"
        )
    assert status == 0
    return folder / "results" / "blobs"


def record(folder, arm, seed=7):
    return json.loads((folder / arm / f"seed-{seed}.json").read_text())


def run_of(folder, arm, seed=7):
    return load_run(folder / arm / f"seed-{seed}.json")


def drawn(found):
    return [epoch["samples"] for epoch in found["epochs"]]


def steps_of(found):
    return [rate for rates, steps in found["comparison"]["rates"] for rate in rates * steps]


def test_the_fifteen_baselines_and_ours_in_three_forms_are_shipped_and_run(everything):
    assert set(shipped()) == {*ALL, *ON_REQUEST}
    assert len(shipped()) == 18
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
    for name in set(shipped()) - {"early_stopping", "cooldown", "reduce_on_plateau"}:
        steps = steps_of(record(everything, name))
        epochs = record(everything, name)["run"]["max_epochs"]
        assert steps[-1] == pytest.approx(0.05 * (1 + math.cos(math.pi * (epochs - 1) / epochs))), name


def test_the_arm_cooldown_holds_the_rate_and_lets_it_decay_to_zero_by_the_end(everything):
    found = record(everything, "cooldown")
    assert drawn(found) == [3 * N] * EPOCHS
    assert (found["decision"]["cooldown_epoch"], found["decision"]["observe_only"]) == (3, False)
    assert found["decision"]["final_weights"] in {"averaged", "raw"}
    steps = [0.1] * 3 * 24 + [0.1 * (1 - math.sqrt(step / 72)) for step in range(72)]
    assert steps_of(found) == pytest.approx(steps)
    assert found["epochs"][-1]["learning_rate"] < 0.01


def test_the_arm_reduce_on_plateau_begins_at_the_peak(everything):
    found = record(everything, "reduce_on_plateau")
    assert drawn(found) == [3 * N] * EPOCHS
    assert set(steps_of(found)) == {0.1}


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
    arms = ",".join([*ALL, *ON_REQUEST])
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
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_a_comparison_with_its_workers_keeps_what_is_finished_and_says_so(tmp_path, workers):
    results = tmp_path / "results"
    arguments = ["--config", str(written(tmp_path)), "--arms", "k1,ours", "--seeds", "20", "--results", str(results)]
    paths = os.pathsep.join(str(Path(__file__).parents[level]) for level in (0, 1))
    process = subprocess.Popen(
        [sys.executable, "-m", "lightning_critperiod", "compare", *arguments, "--workers", workers],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while process.poll() is None and len(list(results.glob("blobs/*/seed-*.json"))) < 2:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said, _ = process.communicate(timeout=60)
    kept = len(list(results.glob("blobs/*/seed-*.json")))
    assert process.returncode == 130
    assert f"Stopped: {kept} of 40 runs are kept." in said
    assert "Traceback" not in said


@pytest.fixture
def _takes_ctrl_c():
    """As in a terminal: a shell that starts a process in the background has it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_takes_ctrl_c")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ctrl_c_that_python_dropped_let_all_runs_be_trained(tmp_path, monkeypatch, capsys):
    config = written(tmp_path, {"data": {"class_path": "test_compare.Interrupted"}})
    options = ("--arms", "ours,k1", "--seeds", 1, "--results", tmp_path)
    assert compare(monkeypatch, "--config", config, *options) == 130
    assert "Stopped: 0 of 2 runs are kept." in capsys.readouterr().out


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
        ("ours,short@flops", {}, "'short@flops' takes its length from what a sample of 'full' costs: add full"),
        ("ours,full,k1@flops", {}, "arm 'k1' has no budget.*got 'k1@flops'"),
        ("ours,full,short@joules", {}, "unknown arm 'short@joules'"),
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


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("ImageClassifier", "'test_acu' in the test of an untrained model: give --metric one of test_acc, test_loss"),
        ("Silent", "'test_acu' in the test of an untrained model: log one in test_step, it logs none"),
    ],
)
def test_a_misspelt_metric_was_found_after_the_first_run(tmp_path, monkeypatch, capsys, model, said):
    known = {"ImageClassifier": "lightning_critperiod.models.ImageClassifier", "Silent": "test_compare.Silent"}
    model = {**CONFIG["model"], "class_path": known[model]}
    options = ("--metric", "test_acu", "--mode", "max", "--arms", "ours", "--results", tmp_path / "results")
    assert compare(monkeypatch, "--config", written(tmp_path, {"model": model}), *options) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("critperiod: error:")]
    assert line.endswith(f"no test metric {said}")
    assert not (tmp_path / "results").exists()


def test_a_test_that_needs_a_trained_model_does_not_stop_a_comparison(tmp_path, monkeypatch):
    model = {**CONFIG["model"], "class_path": "test_compare.Trained"}
    options = ("--arms", "ours", "--seeds", 1, "--results", tmp_path)
    assert compare(monkeypatch, "--config", written(tmp_path, {"model": model}), *options) == 0


@pytest.mark.parametrize("is_arm", [False, True], ids=["config", "arm"])
def test_a_file_that_is_no_yaml_was_a_traceback(tmp_path, monkeypatch, capsys, is_arm):
    damaged = tmp_path / "damaged.yaml"
    damaged.write_text("a: [1, 2\nb: 3")
    config, arm = (written(tmp_path, {}), damaged) if is_arm else (damaged, "k1")
    assert compare(monkeypatch, "--config", config, "--arms", arm, "--results", tmp_path / "results") == 2
    (line,) = capsys.readouterr().err.splitlines()
    what = "overrides of a config" if is_arm else "a config"
    assert line.startswith(f"critperiod: error: {damaged} must hold {what} in YAML, but it can't be read: ")


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
        summarize(arms, {"ours": {7: run_of(everything, "ours")}}, Metric("f1", "max"), None)


def test_an_arm_with_a_quantity_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"\$cost is not known, expected one of \$"):
        make("mine", {"trainer": {"max_epochs": "$cost"}}, "")


def test_the_front_holds_the_arms_that_none_beats_in_both(everything):
    arms = find(shipped())
    summary = summarize(arms, {arm.name: {7: run_of(everything, arm.name)} for arm in arms}, ACCURACY, 5.0)
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
    records = {arm.name: {7: run_of(everything, arm.name)} for arm in arms}
    text = " ".join(conclusions(summarize(arms, records, ACCURACY, None)))
    assert "In 1 of 1 seeds the placebo switched at the same epoch as ours" in text  # AtEpoch reads no signal


def test_the_findings_say_that_the_saving_comes_from_fewer_steps_where_ours_does_not_win():
    study = Results(Path(__file__).parents[1] / "results" / "digits")
    arms = find(["ours", "full", "short"])
    records = {arm.name: study.runs(arm.name) for arm in arms}
    text = " ".join(conclusions(summarize(arms, records, ACCURACY, 0.5)))
    assert "statistically indistinguishable from short" in text
    assert "comes from fewer steps" in text


def without_switch(run):
    decision = dataclasses.replace(run.record.decision, end_epoch=None)
    return dataclasses.replace(run, record=dataclasses.replace(run.record, decision=decision))


def test_the_findings_say_that_ours_never_switched():
    study = Results(Path(__file__).parents[1] / "results" / "digits")
    arms = find(["ours", "full"])
    full, ours = study.runs("full"), study.runs("ours")
    for stayed, said in (
        (5, "ours never switched: its rule fired in none of 5 seeds"),
        (2, "In 2 of 5 seeds ours did"),
    ):
        some = {s: without_switch(run) if i < stayed else run for i, (s, run) in enumerate(ours.items())}
        text = " ".join(conclusions(summarize(arms, {"full": full, "ours": some}, ACCURACY, 0.5)))
        assert said in text
    text = " ".join(conclusions(summarize(arms, {"full": full, "ours": ours}, ACCURACY, 0.5)))
    assert "switched:" not in text
    assert "did not switch" not in text


@pytest.mark.parametrize(("name", "tells"), [("digits", False), ("cifar10", True)])
def test_the_table_has_seconds_only_where_they_differ_by_more_than_the_noise_over_the_seeds(name, tells):
    from scipy.stats import ttest_rel

    study = Results(Path(__file__).parents[1] / "results" / name)
    arms = find(["ours", "full"])
    records = {arm.name: study.runs(arm.name) for arm in arms}
    ours, full = ([run.epoch_seconds for _, run in sorted(records[arm].items())] for arm in ("ours", "full"))
    assert (ttest_rel(ours, full).pvalue < 0.05) == tells
    summary = summarize(arms, records, ACCURACY, 0.5)
    assert ("seconds" in main_cells(summary)[0]) == tells
    assert ("Wall-clock time is left out" in markdown(summary, "", [])) == (not tells)
    assert "seconds" not in main_cells(summarize(arms, {n: {0: r[0]} for n, r in records.items()}, ACCURACY, 0.5))[0]


def test_one_seed_is_not_called_indistinguishable(everything):
    arms = find(["ours", "full", "constant"])
    records = {arm.name: {7: run_of(everything, arm.name)} for arm in arms}
    text = " ".join(conclusions(summarize(arms, records, ACCURACY, 5.0)))
    assert "ours is undecided at the margin of 5 points" in text
    assert "At equal cost, one seed cannot tell ours from constant (" in text
    assert "indistinguishable" not in text


def test_the_findings_say_where_one_view_is_as_good_and_cheaper():
    from scipy.stats import t

    study = Results(Path(__file__).parents[1] / "results" / "digits")
    arms = find(["ours", "full", "k1"])
    records = {arm.name: study.runs(arm.name) for arm in arms}
    differences = np.array([
        100 * (k1.record.metrics.test["test_acc"] - full.record.metrics.test["test_acc"])
        for k1, full in zip(records["k1"].values(), records["full"].values(), strict=True)
    ])
    n = len(differences)
    low = differences.mean() - t.ppf(0.975, n - 1) * differences.std(ddof=1) / math.sqrt(n)
    text = " ".join(conclusions(summarize(arms, records, ACCURACY, 0.5)))
    assert ("A rule has nothing to gain here" in text) == (low > -0.5)
    assert f"k1 draws 28% fewer samples than ours: {differences.mean():+.2f} [{low:+.2f}, " in text


def test_by_a_loss_the_lowest_comes_first_and_the_front_the_verdict_and_the_sentences_turn_with_it(everything):
    arms = find(["ours", "full", "k1", "constant"])
    records = {arm.name: {7: run_of(everything, arm.name)} for arm in arms}
    loss = {name: runs[7].record.metrics.test["test_loss"] for name, runs in records.items()}
    summary = summarize(arms, records, Metric("test_loss", "min"), 0.1)
    assert {row.arm: row.mean for row in summary.rows} == loss
    table = main_cells(summary)
    assert [line[0] for line in table[1:]] == sorted(loss, key=loss.get)
    assert "test_loss" in table[0]
    assert min(loss, key=loss.get) in {row.arm for row in pareto_front(summary)}
    assert pareto_figure(summary).axes[0].get_ylabel() == "test_loss (lower is better)"
    gains = {row.arm: summary.gain(row, "full").mean for row in summary.rows if row.arm != "full"}
    assert gains == {name: pytest.approx(loss["full"] - loss[name]) for name in gains}
    text = " ".join(conclusions(summary))
    assert "at the margin of 0.1 in test_loss" in text
    assert "points" not in text


def test_a_seed_whose_metric_is_no_finite_number_is_in_no_mean_and_said(everything):
    arms = find(["ours", "full"])
    runs = {arm.name: {7: run_of(everything, arm.name), 8: run_of(everything, arm.name)} for arm in arms}
    diverged = runs["ours"][8].record.tested({"test_acc": None})  # as a record has NaN
    runs["ours"][8] = dataclasses.replace(runs["ours"][8], record=diverged)
    summary = summarize(arms, runs, ACCURACY, 5.0)
    ours = summary.row("ours")
    assert list(ours.values) == [7]
    assert ours.verdict == "undecided"
    assert any("no finite number" in text and "ours (8)" in text for text in conclusions(summary))


def test_what_is_left_is_estimated_from_the_finished_runs_by_what_they_draw(everything, tmp_path):
    """full draws 18 passes in six epochs, k1 6: at one pace, plus what every run takes beside its epochs."""
    copy = Path(shutil.copytree(everything, tmp_path / "blobs"))
    arms, results = find(["full", "k1"]), Results(copy)
    plan = plan_of(EPOCHS, Volume(3.0), Volume(1.0, 1 - FRACTION_AFTER))
    config = Config(Sources([Path("blobs.yaml")], [CONFIG]), "", [], plan, [])
    jobs = ArmJobs(config, arms, [7, 8], Trunks(results, active=False))
    (copy / "k1" / "seed-7.json").unlink()
    full = record(copy, "full")
    epochs = sum(sum(epoch["seconds"].values()) for epoch in full["epochs"])
    beside = full["comparison"]["seconds"] - epochs
    left = [(arm, seed) for arm, seed in jobs.all if not results.has(arm.name, seed)]
    assert len(left) == 3
    expected = 3 * beside + epochs * (18 + 6 + 6) / 18
    assert seconds_left(jobs, results, left, workers=1) == pytest.approx(expected)
    assert seconds_left(jobs, results, left, workers=3) == pytest.approx(max(expected / 3, beside + epochs))


def test_how_long_it_takes_is_said_after_the_first_run_and_by_the_records_before_any(tmp_path, monkeypatch, capsys):
    arguments = ("--config", written(tmp_path), "--arms", "k1", "full", "--results", tmp_path, "--seeds")
    assert compare(monkeypatch, *arguments, 1) == 0
    lines = capsys.readouterr().out.splitlines()
    (said,) = [index for index, line in enumerate(lines) if line.startswith("About ")]
    assert lines[said - 1].startswith("k1, seed 7: ")
    assert "for the 1 run left" in lines[said]
    assert compare(monkeypatch, *arguments, 2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "for the 2 runs left" in lines[1]


def test_arms_that_begin_as_ours_or_full_do_go_on_from_them(everything):
    resumed = {name for name in shipped() if record(everything, name)["comparison"]["resumed"]}
    assert resumed == {"fixed", "random", "ours_annealed", "ours_unannealed"}
    assert not list(everything.rglob("*.ckpt"))


def test_arms_that_go_on_from_others_are_bit_for_bit_those_from_the_beginning(tmp_path, monkeypatch):
    data = {"class_path": "test_oracle.AugmentedBlobs"}
    arms = ("--arms", "[ours, full, fixed, random, ours_annealed]", "--seeds", 1)
    for how in ("trunk", "scratch"):
        (tmp_path / how).mkdir()
        config = written(tmp_path / how, {"data": data})
        assert compare(monkeypatch, "--config", config, *arms, "--from", how, "--results", tmp_path / how) == 0
    for arm in ("fixed", "random", "ours_annealed"):
        trunk, scratch = (record(tmp_path / how / "blobs", arm) for how in ("trunk", "scratch"))
        assert [run["comparison"]["resumed"] for run in (trunk, scratch)] == [True, False]
        assert trunk["metrics"] == scratch["metrics"]
        assert drawn(trunk) == drawn(scratch)
        assert [epoch["metrics"] for epoch in trunk["epochs"]] == [epoch["metrics"] for epoch in scratch["epochs"]]
        assert trunk["comparison"]["rates"] == scratch["comparison"]["rates"]


@pytest.fixture(scope="module")
def budgets(tmp_path_factory):
    """A recipe that makes steps cheaper, beside arms that cost as much in samples, in FLOPs and in seconds."""
    folder = tmp_path_factory.mktemp("budgets")
    model, period = CONFIG["model"]["init_args"], CONFIG["critical_period"]
    cheaper = {"class_path": "lightning_critperiod.Phased", "init_args": {"path": "network.passes", "after": 1}}
    network = {**model, "network": {"class_path": "test_compare.Repeats"}}
    changes = {
        "model": {**CONFIG["model"], "init_args": network},
        "critical_period": {**period, "recipe": {**period["recipe"], "changes": [cheaper]}},
    }
    results = ("--seeds", 1, "--results", folder / "results", "--budget", "flops")
    with pytest.MonkeyPatch.context() as patch:
        arms = ["ours", "full", "constant", "short@samples", "short", "short@seconds"]
        assert compare(patch, "--config", written(folder, changes), "--arms", *arms, *results) == 0
    return folder / "results" / "blobs"


def test_images_grow_in_ours_but_not_in_the_arms_of_the_full_recipe(everything):
    """Their steps during the critical period are the cheap ones: an arm that never switches would keep them."""
    growing = {"class_path": "lightning_critperiod.GrowingImages", "init_args": {"sizes": [4, 8]}}
    other = {"class_path": "lightning_critperiod.Phased", "init_args": {"path": "network.passes", "after": 1}}
    plan = dataclasses.replace(plan_of(EPOCHS, Volume(3.0), Volume(1.0)), changes=[growing, other])
    arms = find(["ours", "full", "short", "fixed", "k1"])
    jobs = ArmJobs(
        Config(Sources([Path("blobs.yaml")], [CONFIG]), "", [], plan, []), arms, [7], Trunks(Results(everything))
    )
    recipes = {
        arm.name: (jobs.job(arm, 7).filled.get("critical_period") or {}).get("recipe", {}).get("changes")
        for arm in arms
    }
    assert recipes == {"ours": None, "fixed": None, "full": [other], "short": [other], "k1": [other]}
    assert jobs.job(arms[3], 7).checkpoint is None


def test_an_arm_takes_the_flops_of_ours_where_its_steps_are_dearer(budgets):
    ours = flops(SWITCH * 3 * N, 2) + flops((EPOCHS - SWITCH) * N * FRACTION_AFTER, 1)
    assert record(budgets, "ours")["measured"]["flops"] == ours
    assert record(budgets, "full")["measured"]["flops"] == flops(EPOCHS * 3 * N, 2)
    for name in ("constant@flops", "short@flops"):
        found = record(budgets, name)
        assert found["measured"]["flops"] == flops(sum(drawn(found)), 2)
        assert abs(found["measured"]["flops"] - ours) <= flops(EPOCHS / 2, 2), name  # whole samples an epoch
    assert record(budgets, "short")["measured"]["flops"] > 1.05 * ours


def test_an_arm_takes_the_seconds_of_ours(budgets):
    ours, full = (run_of(budgets, arm) for arm in ("ours", "full"))
    budget = ours.epoch_seconds / full.epoch_seconds * EPOCHS * 3 * N
    short = drawn(record(budgets, "short@seconds"))
    assert sum(short) == pytest.approx(budget, abs=len(short) / 2 + 1)
    assert len(short) == max(1, round(budget / (3 * N)))


def test_the_table_has_the_flops_and_says_what_was_rounded_to_whole_epochs(budgets):
    table = (budgets / "table.md").read_text()
    spent, epoch = record(budgets, "ours")["measured"]["flops"], flops(3 * N, 2)
    assert "| arm | passes | samples | FLOPs |" in table
    assert f"| {spent:.3g} |" in table
    (said,) = re.findall(r"short@flops has the budget of (\S+) epochs of the full recipe. It trains (\d+),", table)
    assert float(said[0]) == pytest.approx(spent / epoch, abs=0.02)
    assert int(said[1]) == round(spent / epoch)
    assert f"({1 - spent / (EPOCHS * epoch):.0%} fewer FLOPs)" in table


def test_where_steps_differ_arms_are_compared_by_their_flops(budgets):
    arms = find(["ours", "full", "short"], "flops")
    summary = summarize(arms, {arm.name: {7: run_of(budgets, arm.name)} for arm in arms}, ACCURACY, 5.0)
    assert summary.steps_differ
    assert pareto_figure(summary).axes[0].get_xlabel() == "training FLOPs"
    assert {summary.cost(row) for row in summary.rows} == {row.flops for row in summary.rows}


def test_tables_are_made_again_with_the_budgets_that_the_arms_had(budgets, tmp_path):
    copy = Path(shutil.copytree(budgets, tmp_path / "blobs"))
    before = (copy / "table.md").read_text()
    redraw(copy)
    after = (copy / "table.md").read_text()
    assert "\n- short@flops: The full recipe in fewer epochs, at the cost of ours. Its budget is in FLOPs.\n" in after
    assert [line for line in after.splitlines() if "@" in line] == [line for line in before.splitlines() if "@" in line]


def test_a_budget_that_was_not_measured_is_said(budgets):
    ours = run_of(budgets, "ours")
    blind = dataclasses.replace(ours, record=dataclasses.replace(ours.record, measured=None))
    with pytest.raises(ValueError, match="a budget in FLOPs needs them measured, in ours and in full"):
        spent(blind, ours, "flops")


@pytest.mark.parametrize("form", [["k1", "full"], ["k1,full"], ["[k1, full]"], ["[k1,", "full]"]], ids=str)
def test_arms_are_given_in_any_form_of_a_list(form, tmp_path):
    options = parse(["--config", str(written(tmp_path)), "--arms", *form])
    assert [arm.name for arm in options.arms] == ["k1", "full"]


def test_arms_and_records_of_version_01_have_the_class_paths_of_today(tmp_path):
    old = tmp_path / "mine.yaml"
    old.write_text("critical_period: {signal: {class_path: lightning_critperiod.compare.NoSignal}}\n")
    (arm,) = find([str(old)])
    assert arm.overrides["critical_period"]["signal"]["class_path"] == "lightning_critperiod.studies.baselines.NoSignal"
    study = Results(Path(__file__).parents[1] / "results" / "digits")
    for arm in find(["ours", "full", "k1", "infobatch", "placebo"]):
        assert study.load(arm, 0).arm == arm.name


def test_the_small_configs_state_their_margin():
    for file in (Path(__file__).parents[1] / "configs" / "small").glob("*.yaml"):
        assert yaml.safe_load(file.read_text())["margin"] == 0.5, file.name
