"""`compare` and `oracle` with --build: a project whose module, data and Trainer a function of its own makes."""

import io
import json
import os
import sys
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from fresh import SERVER
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from own_project import Net, Waves
from test_levers import Pictures, Pooled
from test_own_project import critperiod, record

from lightning_critperiod import CriticalPeriodCallback
from lightning_critperiod.cli.built_cli import BuiltCLI
from lightning_critperiod.models import ImageClassifier
from lightning_critperiod.studies import pools
from lightning_critperiod.studies.compare.levers.recipe_text import as_lines_of, settings
from lightning_critperiod.studies.compare.levers.recommendation import Recommendation
from lightning_critperiod.studies.config import read
from lightning_critperiod.studies.job import Job, carry_out
from lightning_critperiod.studies.sources import read_sources

pytestmark = pytest.mark.filterwarnings("ignore")  # the command line of a user does not turn warnings into errors

PERIOD = {"rule": {"class_path": "lightning_critperiod.AtEpoch", "init_args": {"epoch": 2}}}
METRIC = ("--metric", "test/fit", "--mode", "min", "--margin", 0.2)


class Own(Net):
    def __init__(self, width: int = 4):
        super().__init__(width)
        self.save_hyperparameters()  # in the checkpoints, which branches of a run go on from

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


def net() -> LightningModule:
    return Own()


def trainer(callbacks=(), **given):
    return Trainer(**{"max_epochs": 4, "accelerator": "cpu", "callbacks": list(callbacks), **given})


def build(seed, overrides):
    callbacks = EMAWeightAveraging(decay=0.5), ModelCheckpoint(monitor="val/fit", mode="min")
    return Own(), Waves(), trainer(callbacks, **overrides)


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "period.yaml").write_text(yaml.safe_dump({"critical_period": PERIOD}))


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison in two processes: what it printed, and the folder that it ran in."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "period.yaml").write_text(yaml.safe_dump({"critical_period": PERIOD}))
    (folder / "steps.yaml").write_text("trainer: {accumulate_grad_batches: 2}\n")
    arms = ("--arms", "ours", "full", "short", "ours_unannealed", "steps.yaml")
    words = ("--build", "test_built_project.build", "--config", "period.yaml", "--seeds", 1, "--workers", 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "multiprocessing", SimpleNamespace(get_context=lambda _: SERVER))  # begins faster
        patch.chdir(folder)
        patch.setattr(sys, "stdout", said := io.StringIO())
        assert critperiod(patch, "compare", *words, *arms, "--metric", "test/fit", "--margin", 0.2) == 0
    return said.getvalue(), folder


def test_a_study_needs_no_config_beside_the_function_and_leaves_only_its_results(in_folder, tmp_path, monkeypatch):
    words = ("--build", "test_built_project.build", "--arms", "ours", "--seeds", 1, *METRIC)
    assert critperiod(monkeypatch, "compare", *words) == 0
    assert record(tmp_path / "results" / "test_built_project.build", "ours", 0)["decision"]["observe_only"] is False
    assert {path.name for path in tmp_path.iterdir()} == {"period.yaml", "results"}


def test_worker_processes_find_the_function_and_arms_change_its_trainer(compared):
    said, folder = compared
    results = folder / "results" / "period"
    assert "test/fit: lower is better (mode 'min' of ModelCheckpoint on val/fit)" in said
    runs = {arm.name: record(results, arm.name, 0) for arm in results.iterdir() if arm.is_dir() and arm.name[0] != "."}
    assert {arm: run["decision"]["end_epoch"] for arm, run in runs.items()} == {
        "ours": 2,
        "full": None,
        "short": None,
        "ours_unannealed": 2,
        "steps": 2,
    }
    assert runs["ours"]["metrics"]["test"] != runs["steps"]["metrics"]["test"]
    assert runs["ours"]["measured"]["samples"] < runs["full"]["measured"]["samples"]


