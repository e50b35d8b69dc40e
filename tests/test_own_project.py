"""`compare` and `oracle` in a project of a user's own: a plain LightningCLI config, a metric that is no accuracy."""

import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from fresh import SERVER
from own_project import CONFIG

from lightning_critperiod.cli import main
from lightning_critperiod.studies import pools
from lightning_critperiod.studies.oracle.sweep import load

pytestmark = pytest.mark.filterwarnings("ignore")  # the command line of a user does not turn warnings into errors

FROZEN = "# Learns nothing.\noptimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.0}}\n"
OWN_RULE = {"class_path": "own_project.After", "init_args": {"epochs": 1}}
NESTED = {
    "class_path": "lightning_critperiod.Patient",
    "init_args": {"rule": {"class_path": "lightning_critperiod.AtEpoch", "init_args": {"epoch": 1}}, "epochs": 2},
}


def written(folder, **changes):
    file = folder / "waves.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(CONFIG) | changes))
    return str(file)


def critperiod(monkeypatch, *arguments):
    """The command line in this process; hands back the exit status."""
    monkeypatch.setattr(sys, "argv", ["critperiod", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def record(folder, arm, seed=3):
    return json.loads((folder / arm / f"seed-{seed}.json").read_text())


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison with two seeds: what it printed, and its folder."""
    folder = tmp_path_factory.mktemp("compared")
    (folder / "frozen.yaml").write_text(FROZEN)
    arms = ["--arms", "ours", "full", "early_stopping", "infobatch", folder / "frozen.yaml"]
    options = ["--metric", "test/fit", "--margin", "0.2", "--seeds", 2, "--results", folder]
    with pytest.MonkeyPatch.context() as patch:
        capture = io.StringIO()
        patch.setattr(sys, "stdout", capture)
        status = critperiod(patch, "compare", "--config", written(folder), *arms, *options)
    assert status == 0
    return capture.getvalue(), folder / "waves"


def test_it_says_first_which_direction_it_took_and_from_where(compared):
    said, _ = compared
    assert "test/fit: lower is better (mode 'min' of ModelCheckpoint on val/fit)" in said
    assert "the margin is 0.2 in test/fit" in said
    assert "Here it acts: Slope(" in said  # the config has no rule and no recipe


def test_the_arm_that_learns_nothing_is_last_and_the_table_knows_no_accuracy(compared):
    _, folder = compared
    table = (folder / "table.md").read_text()
    lines = [line.split("|")[1].strip() for line in table.split("\n\n")[2].splitlines()[2:]]
    assert lines[-1] == "frozen"
    errors = {arm: record(folder, arm)["metrics"]["test"]["test/fit"] for arm in lines}
    assert errors["frozen"] > 2 * errors["full"]
    assert "| test/fit |" in table
    assert not re.search(r"accuracy|points|test/fit %", table)
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["metric"], summary["mode"], summary["margin"]) == ("test/fit", "min", 0.2)


def test_functions_that_build_module_and_data_make_the_same_runs_as_their_classes(compared, tmp_path, monkeypatch):
    config = written(tmp_path, model={"class_path": "own_project.net"}, data={"class_path": "own_project.waves"})
    for width in (4, 5):
        text = f"model: {{class_path: own_project.net, init_args: {{width: {width}}}}}\n"
        (tmp_path / f"width_{width}.yaml").write_text(text)
    arms = ["--arms", tmp_path / "width_4.yaml", tmp_path / "width_5.yaml"]
    options = ["--metric", "test/fit", "--margin", "0.2", "--seeds", 1, "--results", tmp_path / "results"]
    assert critperiod(monkeypatch, "compare", "--config", config, *arms, *options) == 0
    _, folder = compared
    ours = record(folder, "ours")["metrics"]["test"]
    assert record(tmp_path / "results" / "waves", "width_4")["metrics"]["test"] == ours
    assert record(tmp_path / "results" / "waves", "width_5")["metrics"]["test"] != ours


def test_an_observer_by_default_acts_in_a_study(compared):
    _, folder = compared
    assert record(folder, "ours")["decision"]["observe_only"] is False


def test_early_stopping_watches_what_the_config_watches(compared):
    _, folder = compared
    callbacks = record(folder, "early_stopping")["comparison"]["filled"]["trainer"]["callbacks+"]
    assert callbacks[0]["init_args"] == {"monitor": "val/fit", "mode": "min"}


def test_a_baseline_that_does_not_exist_for_the_project_is_left_out_and_no_failure(compared):
    said, folder = compared
    assert "infobatch, seed 3 left out: InfoBatch prunes by the cross-entropy" in said
    assert not (folder / "infobatch").exists()


@pytest.mark.parametrize(
    ("rule", "fires", "words"),
    [
        (OWN_RULE, 1, "After(epochs=1)"),
        (NESTED, 2, "Patient(rule=AtEpoch(epoch=1), epochs=2)"),
    ],
    ids=["no dataclass", "a rule that holds a rule"],
)
def test_the_rule_of_a_study_is_the_one_of_the_config_with_its_arguments(rule, fires, words, tmp_path, monkeypatch):
    """In a worker of its own, too."""
    monkeypatch.setattr(pools, "multiprocessing", SimpleNamespace(get_context=lambda _: SERVER))  # begins faster
    trainer = {**yaml.safe_load(CONFIG)["trainer"], "callbacks": None, "enable_checkpointing": False}
    config = written(tmp_path, critical_period={"rule": rule}, trainer=trainer)
    options = ("--metric", "test/fit", "--mode", "min", "--seeds", 1, "--results")
    assert critperiod(monkeypatch, "compare", "--config", config, "--arms", "ours,placebo", *options, tmp_path) == 0
    for arm in ("ours", "placebo"):
        assert record(tmp_path / "waves", arm)["decision"]["end_epoch"] == fires
    oracle = ("oracle", "--config", config, "--switch-epochs", "[3]", "--annealing", 0, "--workers", 2)
    assert critperiod(monkeypatch, *oracle, *options, tmp_path / "oracle") == 0
    study = json.loads((tmp_path / "oracle" / "waves" / "study.json").read_text())
    assert study["rule"] == rule
    sweep = load(tmp_path / "oracle" / "waves")
    assert sweep.rule == words
    assert sweep.choices == {3: fires}
    assert sweep.metric.mode == "min"
    assert record(tmp_path / "oracle" / "waves", "rule")["decision"]["end_epoch"] == fires


def test_a_model_with_its_own_data_and_no_seed_is_compared_too(tmp_path, monkeypatch):
    config = written(tmp_path, model={"class_path": "own_project.WithData"}, data=None, seed_everything=True)
    options = ("--arms", "ours", "--metric", "test/fit", "--seeds", 1, "--results", tmp_path)
    assert critperiod(monkeypatch, "compare", "--config", config, *options) == 0
    assert record(tmp_path / "waves", "ours", seed=0)["metrics"]["test"]["test/fit"] > 0


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"trainer": {"max_epochs": 2}}, [], "whether a lower or a higher 'test/fit' is better is not known"),
        ({"model": {"width": 4}}, [], "model must have a class_path"),
        ({"model": {"class_path": "own_project.Untested"}}, [], "the model must have a test_step"),
        ({"trainer": {"max_steps": 9}}, [], "max_epochs must be the number of epochs"),
        ({"ckpt_path": "last.ckpt"}, [], "trains from the beginning, take ckpt_path out"),
        ({"critical_period": {"observe_only": True}}, ["--mode", "min"], "no arm would change anything"),
        (
            {},
            ["--metric", "val_fit", "--mode", "max"],
            "no test metric 'val_fit' in the test of an untrained model: give --metric one",
        ),
    ],
)
def test_what_no_study_can_be_made_of_is_one_line(tmp_path, monkeypatch, capsys, changes, options, message):
    config = written(tmp_path, **changes)
    given = ("--arms", "k1", "--seeds", 1, "--results", tmp_path, "--metric", "test/fit", *options)
    assert critperiod(monkeypatch, "compare", "--config", config, *given) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("critperiod: error:")]
    assert message in line


def test_a_config_with_stochastic_weight_averaging_failed_by_its_device(tmp_path, monkeypatch, capsys):
    averaging = {
        "class_path": "lightning.pytorch.callbacks.StochasticWeightAveraging",
        "init_args": {"swa_lrs": 0.01, "swa_epoch_start": 1},
    }
    trainer = dict(yaml.safe_load(CONFIG)["trainer"], max_epochs=3, callbacks=[averaging])
    options = ("--arms", "ours", "--seeds", 1, "--results", tmp_path, "--metric", "test/fit", "--mode", "min")
    assert critperiod(monkeypatch, "compare", "--config", written(tmp_path, trainer=trainer), *options) == 0
    assert "Unable to serialize" not in "".join(capsys.readouterr())


def test_the_runs_of_a_study_wrote_over_the_last_checkpoint_of_the_user(tmp_path, monkeypatch):
    trainer = dict(yaml.safe_load(CONFIG)["trainer"], max_epochs=1)
    keeps = {
        "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
        "init_args": {"dirpath": str(tmp_path / "own")},
    }
    keeps["init_args"] |= {"save_last": True, "monitor": "val/fit", "mode": "min"}
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "last.ckpt").write_text("the user's")
    file = written(tmp_path, trainer={**trainer, "callbacks": [keeps], "enable_checkpointing": True})
    options = ("--metric", "test/fit", "--margin", "0.2", "--seeds", 1, "--results", tmp_path, "--arms", "full")
    assert critperiod(monkeypatch, "compare", "--config", file, *options) == 0
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["last.ckpt"]
    assert (tmp_path / "own" / "last.ckpt").read_text() == "the user's"


def test_modules_in_the_working_directory_are_found(tmp_path, monkeypatch, capsys):
    (tmp_path / "here_only.py").write_text(Path(__file__).with_name("own_project.py").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    config = written(tmp_path, model={"class_path": "here_only.Net"}, data={"class_path": "here_only.Waves"})
    options = ("--arms", "k1", "--seeds", 1, "--metric", "test/fit")
    assert critperiod(monkeypatch, "compare", "--config", config, *options) == 0
