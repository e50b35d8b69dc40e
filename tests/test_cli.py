import csv
import json
from pathlib import Path

import pytest

from lightning_critperiod.cli import main

ROOT = Path(__file__).parents[1]
DIGITS = str(ROOT / "configs" / "digits.yaml")
SHORT = ["--trainer.max_epochs=3", "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]

pytestmark = pytest.mark.filterwarnings("ignore")  # the command line of a user does not turn warnings into errors


@pytest.fixture
def critperiod(tmp_path, monkeypatch):
    """Run the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["critperiod", *words])
        main()

    return run


def test_fit_trains_on_the_digits_and_leaves_a_run_folder(critperiod, tmp_path, capsys):
    critperiod("fit", "--config", DIGITS, *SHORT, "--critical_period.rule=AtEpoch", "--critical_period.rule.epoch=1")
    out = capsys.readouterr().out
    folder = tmp_path / "runs" / "digits" / "version_0"
    record = json.loads((folder / "report.json").read_text())
    assert record["status"] == "completed"
    assert record["decision"]["end_epoch"] == 1
    assert {"val_acc", "val_loss"} <= set(record["metrics"]["validation"])
    assert {"test_acc", "test_loss"} <= set(record["metrics"]["test"])
    assert list(folder.rglob("*.ckpt"))
    assert (folder / "config.yaml").is_file()
    with (folder / "metrics.csv").open() as file:
        over = [row["critical_period/over"] for row in csv.DictReader(file) if row["critical_period/over"]]
    assert [float(value) for value in over] == [1, 1, 1]
    n = 1150
    assert [epoch["samples"] for epoch in record["epochs"]] == [3 * n, 805, 805]
    for word in ("Critical period over after epoch 0", "measured", "projected full recipe", "kWh", "USD", "test_acc"):
        assert word in out


BAD = {
    "pruning_ratio must be a number from 0 and below 1, got 1.0": ["--critical_period.recipe.after.pruning_ratio=1"],
    "augmentation_multiplier must be a number above 0, got -2.0": ["--data.augmentation_multiplier=-2"],
    "annealing_fraction must be a number from 0 to 1, got 2.0": ["--critical_period.recipe.annealing_fraction=2"],
    "augmentation_multiplier must be a number above 0, got nan": ["--data.augmentation_multiplier=.nan"],
    "price_per_kwh must be a number from 0, got -1.0": ["--costs.price_per_kwh=-1"],
    "got 'QQQ'": ["--costs.country_iso_code=QQQ"],
    "Option 'windo' is not accepted": ["--critical_period.rule.windo=3"],
    "lr_policy": ["--critical_period.lr_policy=keep"],
    "AtEpoch(epoch=9) is past the end: max_epochs=3": [
        "--critical_period.rule=AtEpoch",
        "--critical_period.rule.epoch=9",
    ],
    "max_epochs must be the number of epochs of the run, got -1": ["--trainer.max_epochs=-1", "--trainer.max_steps=9"],
    "nowhere.yaml'": ["--config=nowhere.yaml"],
}


@pytest.mark.parametrize(("text", "words"), BAD.items(), ids=BAD)
def test_bad_input_is_one_line_and_no_training(critperiod, tmp_path, capsys, text, words):
    with pytest.raises(SystemExit) as end:
        critperiod("fit", "--config", DIGITS, *SHORT, *words)
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("critperiod: error:")]
    assert end.value.code == 2
    assert len(errors) == 1
    assert text in errors[0]
    assert "Traceback" not in captured.err + captured.out
    assert not list(tmp_path.rglob("*.ckpt"))


def test_an_error_in_mid_run_keeps_its_traceback_and_leaves_the_report(critperiod, tmp_path, monkeypatch):
    from lightning_critperiod.models import ImageClassifier

    def breaks(self):
        if self.current_epoch == 1:
            raise ValueError("on purpose")

    monkeypatch.setattr(ImageClassifier, "on_train_epoch_end", breaks)
    with pytest.raises(ValueError, match="on purpose"):
        critperiod("fit", "--config", DIGITS, *SHORT)
    record = json.loads((tmp_path / "runs" / "digits" / "version_0" / "report.json").read_text())
    assert record["status"] == "interrupted"
    assert "on purpose" in record["error"]
    assert len(record["epochs"]) == 2


def test_print_config_shows_every_argument(critperiod, capsys):
    with pytest.raises(SystemExit) as end:
        critperiod("fit", "--config", DIGITS, "--print_config")
    out = capsys.readouterr().out
    assert end.value.code in {0, None}
    for name in ("critical_period:", "signal:", "rule:", "window: 5", "recipe:", "annealing_fraction: 0.125", "costs:"):
        assert name in out


def test_a_callback_listed_under_the_trainer_takes_the_place_of_ours(critperiod, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        "trainer:\n  callbacks:\n    - class_path: lightning_critperiod.CriticalPeriodCallback\n"
        "      init_args: {rule: lightning_critperiod.Never}\n"
    )
    critperiod("fit", "--config", DIGITS, "--config", str(own), *SHORT, "--trainer.max_epochs=1")
    record = json.loads((tmp_path / "runs" / "digits" / "version_0" / "report.json").read_text())
    assert record["decision"]["rule_name"] == "Never"