@pytest.fixture(scope="module")
def of_two_functions(tmp_path_factory):
    """The same as `compared` with a function each for module and data; hands back its results."""
    folder = tmp_path_factory.mktemp("two")
    callbacks = [
        {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.5}},
        {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"monitor": "val/fit"}},
    ]
    config = {
        "trainer": {"max_epochs": 4, "accelerator": "cpu", "callbacks": callbacks},
        "model": {"class_path": "test_built_project.net"},
        "data": {"class_path": "own_project.waves"},
        "critical_period": PERIOD,
    }
    (folder / "two.yaml").write_text(yaml.safe_dump(config))
    words = ("--config", folder / "two.yaml", "--results", folder, "--arms", "ours", "full", "ours_unannealed")
    with pytest.MonkeyPatch.context() as patch:
        assert critperiod(patch, "compare", *words, "--seeds", 1, *METRIC) == 0
    return folder / "two"


@pytest.mark.parametrize("arm", ["ours", "full", "ours_unannealed"])
def test_the_same_seed_gives_the_same_metric_as_a_function_each_for_module_and_data(arm, compared, of_two_functions):
    one, two = record(compared[1] / "results" / "period", arm, 0), record(of_two_functions, arm, 0)
    assert one["metrics"]["test"] == two["metrics"]["test"]


def test_saved_hyperparameters_ended_the_branches_of_a_model_that_a_function_makes(of_two_functions):
    assert record(of_two_functions, "ours_unannealed", 0)["comparison"]["resumed"]


def test_the_results_of_another_function_are_not_taken_over(compared, monkeypatch, capsys):
    monkeypatch.chdir(compared[1])
    words = ("--build", "test_built_project.lean", "--config", "period.yaml", "--arms", "ours", *METRIC)
    assert critperiod(monkeypatch, "compare", *words) == 2
    assert "holds the results of another config" in capsys.readouterr().err


def test_runs_of_edited_code_were_mixed_with_those_of_the_code_before_without_a_word(
    in_folder, tmp_path, monkeypatch, capsys
):
    file = tmp_path / "edited_project.py"
    file.write_text("from test_built_project import build\n")
    words = ("compare", "--build", "edited_project.build", "--arms", "ours", *METRIC)
    said = []
    for seeds, seconds in ((1, 0), (2, 3600), (2, 0)):  # the last call has nothing to train
        assert critperiod(monkeypatch, *words, "--seeds", seeds) == 0
        said.append("edited_project.py: edited after" in capsys.readouterr().out)
        later = file.stat().st_mtime + seconds
        os.utime(file, (later, later))
    assert said == [False, False, True]


def lean(seed, overrides):
    return Own(), Waves(), trainer(**overrides)


def test_the_callbacks_of_the_function_stay_and_checkpoints_come_last(in_folder):
    cli = partial(BuiltCLI, "test_built_project.build")
    job = Job(read(read_sources([], "test_built_project.build"), cli).text, "ours", 3, {}, {})
    run = carry_out(job, cli)
    names = [type(callback).__name__ for callback in run.trainer.callbacks]
    assert names[0] == "EMAWeightAveraging"
    assert names[-1] == "ModelCheckpoint"
    assert [name for name in names if name in {"CriticalPeriodCallback", "CostMonitor", "RecordRates"}] == [
        "RecordRates",
        "CriticalPeriodCallback",
        "CostMonitor",
    ]
    assert isinstance(run.trainer.logger, CSVLogger)


def keeps(seed, overrides):
    callbacks = [ModelCheckpoint(dirpath="own", save_last=True), ModelCheckpoint(dirpath="own", monitor="val/fit")]
    return Own(), Waves(), trainer(callbacks, **{"max_epochs": 1, "logger": CSVLogger("own"), **overrides})


