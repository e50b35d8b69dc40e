import csv
import json
import sys
import traceback
from importlib.metadata import version
from pathlib import Path

import pytest
from fresh import Python
from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch.utils.data import BatchSampler, DataLoader

from lightning_critperiod.cli import main

ROOT = Path(__file__).parents[1]
DIGITS = str(ROOT / "configs" / "digits.yaml")
SHORT = ["--trainer.max_epochs=3", "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]

KEEPS_CAUSES = pytest.mark.skipif(
    tuple(map(int, version("jsonargparse").split(".")[:2])) < (4, 53),
    reason="this jsonargparse makes text of an error that comes while it imports or makes a class: seen with 4.49",
)

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
    assert [epoch["samples"] for epoch in record["epochs"]] == [3 * n, 805, 3 * n]  # annealing: the last epoch
    assert out.count("samples drawn") == 1
    for word in ("Critical period over after epoch 0", "measured", "projected full recipe", "kWh", "USD", "test_acc"):
        assert word in out
    assert "Assumed, because not given: the grid of USA for CO2 and 0.17 USD per kWh for money." in out


BAD = {
    "pruning_ratio must be a number from 0 and below 1, got 1.0": ["--critical_period.recipe.after.pruning_ratio=1"],
    "augmentation_multiplier must be a number above 0, got -2.0": ["--data.augmentation_multiplier=-2"],
    "annealing_fraction must be a number from 0 to 1, got 2.0": ["--critical_period.recipe.annealing_fraction=2"],
    "batch_size must be an int from 1 up, got 0": ["--data.batch_size=0"],
    "augmentation_multiplier must be a number above 0, got nan": ["--data.augmentation_multiplier=.nan"],
    "price_per_kwh must be a number from 0, got -1.0": ["--costs.price_per_kwh=-1"],
    "got 'QQQ'": ["--costs.country_iso_code=QQQ"],
    "'windo' is not ": ["--critical_period.rule.windo=3"],
    "lr_policy": ["--critical_period.lr_policy=keep"],
    "AtEpoch(epoch=9) is past the end: max_epochs=3": [
        "--critical_period.rule=AtEpoch",
        "--critical_period.rule.epoch=9",
    ],
    "set max_epochs (got -1)": ["--trainer.max_epochs=-1", "--trainer.max_steps=9"],
    "unrecognized arguments: --trainer.max_epoch=3": ["--trainer.max_epoch=3"],  # an abbreviation
    "nowhere.yaml'": ["--config=nowhere.yaml"],
    "there is no rule 'Slop', only AtEpoch, Forecast, ": ["--critical_period.rule=Slop"],
    "Did you mean Slope?": ["--critical_period.rule=Slop"],
    "there is no signal 'Layer', only GradientConfusion, ": ["--critical_period.signal=Layer"],
    "--data: NoData is neither a config file nor the import path of a class, such as lightning": ["--data=NoData"],
    "--model: no.Net is neither a config file nor ": ["--model=no.Net"],
    "(module 'lightning_critperiod.datamodules' has no attribute 'X')": ["--data=lightning_critperiod.datamodules.X"],
}


@pytest.mark.parametrize(("text", "words"), BAD.items(), ids=BAD)
def test_bad_input_is_one_line_and_no_training(critperiod, tmp_path, capsys, text, words):
    with pytest.raises(SystemExit) as end:
        critperiod("fit", "--config", DIGITS, *SHORT, *words)
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("critperiod: error:")]
    assert end.value.code == 2
    assert len(errors) == 1
    assert text.lower() in errors[0].lower()  # jsonargparse 4.41 begins with a capital
    assert "Traceback" not in captured.err + captured.out
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.parametrize("words", [(), ("--trainer.max_epochs=3",)])
def test_a_command_without_a_model_says_how_to_see_one_work(critperiod, capsys, words):
    with pytest.raises(SystemExit) as end:
        critperiod("fit", *words)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no model is given" in line
    assert "critperiod fit --config digits" in line


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


