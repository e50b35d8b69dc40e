"""The examples run as a user runs them, with our line and without it, and print what their reports say."""

import contextlib
import importlib.util
import io
import json
import re
import runpy
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import rich
import torch
from fresh import Python

FOLDER = Path(__file__).parents[1] / "examples"
# name -> its metric, and what it must reach: at least for an accuracy, at most for a distance
FLOORS = {
    "image_classification": ("val_acc", 0.95),
    "language_model": ("val_bits", 3.8),
    "tabular": ("val_acc", 0.93),
    "gan": ("val_distance", 0.6),
    "fine_tuning": ("val_acc", 0.93),
}


@dataclass(frozen=True)
class Ran:
    """What a script printed, and the report that it left, if any."""

    printed: str
    report: dict | None

    def cells(self, name):
        """Of the row of a printed table; Lightning's tables have one value a row."""
        (row,) = [line for line in self.printed.splitlines() if re.match(rf"│ +{name}( \(.* weights\))? +│", line)][:1]
        return [cell.strip() for cell in row.strip("│").split("│")[1:]]


def reports(folder):
    return [json.loads(file.read_text()) for file in Path(folder).rglob("report.json")]


@cache
def ran(name, *flags, **environment):
    """A script in this process, in an empty folder of its own: start-up is most of the time of a small run."""
    with TemporaryDirectory() as folder:
        printed = run(folder, f"{name}.py", *flags, **environment)
        left = sorted(path.name for path in Path(folder).rglob("report.*"))
        assert left in ([], ["report.html", "report.json", "report.md"])
        return Ran(printed, *(reports(folder) or [None]))


def run(folder, script, *words, **environment):
    """What a script prints."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        for variable, value in environment.items():
            patch.setenv(variable, value)
        patch.chdir(folder)
        patch.setattr(sys, "argv", [script, *words])
        rich.reconfigure()  # a progress bar of another test leaves its own console behind, and Lightning prints there
        with contextlib.redirect_stdout(io.StringIO()) as out:
            runpy.run_path(str(FOLDER / script), run_name="__main__")
        return out.getvalue()


@pytest.mark.filterwarnings("ignore:The number of training batches")  # fewer than the steps from log to log
@pytest.mark.parametrize("name", FLOORS)
def test_without_our_line_an_example_leaves_no_trace_of_us(name):
    """Two batches an epoch are enough for one."""
    plain = ran(name, "--plain", PL_TRAINER_LIMIT_TRAIN_BATCHES="2")
    assert plain.report is None
    assert "ritical period" not in plain.printed


@pytest.mark.parametrize("name", FLOORS)
def test_an_example_prints_the_costs_and_metrics_of_its_report(name):
    ours = ran(name)
    measured, projected = ours.report["measured"], ours.report["projected"]
    assert ours.cells("samples drawn")[:2] == [f"{measured['samples']:,}", f"{projected['samples']:,}"]
    assert ours.cells("time")[0] == f"{measured['seconds']:,.1f} s"
    for metric, value in ours.report["metrics"]["validation"].items():
        assert ours.cells(metric)[0] == f"{value:.4g}"


@pytest.mark.parametrize(("name", "metric", "floor"), [(name, *found) for name, found in FLOORS.items()])
def test_an_example_learns(name, metric, floor):
    value = ran(name).report["metrics"]["validation"][metric]
    assert value >= floor if metric == "val_acc" else value <= floor


def test_image_classification_draws_one_view_after_the_period_and_three_at_the_end():
    epochs = ran("image_classification").report["epochs"]
    samples = [epoch["samples"] for epoch in epochs]
    assert {epoch["phase"]: epoch["samples"] for epoch in epochs} == {"during": 3600, "after": 1200, "annealing": 3600}
    assert samples[0] == samples[-1] == 3600


def test_the_language_model_ends_early_with_a_decayed_learning_rate():
    run, epochs = ran("language_model").report["run"], ran("language_model").report["epochs"]
    assert run["epochs_done"] < run["max_epochs"]
    assert epochs[-1]["learning_rate"] < 0.1 * epochs[0]["learning_rate"]


def test_the_observed_model_is_the_same_with_and_without_us():
    assert ran("tabular").report["decision"]["observe_only"] is True
    for metric in ("test_acc", "test_loss"):
        assert ran("tabular").cells(metric) == ran("tabular", "--plain").cells(metric)


def test_the_gan_takes_fewer_steps_of_the_critic_after_the_period_and_all_data_all_the_time():
    epochs = ran("gan").report["epochs"]
    steps = {epoch["phase"]: epoch["settings"]["phased/critic_steps"] for epoch in epochs}
    assert steps == {"during": 3, "after": 1, "annealing": 3}
    assert len({epoch["samples"] for epoch in epochs}) == 1


def test_fine_tuning_draws_half_only_after_the_backbone_thawed():
    epochs = ran("fine_tuning").report["epochs"]
    halved = [epoch["epoch"] for epoch in epochs if epoch["samples"] == 300]
    assert halved
    assert min(halved) > 6


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project of the command line, copied: it writes beside its configs."""
    return Path(shutil.copytree(FOLDER / "lightning_cli", tmp_path_factory.mktemp("examples") / "lightning_cli"))


def words(group):
    files = ("base", "data/noisy", "model/wide", *([f"critperiod/{group}"] if group else []))
    version = f"--trainer.logger.init_args.version={group}"
    return ["fit", *(word for file in files for word in ("-c", f"configs/{file}.yaml")), version]


@pytest.mark.filterwarnings(
    "ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"
)  # of LightningCLI's calls
@pytest.mark.parametrize("group", [None, "observe"])
def test_a_config_group_adds_our_line_to_a_command_line(project, group):
    printed = run(project, "lightning_cli/main.py", *words(group))
    folder = project / "runs" / "lightning_cli" / str(group)
    assert (folder / "metrics.csv").is_file()
    assert len(reports(folder)) == bool(group)
    for report in reports(folder):
        assert Ran(printed, report).cells("samples drawn")[0] == f"{report['measured']['samples']:,}"
        assert report["decision"]["observe_only"] is True
        assert report["run"]["epochs_done"] == 40


def test_another_config_group_ends_the_run_early(project):
    status, out, err = Python("main.py", *words("cooldown"), folder=project).finish()
    assert status == 0, err
    (report,) = reports(project / "runs" / "lightning_cli" / "cooldown")
    assert Ran(out, report).cells("samples drawn")[0] == f"{report['measured']['samples']:,}"
    assert report["metrics"]["validation"]["val_error"] < 0.2  # the noise is 0.1
    assert report["run"]["epochs_done"] < 40


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_plain_torch_loop_draws_less_in_the_epochs_after_the_period_and_only_there():
    detector, drawn, accuracy = load("plain_torch").train(epochs=16)
    end = detector.end_epoch
    assert end is not None
    annealing = end + -(-(16 - end) * 7 // 8)
    assert drawn == [980 if end <= epoch < min(annealing, 15) else 1400 for epoch in range(16)]
    assert accuracy > 0.85


def test_a_fabric_loop_ends_when_the_rule_fires():
    detector, epochs = load("fabric_loop").train(most_epochs=60)
    assert detector.end_epoch == epochs < 60
    losses = detector.history
    best = min(losses, key=losses.get)
    assert epochs - 1 - best >= 3


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: file.stem)
def test_an_example_is_short_and_the_readme_names_it(file):
    assert len(file.read_text().splitlines()) <= 120
    assert str(file.relative_to(FOLDER)) in (FOLDER / "README.md").read_text()
