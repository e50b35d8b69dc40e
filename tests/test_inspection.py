"""``critperiod inspect`` gives the verdicts that a run would have had; bad input is one line."""

import os

import pytest
import torch
from conftest import Declares, TinyModel, make_trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, MonitoredMetric, Plateau, Recipe, Slope, Volume
from lightning_critperiod.cli import main
from lightning_critperiod.inspection.logs import Logs
from lightning_critperiod.inspection.run import read
from lightning_critperiod.inspection.verdict import ask, drawn

EPOCHS, N = 12, 33
RULE = {"slope": Slope(window=3, min_epochs=0), "plateau": Plateau(patience=1)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A real run, observed twice, with CSV, events and checkpoints; and what the callbacks decided."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    callbacks = [
        CriticalPeriodCallback(rule=RULE["slope"], observe_only=True),
        CriticalPeriodCallback(MonitoredMetric("val_loss"), RULE["plateau"], observe_only=True),
        ModelCheckpoint(dirpath=folder / "ckpt", every_n_epochs=1, save_top_k=-1),
        LearningRateMonitor("step"),
    ]
    loggers = [CSVLogger(folder, "csv", version=0), TensorBoardLogger(folder, "tb", version=0)]
    options = {"max_epochs": EPOCHS, "logger": loggers, "enable_checkpointing": True, "log_every_n_steps": 2}
    make_trainer(folder, callbacks, **options).fit(TinyModel(), datamodule=Declares(n=N))
    assert all(callback.end_epoch for callback in callbacks[:2])
    return folder, callbacks


