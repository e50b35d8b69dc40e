"""Whether lower or higher is better: never guessed in silence."""

import pytest
import yaml
from conftest import TinyData, TinyModel, make_trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from lightning_critperiod.inspection import inspect
from lightning_critperiod.inspection.run import read
from lightning_critperiod.record import Decision, Record, Run
from lightning_critperiod.report import save

FALLS = [0.6 * 0.9**epoch for epoch in range(8)]


def leave(folder, *names):
    rows = "".join(f"{epoch}{f',{value}' * len(names)}\n" for epoch, value in enumerate(FALLS))
    folder.mkdir(exist_ok=True)
    (folder / "metrics.csv").write_text(f"epoch,{','.join(names)}\n{rows}")


@pytest.fixture
def said(tmp_path, capsys):
    def run(*words):
        inspect([str(tmp_path), *words])
        return capsys.readouterr().out

    return run


def verdict_of_plateau(out):
    """Plateau on a metric that always falls: it has stopped improving only if higher is better."""
    return {True: "max", False: "min"}["did not improve on" in out]


@pytest.mark.parametrize(
    ("name", "mode"),
    [("val_SMAPE", "min"), ("val/wer", "min"), ("val_terrain_iou", "max"), ("val_acc", "max"), ("val_loss", "min")],
)
def test_a_name_that_says_it_is_believed_and_the_direction_is_said(said, tmp_path, name, mode):
    leave(tmp_path, name)
    out = said()
    assert verdict_of_plateau(out) == mode
    assert f"{'Lower' if mode == 'min' else 'Higher'} is better for {name} (by name)." in out
    assert "To change that, give --mode NAME=min or --mode NAME=max." in out


def test_a_name_that_says_nothing_is_asked_about_in_one_sentence(said, tmp_path):
    leave(tmp_path, "val_wobble")
    with pytest.raises(
        ValueError, match=r"nothing says whether lower or higher is better for val_wobble: give --mode min"
    ):
        said()


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("word", ["--mode={}", "--mode=val_wobble={}"])
def test_the_user_says_it(said, tmp_path, mode, word):
    leave(tmp_path, "val_wobble")
    out = said(word.format(mode))
    assert verdict_of_plateau(out) == mode
    assert "val_wobble (as --mode says)" in out


def test_what_the_user_says_goes_before_the_name(said, tmp_path):
    leave(tmp_path, "val_loss")
    assert verdict_of_plateau(said("--mode=max")) == "max"


def test_a_mode_without_a_name_is_for_what_is_not_known(said, tmp_path):
    leave(tmp_path, "val_loss", "val_wobble")
    out = said("--mode=max")
    assert "Lower is better for val_loss (by name)." in out
    assert "Higher is better for val_wobble (as --mode says)." in out


def test_beside_known_metrics_an_unknown_one_is_left_out_with_a_note(said, tmp_path):
    leave(tmp_path, "val_loss", "val_wobble")
    out = said()
    assert "Left out, because nothing says whether lower or higher is better: val_wobble." in out
    assert "val wobble" not in out


@pytest.mark.parametrize(
    ("word", "error"),
    [("--mode=up", "mode must be min, max, NAME=min or NAME=max, got 'up'"), ("--mode=val_x=min", "got 'val_x'")],
)
def test_a_wrong_mode_is_refused(said, tmp_path, word, error):
    leave(tmp_path, "val_loss")
    with pytest.raises(ValueError, match=error):
        said(word)


RULES = {
    "--rule=Plateau": "min",
    "--rule=Plateau --rule.mode=max": "max",
    '--rule={"class_path": "Plateau", "init_args": {"mode": "max"}}': "max",
    "--rule=Patient --rule.rule=Plateau --rule.epochs=1": "min",
}


@pytest.mark.parametrize("words", RULES)
def test_a_rule_has_the_mode_that_was_chosen_or_else_that_of_the_metric(said, tmp_path, words):
    """A rule that was given without a mode had the default of the class, whatever the metric."""
    leave(tmp_path, "val_loss")
    words = [words] if "{" in words else words.split()
    assert verdict_of_plateau(said(*words)) == RULES[" ".join(words)]
    leave(tmp_path, "val_acc")
    assert verdict_of_plateau(said(*words)) == "max"


def test_a_rule_without_a_mode_needs_no_direction(said, tmp_path):
    leave(tmp_path, "val_wobble")
    out = said("--rule=Slope")
    assert "val wobble" in out
    assert "is better for" not in out


class Wobbles(TinyModel):
    def validation_step(self, batch, batch_idx):
        self.log("val_wobble", FALLS[self.current_epoch], batch_size=4)
        self.log("val_other", FALLS[self.current_epoch], batch_size=4)


def test_the_runs_own_callbacks_say_it_in_a_checkpoint(tmp_path, capsys):
    callbacks = [ModelCheckpoint(monitor="val_wobble", mode="max"), EarlyStopping("val_other", mode="min", patience=9)]
    options = {"logger": CSVLogger(tmp_path, "log", version=0), "enable_checkpointing": True, "log_every_n_steps": 1}
    make_trainer(tmp_path, callbacks, max_epochs=4, **options).fit(Wobbles(), TinyData(n=8))
    inspect([str(tmp_path / "log/version_0")])
    out = capsys.readouterr().out
    assert "Lower is better for val_other (as the run's own callbacks say)." in out
    assert "Higher is better for val_wobble (as the run's own callbacks say)." in out


CALLBACK = {"monitor": "val_wobble", "mode": "max"}
CONFIGURATIONS = {
    "config.yaml": {"trainer": {"callbacks": [{"class_path": "EarlyStopping", "init_args": CALLBACK}]}},
    "hparams.yaml": {"early_stopping": CALLBACK, "lr": 0.1},
    ".hydra/config.yaml": {"callbacks": {"model_checkpoint": {"_target_": "ModelCheckpoint", **CALLBACK}}},
    "../../.hydra/config.yaml": {"callbacks": {"model_checkpoint": {"_target_": "ModelCheckpoint", **CALLBACK}}},
}


@pytest.mark.parametrize("file", CONFIGURATIONS)
def test_the_runs_configuration_says_it(tmp_path, file):
    folder = tmp_path / "csv/version_0"
    folder.mkdir(parents=True)
    leave(folder, "val_wobble")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(yaml.safe_dump(CONFIGURATIONS[file]))
    assert read(folder).modes == {"val_wobble": "max"}


@pytest.mark.parametrize("text", ["a: [", "model: !!python/object:argparse.Namespace {a: 1}\n", "", "- 1\n", "\x00"])
def test_a_configuration_that_cannot_be_read_does_not_matter(tmp_path, text):
    leave(tmp_path, "val_loss")
    (tmp_path / "hparams.yaml").write_text(text)
    assert read(tmp_path).modes == {}


def test_the_report_of_our_own_run_says_it(tmp_path):
    leave(tmp_path, "val_wobble")
    decision = Decision("val_wobble", "Plateau(...)", "Plateau", {"patience": 3, "mode": "max"})
    save(Record(Run("Net", 8, 8), decision=decision), tmp_path)
    assert read(tmp_path).modes == {"val_wobble": "max"}