def test_the_runs_of_a_study_would_have_written_over_the_checkpoints_of_the_function(in_folder, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "last.ckpt").write_text("the user's")
    words = ("--build", "test_built_project.keeps", "--arms", "ours", "--seeds", 1, *METRIC)
    assert critperiod(monkeypatch, "compare", *words) == 0
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["last.ckpt"]
    assert (tmp_path / "own" / "last.ckpt").read_text() == "the user's"


def test_an_oracle_takes_the_function_too(in_folder, tmp_path, monkeypatch):
    words = ("--build", "test_built_project.build", "--config", "period.yaml", "--switch-epochs", 1, "--seeds", 1)
    assert critperiod(monkeypatch, "oracle", *words, "--metric", "test/fit", "--mode", "min") == 0
    study = json.loads((tmp_path / "results" / "oracle" / "period" / "study.json").read_text())
    assert study["config"] == [{"build": "test_built_project.build"}, {"critical_period": PERIOD}]
    assert record(tmp_path / "results" / "oracle" / "period", "epoch-1", 0)["decision"]["end_epoch"] == 1


def ignores(seed, overrides):
    return Own(), Waves(), trainer()


def keeps_its_length(seed, overrides):
    return Own(), Waves(), trainer(**{**overrides, "max_epochs": 4})


def takes_the_length_only(seed, overrides):
    return Own(), Waves(), trainer(max_epochs=overrides.get("max_epochs", 4))


def twice(seed, overrides):
    return Own(), Waves(), Trainer(max_epochs=4, accelerator="cpu", **overrides)


def of_other_arguments(overrides):
    return build(0, overrides)


def of_loaders(seed, overrides):
    return Own(), Waves().train_dataloader(), trainer(**overrides)


def of_two(seed, overrides):
    return Own(), trainer(**overrides)


def has_ours(seed, overrides):
    return Own(), Waves(), trainer([CriticalPeriodCallback()], **overrides)


def reads_arguments(seed, overrides):
    ArgumentParser().parse_args()
    return build(seed, overrides)


def fast(seed, overrides):
    return Own(), Waves(), trainer(**{"fast_dev_run": True, **overrides})


def endless(seed, overrides):
    return Own(), Waves(), trainer(**{"max_epochs": -1, **overrides})


SHARED = EarlyStopping("val/fit")


def shares(seed, overrides):
    return Own(), Waves(), trainer([SHARED], **overrides)


WHAT = "expected for --build a function by its import path, such as train.build for build in train.py, got"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("build", f"{WHAT} build"),
        ("test_built_project:build", f"{WHAT} test_built_project:build"),
        ("no_such_module.build", "there is no module no_such_module in this folder, and none installed"),
        ("test_built_project.bulid", "the module test_built_project has no function bulid"),
        ("test_built_project.METRIC", "the module test_built_project has no function METRIC"),
        ("test_built_project.of_other_arguments", "must take the arguments (seed, overrides), got (overrides)"),
        ("test_built_project.of_two", "must return (module, data, trainer)"),
        ("test_built_project.of_loaders", "put other loaders into one) and a Trainer of lightning.pytorch, got"),
        ("test_built_project.ignores", "does not follow its overrides, trainer.max_epochs must be 5, got 4: pass them"),
        ("test_built_project.keeps_its_length", "trainer.max_epochs must be 5, got 4: pass them to Trainer after"),
        (
            "test_built_project.takes_the_length_only",
            "its overrides, trainer.logger must be theirs: pass them",
        ),
        ("test_built_project.twice", "twice gives max_epochs beside the overrides, which have it too: pass them to"),
        ("test_built_project.reads_arguments", "ends the program (sys.exit): it must not read the command line, which"),
        ("test_built_project.has_ours", "under critical_period in a --config, and take it out of test_built_project."),
        ("test_built_project.fast", "fast_dev_run leaves no records to compare"),
        ("test_built_project.endless", "trainer.max_epochs must be the number of epochs of a run, got -1"),
        ("test_built_project.shares", "returns the same EarlyStopping in every call, with what the run before left"),
    ],
)
def test_a_function_that_no_study_can_be_made_of_is_refused_in_one_line(name, message, in_folder, monkeypatch, capsys):
    assert critperiod(monkeypatch, "compare", "--build", name, "--arms", "ours", "--seeds", 1, *METRIC) == 2
    *_, line = [line for line in capsys.readouterr().err.splitlines() if line.startswith("critperiod: error:")]
    assert message in line
    assert not Path("results").exists()


