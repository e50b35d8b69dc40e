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
from lightning.pytorch import Callback
from test_compare import CONFIG, EPOCHS, FRACTION_AFTER, Blobs, N
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod import CriticalPeriodCallback, Slope, cli
from lightning_critperiod.studies.oracle.branch_jobs import BranchJobs, rule_epoch
from lightning_critperiod.studies.oracle.sweep import load
from lightning_critperiod.studies.oracle.sweep_pages import redraw
from lightning_critperiod.studies.oracle.switch_figures import figure1, figure2
from lightning_critperiod.studies.oracle.switch_table import findings, switch_cells
from lightning_critperiod.studies.oracle.switches import default_epochs
from lightning_critperiod.studies.study_run import load_run

SWITCHES = (0, 2, 4)
RULE_FIRES = 3


class Augmented(TensorDataset):
    """Random augmentation as torchvision does it: from the global generators."""

    def __getitem__(self, index):
        point, label = super().__getitem__(index)
        return point + 0.1 * torch.randn(4) + 0.1 * float(np.random.rand()), label


class AugmentedBlobs(Blobs):
    def train_dataloader(self):
        points, labels = super().train_dataloader().dataset.tensors
        return DataLoader(Augmented(points, labels), batch_size=8, shuffle=True)


class Dropping(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


class KeepWeights(Callback):
    """Leaves the final weights in a file that is named after what the run was."""

    def __init__(self, folder: str):
        self.folder = Path(folder)
        self.resumed = False

    def on_load_checkpoint(self, trainer, pl_module, checkpoint):
        self.resumed = True

    def on_fit_end(self, trainer, pl_module):
        callback = next(c for c in trainer.callbacks if isinstance(c, CriticalPeriodCallback))
        how = "resumed" if self.resumed else "scratch"
        name = f"{callback.rule}-{callback.recipe.annealing_fraction}-{os.environ['PL_GLOBAL_SEED']}-{how}.pt"
        torch.save(pl_module.state_dict(), self.folder / name)


def changes(**more):
    network = {"network": {"class_path": "test_oracle.Dropping"}}
    model = {**CONFIG["model"], "init_args": {**CONFIG["model"]["init_args"], **network}}
    recipe = {**CONFIG["critical_period"]["recipe"], "annealing_fraction": 0.5}  # Figure 1 does without, all the same
    own = {"model": model, "critical_period": {**CONFIG["critical_period"], "recipe": recipe}}
    return {**own, "data": {"class_path": "test_oracle.AugmentedBlobs"}, **more}


def written(folder, name="blobs", **more):
    """A config file; a change of None takes the key out."""
    config = {**CONFIG, **changes(**more)}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in config.items() if value is not None}))
    return file


