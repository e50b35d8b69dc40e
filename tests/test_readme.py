"""The code of the README fits, that of docs/usage.md is taken, and their tables are those of the recorded runs."""

import re
import warnings
from pathlib import Path

import matplotlib
import pytest
import torch
import yaml
from conftest import Declares, TinyModel

from lightning_critperiod import Volume

ROOT = Path(__file__).parents[1]
README, USAGE = (ROOT / "README.md").read_text(), (ROOT / "docs" / "usage.md").read_text()
PAGES = {name: (ROOT / name).read_text() for name in ("README.md", "docs/usage.md", "docs/evidence.md")}


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


class Model(TinyModel):
    """Logs the metric that the README monitors."""

    def validation_step(self, batch, batch_idx):
        super().validation_step(batch, batch_idx)
        _, x, y = batch
        self.log("val_acc", (self.net(x).argmax(1) == y).float().mean(), batch_size=len(y))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """What the names of each snippet stand for after it ran, in the order of the README."""
    found = []
    for code in blocks("python"):
        folder = tmp_path_factory.mktemp("readme")
        with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(), warnings.catch_warnings():
            patch.chdir(folder)
            warnings.filterwarnings("ignore", ".*smaller than the logging interval")  # of the tiny data
            torch.manual_seed(0)
            names = {"model": Model(), "datamodule": Declares(multiplier=1), "folder": folder}
            exec(compile(code, "README.md", "exec"), names)
            found.append(names)
    assert len(found) == 3
    return found


def test_the_one_line_observes_and_leaves_the_report(fitted):
    callback, monitor = fitted[0]["trainer"].callbacks[:2]
    assert callback.observe_only
    assert set(callback.volumes.values()) == {Volume()}
    assert sorted(callback.volumes) == list(range(20))
    for name in ("report.html", "report.md", "report.json"):
        assert (monitor.recorder.folder / name).is_file()
    assert monitor.recorder.folder.is_relative_to(fitted[0]["folder"])


def test_early_cooldown_ends_a_run_without_a_last_epoch_at_a_small_learning_rate(fitted):
    trainer, model = fitted[1]["trainer"], fitted[1]["model"]
    callback = trainer.callbacks[0]
    assert callback.end_epoch is not None
    assert trainer.current_epoch == callback.last_epoch + 1
    rates = [rate for epoch in sorted(model.rates) for rate in model.rates[epoch]]
    assert rates[0] == pytest.approx(0.05)
    assert rates[-1] < 0.1 * rates[0]


def test_the_recipe_of_the_paper_draws_three_views_then_one_then_three(fitted):
    callback, model = fitted[2]["callback"], fitted[2]["model"]
    end = callback.end_epoch
    annealing = end + -(-(20 - end) * 7 // 8)  # the last eighth of the epochs after the switch, whole epochs
    assert end == 5  # the first epoch at which a window of five has a line, for a model that hardly turns
    drawn = [len(samples) for _, samples in sorted(model.drawn().items())]
    assert drawn == [33 if end <= epoch < annealing else 99 for epoch in range(20)]
    assert fitted[2]["datamodule"].augmentation_multiplier == 3


@pytest.mark.parametrize("code", blocks("python", USAGE))
def test_the_python_of_the_usage_page_fits(code, trainer_for):
    names = {}
    exec(compile(code, "usage.md", "exec"), names)
    trainer_for(names["callback"]).fit(TinyModel(), Declares(multiplier=1))
    assert set(names["callback"].volumes) == set(range(6))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jsonargparse, about what LightningCLI calls
@pytest.mark.parametrize("text", blocks("yaml", USAGE))
def test_the_yaml_of_the_usage_page_is_taken_by_the_users_own_lightning_cli(text, tmp_path, monkeypatch):
    from lightning.pytorch.cli import LightningCLI
    from lightning.pytorch.demos.boring_classes import BoringModel

    from lightning_critperiod import CriticalPeriodCallback, LayerRotation, Slope

    assert yaml.safe_load(text)
    config = tmp_path / "mine.yaml"
    config.write_text(text)
    monkeypatch.setattr("sys.argv", ["mine", "--config", str(config), "--trainer.logger=false"])
    cli = LightningCLI(BoringModel, run=False, seed_everything_default=0)
    callback = next(c for c in cli.trainer.callbacks if isinstance(c, CriticalPeriodCallback))
    assert isinstance(callback.signal, LayerRotation)
    assert callback.rule == Slope(window=5, max_angle=45.0)
    assert callback.recipe.during == Volume(3)


def test_the_readme_says_how_to_install_first_and_how_to_test():
    screen = "\n".join(README.splitlines()[:24])
    assert "pip install lightning-critperiod" in screen
    assert "callbacks=[CriticalPeriodCallback(), CostMonitor()]" in screen
    assert "make run" in README
    assert "make test" in README


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page):
    links = {target for target in re.findall(r"\]\(([^)#]+)", PAGES[page]) if not target.startswith("https:")}
    missing = {target for target in links if not (ROOT / page).parent.joinpath(target).is_file()}
    named = set(re.findall(r"\b((?:configs|benchmarks|tests)/[\w/.]+\.\w+)", PAGES[page]))
    assert links
    assert not missing | {name for name in named if not (ROOT / name).is_file()}


def test_the_packages_that_contributing_names_are_those_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Packages")[1]
    named = set(re.findall(r"^\| `(\w+(?:\.py|/))`", text, re.MULTILINE))
    package = ROOT / "lightning_critperiod"
    there = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").is_file()}
    files = {path.name for path in package.glob("*.py")} - {"__init__.py", "__main__.py", "recorder.py"}
    assert named == there | files


def test_the_results_of_the_pages_are_those_of_the_recorded_runs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from late_enough_judge import judge
    from readme import BLOCKS

    judge(ROOT / "results" / "late_enough", 20, tmp_path / "late.md")
    assert (tmp_path / "late.md").read_text() == (ROOT / "docs" / "late.md").read_text()
    for page, block in BLOCKS.items():
        assert block() in PAGES[page]


DRAWN = pytest.mark.skipif(
    not matplotlib.__version__.startswith("3.11."),
    reason="matplotlib 3.11 drew the figure; 3.8.0 places its panels elsewhere",
)


@pytest.mark.parametrize("file", [pytest.param("docs/headline.svg", marks=DRAWN), "docs/switch.svg"])
def test_the_figures_of_the_pages_are_those_of_the_recorded_runs(file, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from readme import FIGURES

    assert len(FIGURES) == 2
    assert (ROOT / file).read_text() == FIGURES[file]()


def test_the_citation_has_the_version_of_the_package_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'name = "{citation["title"]}"' in project
    assert f'version = "{citation["version"]}"' in project
    assert citation["preferred-citation"]["identifiers"][0]["value"] == "arXiv:2506.15954"


def test_a_version_with_unreleased_changes_is_a_development_version():
    (version,) = re.findall(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    sections = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    unreleased, *released = sections
    assert unreleased.startswith("[Unreleased]")
    assert version.endswith(".dev0") == ("\n- " in unreleased)
    assert released
    assert f"[{version.removesuffix('.dev0')}]" not in "".join(released if version.endswith(".dev0") else [])