@pytest.mark.parametrize("part", ["model", "data", "optimizer"])
def test_a_config_or_an_arm_with_a_part_that_the_function_makes_is_refused(part, in_folder, monkeypatch, capsys):
    Path("part.yaml").write_text(f"{part}: {{class_path: own_project.net}}\n")
    for words in (("--config", "part.yaml", "--arms", "ours"), ("--arms", "ours", "part.yaml")):
        assert critperiod(monkeypatch, "compare", "--build", "test_built_project.build", *words, *METRIC) == 2
        said = capsys.readouterr().err
        assert f"has {part}, which test_built_project.build makes: take it out" in said
        assert "name a function for each of the two in a config" in said


def test_neither_config_nor_function_is_one_line(monkeypatch, capsys):
    assert critperiod(monkeypatch, "compare", "--arms", "ours") == 2
    assert (
        "give --config a config, or --build a function that makes module, data and trainer" in capsys.readouterr().err
    )


def breaks(seed, overrides):
    return build(seed, {"max_epochs": overrides["max_epochs"]})


def test_what_the_function_raises_keeps_its_traceback_and_says_how_it_was_called(in_folder, monkeypatch):
    words = ("compare", "--build", "test_built_project.breaks", "--arms", "ours", *METRIC)
    monkeypatch.setattr(sys, "argv", ["critperiod", *map(str, words)])
    with pytest.raises(ValueError, match=r"breaks raised KeyError with overrides=\{\}: 'max_epochs'") as raised:
        critperiod(monkeypatch, *words)
    assert isinstance(raised.value.__cause__, KeyError)


def pictures(seed, overrides):
    given = {"max_epochs": 3, "accelerator": "cpu", "enable_checkpointing": False, **overrides}
    model = ImageClassifier(Pooled(), partial(torch.optim.SGD, lr=0.1))
    return model, Pictures(), Trainer(**given)


@pytest.fixture(scope="module")
def levers(tmp_path_factory):
    """What a study of levers printed, and its folder."""
    folder = tmp_path_factory.mktemp("levers")
    words = ("--build", "test_built_project.pictures", "--levers", "--seeds", 3, "--margin", 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "stdout", said := io.StringIO())
        assert critperiod(patch, "compare", *words) == 0
    return said.getvalue(), folder / "results" / "test_built_project.pictures-levers"


def test_levers_need_no_config_and_end_with_what_goes_into_the_function(levers):
    said, folder = levers
    assert not (folder / "recommended.yaml").exists()
    lines = (folder / "recommended.py").read_text()
    assert lines in said
    assert "# For test_built_project.pictures, where ... are your own callbacks and other arguments" in lines
    assert lines in (folder / "table.md").read_text()


@pytest.mark.parametrize("lever", ["growing", "cooldown", "growing_cooldown"])
def test_the_python_lines_in_the_function_make_the_run_that_was_measured(lever, levers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    measured = record(levers[1], lever, seed=1)
    given = settings(Recommendation(lever, None, []), measured["comparison"]["filled"], 3)
    exec(as_lines_of("test_built_project.pictures", given, "Recommended."), names := {})
    seed_everything(1, workers=True)
    changes = {"max_epochs": names["max_epochs"], "callbacks": names["callbacks"](), "logger": False}
    model, data, own_trainer = pictures(1, changes)
    own_trainer.fit(model, data)
    assert own_trainer.test(model, data, verbose=False) == [pytest.approx(measured["metrics"]["test"])]
