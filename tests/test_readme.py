"""The code of the README trains, and its configuration is one that LightningCLI takes."""

import re
from pathlib import Path

import pytest
import yaml
from conftest import TinyData, TinyModel

from lightning_critperiod import CriticalPeriodCallback

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


class Scored(TinyModel):
    """Logs val_acc, too."""

    def validation_step(self, batch, batch_idx):
        super().validation_step(batch, batch_idx)
        self.log("val_acc", (self.net(batch[1]).argmax(1) == batch[2]).float().mean(), batch_size=len(batch[0]))


@pytest.mark.filterwarnings(
    "ignore:.*The number of training batches.*", "ignore:.*TensorBoard.*", "ignore:.*tensorboard.*"
)
@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_of_the_readme_trains(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    trainer, model = names["trainer"], Scored()
    trainer.fit_loop.max_epochs = 14
    trainer.fit(model, TinyData())
    assert trainer.current_epoch == 14
    ours = next(callback for callback in trainer.callbacks if isinstance(callback, CriticalPeriodCallback))
    assert ours.history
    reports = list(tmp_path.rglob("report.html"))
    assert len(reports) == ("CostMonitor" in code)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jsonargparse, about what LightningCLI calls
@pytest.mark.parametrize("text", blocks("yaml"))
def test_the_yaml_of_the_readme_is_taken_by_a_lightning_cli_of_ones_own(text, tmp_path, monkeypatch):
    from lightning.pytorch.cli import LightningCLI
    from lightning.pytorch.demos.boring_classes import BoringModel

    from lightning_critperiod import LayerRotation, Slope, Volume

    config = tmp_path / "mine.yaml"
    config.write_text(text)
    monkeypatch.setattr("sys.argv", ["mine", "--config", str(config), "--trainer.logger=false"])
    cli = LightningCLI(BoringModel, run=False, seed_everything_default=0)
    callback = next(c for c in cli.trainer.callbacks if isinstance(c, CriticalPeriodCallback))
    assert isinstance(callback.signal, LayerRotation)
    assert callback.rule == Slope(window=5, max_angle=45.0)
    assert callback.recipe.during == Volume(3)


def test_the_first_screen_has_install_the_two_commands_and_the_one_line():
    screen = "\n".join(README.splitlines()[:24])
    assert "pip install" in screen
    assert "make run" in screen
    assert "make test" in screen
    assert "callbacks=[CriticalPeriodCallback(), CostMonitor()]" in screen


def test_every_file_that_the_readme_names_is_there():
    root = Path(__file__).parents[1]
    names = set(re.findall(r"`?((?:docs|configs|tests|examples)/[\w/.]+\.\w+)`?", README))
    assert names
    assert not [name for name in names if not (root / name).is_file()]
    assert yaml.safe_load(blocks("yaml")[0])


def test_the_results_of_the_readme_are_those_of_the_recorded_runs(tmp_path, monkeypatch):
    root = Path(__file__).parents[1]
    monkeypatch.syspath_prepend(root / "benchmarks")
    from late_enough_judge import judge
    from readme import headline, page

    judge(root / "results" / "late_enough", 20, tmp_path / "late.md")
    assert (tmp_path / "late.md").read_text() == (root / "docs" / "late.md").read_text()
    assert headline() in README
    assert page() == (root / "docs" / "evidence.md").read_text()
