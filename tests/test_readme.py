"""The code of the README runs, and its configuration is one that LightningCLI takes."""

import re
from pathlib import Path

import pytest
import yaml

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_of_the_readme_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jsonargparse, about what LightningCLI calls
@pytest.mark.parametrize("text", blocks("yaml"))
def test_the_yaml_of_the_readme_is_taken_by_a_lightning_cli_of_ones_own(text, tmp_path, monkeypatch):
    from lightning.pytorch.cli import LightningCLI
    from lightning.pytorch.demos.boring_classes import BoringModel

    from lightning_critperiod import CriticalPeriodCallback, LayerRotation, Slope, Volume

    config = tmp_path / "mine.yaml"
    config.write_text(text)
    monkeypatch.setattr("sys.argv", ["mine", "--config", str(config), "--trainer.logger=false"])
    cli = LightningCLI(BoringModel, run=False, seed_everything_default=0)
    callback = next(c for c in cli.trainer.callbacks if isinstance(c, CriticalPeriodCallback))
    assert isinstance(callback.signal, LayerRotation)
    assert callback.rule == Slope(window=5, max_angle=45.0)
    assert callback.recipe.during == Volume(3)


def test_the_first_screen_has_the_two_commands_and_the_one_line():
    screen = "\n".join(README.splitlines()[:24])
    assert "make run" in screen
    assert "make test" in screen
    assert "callbacks=[CriticalPeriodCallback()]" in screen


def test_every_file_that_the_readme_names_is_there():
    root = Path(__file__).parents[1]
    package = root / "lightning_critperiod"
    names = set(re.findall(r"`?((?:docs|configs|tests)/[\w/.]+\.\w+)`?", README))
    assert names
    assert not [name for name in names if not (root / name).is_file()]
    rooms = set(re.findall(r"`(\w+(?:\.py|/))`", README.split("## The house")[1]))
    assert not [room for room in rooms if not (package / room).exists()]
    assert yaml.safe_load(blocks("yaml")[0])


def test_the_results_of_the_readme_are_those_of_the_recorded_runs(tmp_path, monkeypatch):
    root = Path(__file__).parents[1]
    monkeypatch.syspath_prepend(root / "benchmarks")
    from late_enough_judge import judge
    from readme import block

    judge(root / "results" / "late_enough", 20, tmp_path / "late.md")
    assert (tmp_path / "late.md").read_text() == (root / "docs" / "late.md").read_text()
    assert block() in README