@pytest.mark.parametrize("monitor", ["lightning_critperiod.CostMonitor", "lightning_critperiod.costs.CostMeter"])
def test_a_monitor_and_a_recorder_listed_under_the_trainer_take_the_place_of_ours(
    critperiod, tmp_path, capsys, monitor
):
    own = tmp_path / "own.yaml"
    own.write_text(
        f"trainer:\n  callbacks:\n    - class_path: {monitor}\n      init_args: {{currency: EUR}}\n"
        "    - class_path: lightning_critperiod.RunRecorder\n      init_args: {show: false}\n"
    )
    critperiod("fit", "--config", DIGITS, "--config", str(own), *SHORT, "--trainer.max_epochs=1")
    record = json.loads((tmp_path / "runs" / "digits" / "version_0" / "report.json").read_text())
    assert record["measured"]["currency"] == "EUR"
    assert record["config"] is None
    assert "samples drawn" not in capsys.readouterr().out


def test_images_grow_by_a_config(critperiod, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("""
critical_period:
  recipe:
    changes:
      - class_path: lightning_critperiod.GrowingImages
        init_args:
          sizes: [4, 6, 8]
          key: 0
          rule: {class_path: lightning_critperiod.AtEpoch, init_args: {epoch: 1}}
""")
    critperiod("fit", "--config", DIGITS, "--config", str(own), *SHORT, "--trainer.max_epochs=8")
    record = json.loads((tmp_path / "runs" / "digits" / "version_0" / "report.json").read_text())
    assert record["decision"]["recipe"]["changes"]["image_size"].startswith("during 4 then 6 then 8")


PROJECT = """
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, Dataset
from lightning_critperiod.datamodules import Digits


class Fails(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        raise ValueError("mine: in a worker")


class Data(Digits):
    def __init__(self, fail_in: str = "", batch_size: int = 64, augmentation_multiplier: float = 1.0):
        super().__init__(batch_size=batch_size, augmentation_multiplier=augmentation_multiplier)
        self.fail_in = fail_in

    def setup(self, stage):
        if self.fail_in == "setup":
            raise FileNotFoundError("mine: in setup")
        super().setup(stage)

    def train_dataloader(self):
        if self.fail_in == "train_dataloader":
            raise TypeError("mine: in train_dataloader")
        if self.fail_in == "worker":
            return DataLoader(Fails(), num_workers=1)
        return super().train_dataloader()


class Model(LightningModule):
    def __init__(self, fail_in: str = "", width: int = 10):
        super().__init__()
        if fail_in == "init":
            raise ValueError("mine: in init")
        self.fail_in = fail_in
        self.layer = torch.nn.Linear(64, width)

    def loss(self, batch):
        return torch.nn.functional.cross_entropy(self.layer(batch[0].flatten(1)), batch[1])

    def training_step(self, batch, batch_idx):
        return self.loss(batch)

    def validation_step(self, batch, batch_idx):
        if self.fail_in == "validation_step":
            raise ValueError("mine: in validation_step")
        self.log("val_loss", self.loss(batch))

    def on_fit_start(self):
        if self.fail_in == "log":
            self.log("a", 1.0)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=-1.0 if self.fail_in == "configure_optimizers" else 0.1)
"""
QUIET = ["--trainer.logger=false", "--trainer.accelerator=cpu", "--trainer.enable_checkpointing=false", *SHORT]


@pytest.fixture
def unpatched():
    """Lightning 2.6.6 leaves these two classes patched where the user's train_dataloader raises."""
    methods = ("__init__", "__setattr__", "__delattr__")
    before = [(kind, name, vars(kind).get(name)) for kind in (DataLoader, BatchSampler) for name in methods]
    yield
    for kind, name, method in before:
        if method is not None:
            setattr(kind, name, method)
        elif name in vars(kind):
            delattr(kind, name)
        if f"__old{name}" in vars(kind):
            delattr(kind, f"__old{name}")


@pytest.fixture
def project(critperiod, tmp_path, monkeypatch, unpatched):
    """Run fit with a model and a datamodule of the user's own."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text(PROJECT)

    def fit(*words, model="mine.Model", data="mine.Data"):
        critperiod("fit", f"--model={model}", f"--data={data}", *QUIET, *words)

    yield fit
    sys.modules.pop("mine", None)


USERS = {
    "init": (ValueError, "mine: in init", "--model.fail_in=init"),
    "setup": (FileNotFoundError, "mine: in setup", "--data.fail_in=setup"),
    "configure_optimizers": (ValueError, "Invalid learning rate: -1", "--model.fail_in=configure_optimizers"),
    "train_dataloader": (TypeError, "mine: in train_dataloader", "--data.fail_in=train_dataloader"),
    "validation_step": (ValueError, "mine: in validation_step", "--model.fail_in=validation_step"),
    "log": (MisconfigurationException, "self.log", "--model.fail_in=log"),
}


@pytest.mark.parametrize(
    "where", [pytest.param("init", marks=KEEPS_CAUSES), *(where for where in USERS if where != "init")]
)
def test_an_error_of_the_users_own_code_keeps_its_traceback(project, tmp_path, where):
    """Before the first batch too, and where a library is what raises at their call."""
    error, text, word = USERS[where]
    with pytest.raises(error, match=text) as raised:
        project(word)
    assert f'{tmp_path / "mine.py"}", line' in "".join(traceback.format_exception(raised.value))


def test_an_error_in_a_worker_of_the_users_dataset_keeps_its_traceback(project):
    with pytest.raises(ValueError, match=r"(?s)Original Traceback.*mine\.py.*mine: in a worker"):
        project("--data.fail_in=worker")


@KEEPS_CAUSES
def test_a_module_of_the_user_that_fails_when_it_is_imported_keeps_its_traceback(project, tmp_path):
    (tmp_path / "mine.py").write_text("raise ValueError('mine: on import')\n")
    with pytest.raises((ValueError, ArgumentError)) as raised:
        project()
    assert f'{tmp_path / "mine.py"}", line 1' in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("text", "words", "classes"),
    [
        ("mine.Modell", (), {"model": "mine.Modell"}),
        ("wdth", ("--model.wdth=3",), {}),
        ("many", ("--model.width=many",), {}),
        ("augmentation_multiplier must be a number above 0, got -1.0", ("--data.augmentation_multiplier=-1",), {}),
        ("tpuu", ("--trainer.accelerator=tpuu",), {}),
    ],
)
def test_bad_input_to_the_users_own_classes_is_one_line(project, capsys, text, words, classes):
    with pytest.raises(SystemExit) as end:
        project(*words, **classes)
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.startswith("critperiod: error:")]
    assert end.value.code == 2
    assert text in line
    assert "Traceback" not in captured.err + captured.out


def test_a_traceback_reaches_the_terminal(project, tmp_path):
    words = ["fit", "--model=mine.Model", "--data=mine.Data", *QUIET, "--model.fail_in=configure_optimizers"]
    status, _, err = Python("-m", "lightning_critperiod", *words, folder=tmp_path, paths=[tmp_path]).finish()
    assert status == 1
    assert "Traceback (most recent call last)" in err
    assert f'{tmp_path / "mine.py"}", line' in err
    assert err.rstrip().endswith("ValueError: Invalid learning rate: -1.0")


NAMES = ("fit", "validate", "test", "predict", "compare", "oracle", "report", "inspect")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]], ids=str)
def test_the_overview_has_a_line_for_every_command(critperiod, capsys, words):
    critperiod(*words)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert [line[0] for line in lines] == list(NAMES)
    assert all(len(line) > 4 for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_the_overview_is_there(critperiod, capsys, name):
    with pytest.raises(SystemExit) as end:
        critperiod(name, "--help")
    assert end.value.code in {0, None}
    assert "usage:" in capsys.readouterr().out


def test_a_command_that_is_not_there_is_one_line_that_names_those_that_are(critperiod, capsys):
    with pytest.raises(SystemExit) as end:
        critperiod("fti")
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no command 'fti'" in line
    assert all(name in line for name in NAMES)