@pytest.fixture
def critperiod(tmp_path, monkeypatch, capsys):
    """Run ``critperiod inspect`` in an empty folder, get what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")

    def inspect(*words):
        monkeypatch.setattr("sys.argv", ["critperiod", "inspect", *map(str, words)])
        main()
        return capsys.readouterr().out

    return inspect


@pytest.fixture
def error_of(critperiod, capsys):
    def inspect(*words):
        with pytest.raises(SystemExit) as end:
            critperiod(*words)
        captured = capsys.readouterr()
        assert end.value.code == 2
        assert "Traceback" not in captured.err + captured.out
        (line,) = captured.err.splitlines()
        return line

    return inspect


def rows_of(out):
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("log", ["csv/version_0", "tb/version_0"])
def test_a_log_gives_the_verdicts_that_the_callbacks_gave(run, log):
    folder, (rotation, plateau, *_) = run
    found = read(folder / log)
    for name, callback in (("layer_rotation", rotation), ("val_loss", plateau)):
        verdict = ask(name, callback.rule, found.logs.signals[name], EPOCHS)
        assert verdict.end_epoch == callback.end_epoch
        assert callback.reason.endswith(verdict.why)
        assert verdict.history == pytest.approx(callback.history)  # logged as float32


def test_the_command_says_what_the_recipe_would_have_drawn(critperiod, run):
    folder, (rotation, *_) = run
    rule = ["--rule=Slope", "--rule.window=3", "--rule.min_epochs=0"]
    recipe = ["--recipe.after.pruning_ratio=0.5", "--recipe.annealing_fraction=0"]
    row = rows_of(critperiod(folder / "csv/version_0", "--signal=layer_rotation", f"--samples={N}", *rule, *recipe))[0]
    end = rotation.end_epoch
    ours, full = 3 * N * end + round(N * 0.5) * (EPOCHS - end), 3 * N * EPOCHS
    assert row[0] == "layer rotation"
    assert row[2] == f"over after epoch {end - 1}"
    assert row[4:] == [f"{ours:,}", f"{full:,}", f"{100 * (1 - ours / full):.1f}%"]


def test_by_default_every_signal_is_asked_about_by_its_rules(critperiod, run):
    folder, _ = run
    rows = rows_of(critperiod(folder / "tb/version_0"))
    found = [(row[0], row[1].partition("(")[0]) for row in rows if row[0]]
    assert found == [("layer rotation", "Slope"), ("val loss", "Plateau"), ("val loss", "Forecast")]


def test_inspecting_changes_nothing_and_writes_only_the_page(critperiod, run, tmp_path):
    folder, _ = run
    before = contents(folder)
    for source in ("csv/version_0", "ckpt"):
        critperiod(folder / source, "--output", "what.html")
    assert contents(folder) == before
    assert os.listdir(tmp_path) == ["what.html"]


def test_the_page_has_the_figures_of_every_verdict(critperiod, run, tmp_path):
    folder, _ = run
    rows = rows_of(critperiod(folder / "csv/version_0", "--samples=33", "--output=what.html"))
    page = (tmp_path / "what.html").read_text()
    verdicts, metrics = len([row for row in rows if row[0]]), 1
    assert page.count("<figure>") == 2 * verdicts + metrics
    assert "fitted line" in page
    assert "Samples, layer rotation, Slope(" in page


def test_a_run_that_was_cut_short_may_still_have_got_a_verdict(critperiod, tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,val_acc\n0,0.1\n1,0.2\n2,0.3\n")
    rows = rows_of(critperiod(".", "--max_epochs=10", "--rule=Plateau"))
    assert rows[0][2:] == ["not over in 3 epochs", "", "-", "10.0", "-"]


def test_test_metrics_are_not_looked_at(error_of, tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,step,test_acc,train_loss\n0,1,0.1,0.5\n1,2,0.2,0.4\n")
    assert read(tmp_path).logs.signals.keys() == {"train_loss"}
    assert "name one with --signal, of train_loss" in error_of(".")
    assert "signal must be one of what was logged, train_loss, got 'test_acc'" in error_of(".", "--signal=test_acc")


def test_the_recipe_that_nobody_gave_is_named_beside_what_it_would_save(critperiod, run):
    folder, _ = run
    said = critperiod(folder / "csv/version_0")
    assert "3 views of every sample during the period, 1 view of 70.0% of the samples after it" in said
    assert "again in the last 12.5% of the remaining epochs" in said
    given = ["--recipe.during.augmentation_multiplier=2", "--recipe.after.pruning_ratio=0"]
    said = critperiod(folder / "csv/version_0", *given, "--recipe.annealing_fraction=0.25")
    assert "2 views of every sample during the period, 1 view of every sample after it" in said
    assert "in the last 25.0% of" in said


def test_a_run_that_switched_says_that_its_later_values_are_of_another_recipe(critperiod, tmp_path, trainer_for):
    callback = CriticalPeriodCallback(rule=AtEpoch(2), recipe=Recipe(annealing_fraction=0))
    trainer_for(callback, logger=CSVLogger(tmp_path, "log", version=0), log_every_n_steps=1).fit(
        TinyModel(), datamodule=Declares()
    )
    assert "From epoch 2 on this run drew another volume" in critperiod("log/version_0")


def test_what_is_drawn_is_the_sum_over_the_epochs_of_the_recipe():
    recipe = Recipe(during=Volume(3), after=Volume(pruning_ratio=0.3), annealing_fraction=0.25)
    assert drawn(recipe, None, 10, 33) == 10 * 99
    assert drawn(recipe, 2, 10, 33) == (2 + 2) * 99 + 6 * 23
    assert drawn(recipe, 2, 10, None) == pytest.approx(4 * 3 + 6 * 0.7)


BAD = {
    "nowhere": "nowhere does not exist",
    "empty": "empty has no metrics.csv, no event file of TensorBoard and no checkpoints",
    "outer": "name one of the 2 runs below it, the newest is outer/version_1",
    "no_epoch": "it has no column 'epoch'",
    "nothing": "it has no column 'epoch'",
    "only_header": "has no value that was logged in an epoch",
    "binary": "is not the log of a run",
    "events": "it has no scalar 'epoch'",
    "one_checkpoint": "has no log and one checkpoint",
    "broken_checkpoints": "cannot be read as a checkpoint of weights and plain values",
    "other_checkpoints": "is no checkpoint of Lightning",
    "objects": "cannot be read as a checkpoint of weights and plain values",
    "two_models": "is of another model than the first checkpoint",
    "one_epoch": "has checkpoints of epoch 0 only",
    "text/notes.txt": "is neither a CSV file nor an event file",
}


def make_bad(folder):
    files = {
        "outer/version_0/metrics.csv": b"epoch\n",
        "outer/version_1/metrics.csv": b"epoch\n",
        "no_epoch/metrics.csv": b"step,val_loss\n1,2\n",
        "nothing/metrics.csv": b"",
        "only_header/metrics.csv": b"epoch,val_loss\n",
        "binary/metrics.csv": bytes(range(256)),
        "events/events.out.tfevents.1.host": b"not events",
        "one_checkpoint/a.ckpt": b"",
        "broken_checkpoints/a.ckpt": b"",
        "broken_checkpoints/b.ckpt": b"PK\x03\x04",
        "text/notes.txt": b"hello",
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    saved = {
        "other_checkpoints/a.ckpt": {"weights": 1},
        "other_checkpoints/b.ckpt": {"weights": 1},
        "objects/a.ckpt": {"epoch": 0, "state_dict": {}, "hyper_parameters": Logs()},
        "objects/b.ckpt": {"epoch": 1, "state_dict": {}, "hyper_parameters": Logs()},
        "two_models/a.ckpt": {"epoch": 0, "state_dict": {"w": torch.ones(2, 2)}},
        "two_models/b.ckpt": {"epoch": 1, "state_dict": {"w": torch.ones(3, 2)}},
        "one_epoch/a.ckpt": {"epoch": 0, "state_dict": {"w": torch.ones(2, 2)}},
        "one_epoch/last.ckpt": {"epoch": 0, "state_dict": {"w": torch.ones(2, 2)}},
    }
    for name, checkpoint in saved.items():
        (folder / name).parent.mkdir(exist_ok=True)
        torch.save(checkpoint, folder / name)
    (folder / "empty").mkdir()


@pytest.mark.parametrize(("name", "error"), BAD.items(), ids=BAD)
def test_a_bad_log_is_one_line(error_of, tmp_path, name, error):
    make_bad(tmp_path)
    line = error_of(name)
    assert line.startswith("critperiod: error: ")
    assert error in line


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("--max_epochs=2", "max_epochs must be at least 3, the epochs that were logged, got 2"),
        ("--max_epochs=-1", "max_epochs must be an int from 1 up"),
        ("--samples=0", "samples must be an int from 1 up"),
        ("--output=a.pdf", "output must be the name of an .html file"),
        ("--rule=Nonsense", "Nonsense"),
        ("--recipe.annealing_fraction=2", "annealing_fraction must be a number from 0 to 1, got 2"),
        ("--signal=val_loss", "signal must be one of what was logged, val_acc"),
        ("--colour=blue", "colour"),
    ],
)
def test_a_wrong_argument_is_one_line(error_of, tmp_path, word, error):
    (tmp_path / "metrics.csv").write_text("epoch,val_acc\n0,0.1\n1,0.2\n2,0.3\n")
    assert error in error_of(".", word)


def test_an_epoch_past_the_end_is_refused(error_of, tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,val_acc\n0,0.1\n1,0.2\n")
    assert "AtEpoch(epoch=5) is past the end" in error_of(".", "--rule=AtEpoch", "--rule.epoch=5")