def oracle(monkeypatch, *arguments):
    """`critperiod oracle` in this process; hands back the exit status."""
    monkeypatch.setattr(sys, "argv", ["critperiod", "oracle", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def record(folder, arm, seed=7):
    return json.loads((folder / arm / f"seed-{seed}.json").read_text())


def drawn(found):
    return [epoch["samples"] for epoch in found["epochs"]]


def usual_seconds(folder, samples):
    """The median of what an epoch of so many samples took; a branch has its first epochs from the trunk."""
    runs = [json.loads(file.read_text()) for file in folder.glob("*/seed-*.json")]
    found = {sum(e["seconds"].values()) for run in runs for e in run["epochs"] if e["samples"] == samples}
    return float(np.median(list(found)))


GRID = ("--switch-epochs", *SWITCHES, "--annealing", 0, 0.5)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The same study from a trunk with two seeds, and from scratch with one: folder and weights of each."""
    folder = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch:
        for how, seeds in (("trunk", 2), ("scratch", 1)):
            (folder / how).mkdir()
            callbacks = [{"class_path": "test_oracle.KeepWeights", "init_args": {"folder": str(folder / how)}}]
            config = written(folder / how, trainer={**CONFIG["trainer"], "callbacks": callbacks})
            arguments = ("--config", config, *GRID, "--seeds", seeds, "--from", how, "--results", folder / how)
            assert oracle(patch, *arguments) == 0
    return folder


@pytest.fixture
def study(studies):
    return studies / "trunk" / "blobs"


@pytest.mark.parametrize("epoch", [2, 4, RULE_FIRES])
def test_a_branch_ends_with_the_test_accuracy_and_the_weights_of_the_run_from_scratch(studies, epoch):
    """The data are augmented by the global generators and the network drops out, so that these must be kept too."""
    for arm, annealing in [(f"epoch-{epoch}", 0.0)] if epoch != RULE_FIRES else [
        ("rule", 0.0), ("rule-annealing-0.5", 0.5)
    ]:  # fmt: skip
        name = f"AtEpoch(epoch={epoch})-{annealing}-7"
        branch = torch.load(studies / "trunk" / f"{name}-resumed.pt")
        scratch = torch.load(studies / "scratch" / f"{name}-scratch.pt")
        assert branch.keys() == scratch.keys()
        assert all(torch.equal(branch[key], scratch[key]) for key in scratch)
        runs = [record(studies / how / "blobs", arm) for how in ("trunk", "scratch")]
        assert [run["comparison"]["resumed"] for run in runs] == [True, False]
        assert runs[0]["metrics"] == runs[1]["metrics"]
        for key in ("samples", "learning_rate", "signal", "volume", "metrics"):
            assert [e[key] for e in runs[0]["epochs"]] == [e[key] for e in runs[1]["epochs"]], key
        assert runs[0]["comparison"]["rates"] == runs[1]["comparison"]["rates"]


def test_two_switches_give_two_different_trainings(studies):
    first, second = (torch.load(studies / "trunk" / f"AtEpoch(epoch={e})-0.0-7-resumed.pt") for e in (2, 4))
    assert not torch.equal(first["network.0.weight"], second["network.0.weight"])


def test_a_branch_counts_the_samples_of_the_whole_run_without_annealing_whatever_the_config_says(study):
    full, cheap = 3 * N, int(N * FRACTION_AFTER)
    assert drawn(record(study, "full")) == [full] * EPOCHS
    for epoch in SWITCHES:
        found = record(study, f"epoch-{epoch}")
        assert drawn(found) == [full] * epoch + [cheap] * (EPOCHS - epoch)
        assert found["measured"]["samples"] == sum(drawn(found))
    annealed = drawn(record(study, "rule-annealing-0.5"))
    back = RULE_FIRES + math.ceil((EPOCHS - RULE_FIRES) / 2)
    assert annealed == [full] * RULE_FIRES + [cheap] * (back - RULE_FIRES) + [full] * (EPOCHS - back)


def test_the_rule_is_asked_on_the_full_run_and_switches_there_as_it_would_have_itself(study, studies):
    sweep = load(study)
    assert sweep.choices == {7: RULE_FIRES, 8: RULE_FIRES}
    assert record(study, "rule")["decision"]["end_epoch"] == RULE_FIRES
    # AtEpoch(3) is this config's own rule: the trained switch is the run that the config itself makes.
    assert record(study, "rule")["comparison"]["filled"]["critical_period"]["rule"]["init_args"] == {
        "epoch": RULE_FIRES
    }


def test_a_rule_that_reads_the_signal_sees_no_later_epoch(study):
    found = load_run(study / "full" / "seed-7.json")
    signal_of = found.record.history
    rule = Slope(window=2, max_angle=30.0)
    fires = [e + 1 for e in range(EPOCHS - 1) if rule({k: signal_of[k] for k in range(e + 1)}, EPOCHS)]
    assert rule_epoch(rule, found) == (fires[0] if fires else None)
    epochs = found.record.epochs
    last = dataclasses.replace(epochs[-1], signal=1e6)
    changed = dataclasses.replace(found.record, epochs=(*epochs[:-1], last))
    assert rule_epoch(rule, dataclasses.replace(found, record=changed)) == (fires[0] if fires else None)


def test_the_detector_sees_no_test_data(study):
    """What the runs recorded while they trained holds no value of the test set."""
    for file in study.glob("*/seed-*.json"):
        found = json.loads(file.read_text())
        assert found["metrics"]["test"]
        assert not [name for epoch in found["epochs"] for name in epoch["metrics"] if name.startswith("test")]


def test_no_checkpoint_stays_behind(studies):
    assert not list(studies.rglob("*.ckpt"))
    assert not list(studies.rglob(".checkpoints"))


def test_the_trunk_keeps_the_epochs_of_the_grid_and_that_of_the_rule_and_no_other(tmp_path, monkeypatch):
    seen, ended = [], BranchJobs.ended

    def look(jobs, arm, seed):
        seen.append({file.name for file in (tmp_path / "blobs" / ".checkpoints").rglob("*.*")})
        ended(jobs, arm, seed)

    monkeypatch.setattr(BranchJobs, "ended", look)
    arguments = ("--switch-epochs", 4, "--annealing", 0.5, "--seeds", 1, "--results", tmp_path)
    assert oracle(monkeypatch, "--config", written(tmp_path), *arguments) == 0
    assert seen == [{"epoch-4.ckpt", f"epoch-{RULE_FIRES}.ckpt"}] * 4


def test_differences_are_paired_by_seed_and_the_saving_is_that_of_whole_runs(study):
    sweep = load(study)
    assert [point.epoch for point in sweep.switches] == list(SWITCHES)
    accuracy = {
        arm: [100 * record(study, arm, seed)["metrics"]["test"]["test_acc"] for seed in (7, 8)]
        for arm in ("full", "epoch-2", "rule", "rule-annealing-0.5")
    }
    point = sweep.switches[1]
    d = np.subtract(accuracy["epoch-2"], accuracy["full"])
    half = 12.706204736432095 * d.std(ddof=1) / math.sqrt(2)  # t(0.975, 1), from a table
    assert point.to_full.mean == pytest.approx(d.mean())
    assert point.to_full.t == pytest.approx((d.mean() - half, d.mean() + half))
    assert point.row.mean == pytest.approx(np.mean(accuracy["epoch-2"]))
    assert point.saved == pytest.approx(1 - (2 * 3 + 4 * FRACTION_AFTER) / (6 * 3))
    assert point.row.passes == pytest.approx(2 * 3 + 4 * FRACTION_AFTER)
    (points,) = sweep.annealed.values()
    assert [p.annealing for p in points] == [0, 0.5]
    e = np.subtract(accuracy["rule-annealing-0.5"], accuracy["rule"])
    assert f"{e.mean():+.2f}" in (study / "table.md").read_text().split("## Figure 2")[1]


def test_a_sweep_by_a_loss_calls_worse_what_is_higher(study, tmp_path):
    copy = Path(shutil.copytree(study, tmp_path / "blobs"))
    known = json.loads((copy / "study.json").read_text())
    (copy / "study.json").write_text(json.dumps({**known, "metric": "test_loss", "mode": "min"}))
    sweep = load(copy)
    loss = {
        arm: np.array([record(study, arm, seed)["metrics"]["test"]["test_loss"] for seed in (7, 8)])
        for arm in ("full", *(f"epoch-{epoch}" for epoch in SWITCHES))
    }
    half = 12.706204736432095 / math.sqrt(2)  # t(0.975, 1), from a table
    more = {epoch: loss[f"epoch-{epoch}"] - loss["full"] for epoch in SWITCHES}
    worse = [str(epoch) for epoch, d in more.items() if d.mean() - half * d.std(ddof=1) > 0]
    said = [text for text in findings(sweep) if text.startswith("Worse than the full recipe")]
    expected = [f"Worse than the full recipe, by the whole interval: switches at {', '.join(worse)}."]
    assert said == (expected if worse else [])
    assert [point.to_full.mean for point in sweep.switches] == pytest.approx([d.mean() for d in more.values()])
    assert "test_loss" in switch_cells(sweep)[0]
    assert figure1(sweep).axes[0].get_ylabel() == "test_loss (lower is better)"
    assert figure1(sweep).axes[1].get_ylabel() == "against full, lower is better"


def test_the_table_says_what_the_points_are_and_that_they_are_not_independent(study):
    page = (study / "table.md").read_text()
    assert "not independent" in page
    assert "without annealing" in page
    assert "would switch at epoch 3 (seed 7), 3 (seed 8)" in page
    assert "torch" in page.split("## Hardware and versions")[1]
    resumed = sum(
        record(study, f.parent.name, int(f.stem[5:]))["comparison"]["resumed"] for f in study.glob("*/*.json")
    )
    assert f"{resumed} of {len(list(study.glob('*/*.json')))} runs went on from a checkpoint" in page


def test_the_figures_show_every_point_where_it_is(study):
    sweep = load(study)
    figure = figure1(sweep)
    above, _, second = figure.axes
    (line,) = [line for line in above.lines if len(line.get_xdata()) == len(SWITCHES) + 1]
    assert list(line.get_xdata()) == [*SWITCHES, EPOCHS]
    assert list(line.get_ydata()) == [point.row.mean for point in [*sweep.switches, sweep.full]]
    full, cheap = usual_seconds(study, 3 * N), usual_seconds(study, int(N * FRACTION_AFTER))
    seconds = [e * full + (EPOCHS - e) * cheap for e in [*SWITCHES, EPOCHS]]
    expected = [100 * (value / min(seconds) - 1) for value in seconds]
    assert list(second.lines[0].get_ydata()) == pytest.approx(expected)
    assert any(set(line.get_xdata()) == {RULE_FIRES} for line in above.lines)
    assert [text for text in figure.texts if "not independent" in text.get_text()]
    (panel,) = figure2(sweep).axes
    (line,) = [line for line in panel.lines if list(line.get_xdata()) == [0, 0.5]]
    none, half = next(iter(sweep.annealed.values()))
    assert list(line.get_ydata()) == [0, pytest.approx(half.row.mean - none.row.mean)]


def test_a_study_redrawn_from_its_records_is_the_same(study, tmp_path):
    copy = Path(shutil.copytree(study, tmp_path / "blobs"))
    names = ("table.md", "figure1.svg", "figure2.svg")
    before = {name: (copy / name).read_text() for name in names}
    for name in names:
        (copy / name).unlink()
    redraw(copy)
    assert {name: (copy / name).read_text() for name in names} == before


def test_finished_runs_are_not_run_again_and_later_epochs_are_added_from_scratch(studies, tmp_path, monkeypatch):
    copy = Path(shutil.copytree(studies / "trunk", tmp_path / "trunk"))
    before = {file: file.stat().st_mtime_ns for file in copy.glob("blobs/*/seed-*.json")}
    arguments = ("--config", copy / "blobs.yaml", "--seeds", 1, "--results", copy)
    assert oracle(monkeypatch, *arguments, "--switch-epochs", *SWITCHES, 5) == 0
    assert {file: file.stat().st_mtime_ns for file in before} == before
    added = record(copy / "blobs", "epoch-5")
    assert not added["comparison"]["resumed"]
    assert drawn(added) == [3 * N] * 5 + [int(N * FRACTION_AFTER)]
    assert [point.epoch for point in load(copy / "blobs").switches] == [*SWITCHES, 5]


@pytest.mark.slow
def test_a_killed_oracle_goes_on_with_its_branches(studies, tmp_path, monkeypatch):
    config = written(tmp_path)
    arguments = ["--config", str(config), "--switch-epochs", "2", "4", "--seeds", "1", "--results", str(tmp_path)]
    paths = os.pathsep.join(str(Path(__file__).parents[level]) for level in (0, 1))
    process = subprocess.Popen(
        [sys.executable, "-m", "lightning_critperiod", "oracle", *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    full = tmp_path / "blobs" / "full" / "seed-7.json"
    while process.poll() is None and not full.is_file():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = full.read_bytes()
    assert not (tmp_path / "blobs" / "epoch-4").exists()
    assert oracle(monkeypatch, *arguments) == 0
    assert full.read_bytes() == before
    assert record(tmp_path / "blobs", "epoch-4")["comparison"]["resumed"]
    assert (
        record(tmp_path / "blobs", "epoch-4")["metrics"] == record(studies / "scratch" / "blobs", "epoch-4")["metrics"]
    )


def test_a_rule_that_never_fires_has_no_switch_to_anneal_after(tmp_path, monkeypatch, capsys):
    critical_period = {**CONFIG["critical_period"], "rule": {"class_path": "lightning_critperiod.Never"}}
    config = written(tmp_path, critical_period=critical_period)
    arguments = ("--config", config, "--switch-epochs", 2, "--seeds", 1, "--results", tmp_path)
    assert oracle(monkeypatch, *arguments, "--annealing", 0.5) == 1
    assert "the rule never fires in the full run of this seed" in capsys.readouterr().out
    assert load(tmp_path / "blobs").choices == {7: None}
    assert "the rule never fires" in figure1(load(tmp_path / "blobs")).axes[0].get_title(loc="left")
    assert oracle(monkeypatch, *arguments, "--annealing", 0.5, "--at", 2) == 0
    assert list(load(tmp_path / "blobs").annealed) == [2]


def test_the_default_grid_is_eight_epochs_evenly_over_the_run():
    assert default_epochs(200) == [22, 44, 67, 89, 111, 133, 156, 178]
    assert default_epochs(2) == [1]
    assert default_epochs(1) == []


@pytest.mark.parametrize(
    ("arguments", "more", "message"),
    [
        (["--switch-epochs", 2, 6], {}, r"must be from 0 to 5 \(max_epochs 6\), got 6"),
        (["--switch-epochs", -1], {}, "must be from 0 to 5"),
        (["--switch-epochs", 2, 2], {}, "switch-epochs must be different from each other, got 2 twice"),
        (["--switch-epochs", 2.5], {}, "2.5"),
        (["--annealing", 0.5, 1.5], {}, "annealing must be a number from 0 to 1, got 1.5"),
        (["--annealing", 0.5, 0.5], {}, "annealing must be different from each other, got 0.5 twice"),
        (["--annealing", 0.5, "--at", 9], {}, "must be from 0 to 5"),
        (["--at", 3], {}, "give --annealing too"),
        (["--seeds", 0], {}, "seeds must be an int from 1 up"),
        (["--from", "the middle"], {}, "invalid choice"),
        ([], {"data": {"class_path": "test_compare.Untested"}}, "must have a test set"),
        (
            [],
            {"critical_period": {"recipe": {"after": {"augmentation_multiplier": 3.0, "pruning_ratio": 0.0}}}},
            "nothing changes at a switch",
        ),
        (
            [],
            {"trainer": {"callbacks": [{"class_path": "lightning_critperiod.CriticalPeriodCallback"}]}},
            "write its arguments under critical_period",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, arguments, more, message):
    results = ("--results", tmp_path / "results")
    assert oracle(monkeypatch, "--config", written(tmp_path, **more), *arguments, *results) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(f"^critperiod: error: .*{message}", line)
    assert not (tmp_path / "results").exists()


def test_the_results_of_another_config_or_of_a_comparison_are_refused(studies, tmp_path, monkeypatch, capsys):
    before = sorted(studies.rglob("*"))
    other = written(tmp_path, seed_everything=8)
    assert oracle(monkeypatch, "--config", other, "--results", studies / "trunk") == 2
    assert "holds the results of another config" in capsys.readouterr().err
    assert sorted(studies.rglob("*")) == before
    monkeypatch.setattr(
        sys, "argv", ["critperiod", "compare", "--config", str(other), "--results", str(studies / "trunk")]
    )
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "holds the results of another" in capsys.readouterr().err


def test_a_folder_without_a_full_run_has_nothing_to_compare_with(study, tmp_path):
    copy = Path(shutil.copytree(study, tmp_path / "blobs"))
    shutil.rmtree(copy / "full")
    with pytest.raises(ValueError, match="has no record of the full recipe"):
        load(copy)
