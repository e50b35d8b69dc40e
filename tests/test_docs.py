"""The site: every page is in a section, links lead somewhere, public names are in the reference, code runs."""

import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
import yaml
from conftest import Declares, TinyModel

import lightning_critperiod
from lightning_critperiod import CostMonitor, CriticalPeriodCallback, MonitoredMetric, Slope
from lightning_critperiod.studies.compare.levers.applicable import LEVER_ARMS, LEVERS
from lightning_critperiod.studies.compare.shipped_arms import FOLDER, shipped

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if not {"_build", "_generated"} & set(page.relative_to(DOCS).parts))
sys.path.insert(0, str(DOCS / "site"))

import pages  # noqa: E402


def blocks(language, page):
    return re.findall(rf"^```{language}\n(.*?)```", page.read_text(), re.DOTALL | re.MULTILINE)


def name(page):
    return str(page.relative_to(ROOT))


def anchors(page):
    """What GitHub and MyST make of the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def in_sections():
    found = set()
    for content in re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), re.DOTALL):
        for line in (line for line in content.split() if not line.startswith(":")):
            found |= {path.relative_to(DOCS) for path in DOCS.glob(f"{line}.md")}
    return found


def test_every_page_is_in_a_section_of_the_site():
    missing = {page.relative_to(DOCS) for page in PAGES} - in_sections() - {Path("index.md")}
    assert not missing, f"add these to a toctree of docs/index.md: {sorted(map(str, missing))}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=name)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if target.startswith("https:") or path.partition("/")[0] == "_generated" or "/_generated/" in path:
            continue  # made when the site is built, which warns of a link that leads nowhere
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), target


def test_every_public_name_has_a_card_or_is_in_the_reference():
    shown = {kind.__name__ for kinds in pages.CARDS.values() for kind in kinds} | set(pages.CALLBACKS)
    shown |= {path.rpartition(".")[2] for paths in pages.FURTHER.values() for path in paths}
    assert set(lightning_critperiod.__all__) <= shown


@pytest.mark.parametrize("path", sorted({path for paths in pages.FURTHER.values() for path in paths}))
def test_what_the_reference_names_is_a_class_with_a_docstring(path):
    module, _, kind = path.rpartition(".")
    found = getattr(importlib.import_module(module), kind)
    assert inspect.isclass(found)
    assert found.__doc__


def test_a_card_has_the_rows_of_its_own_rule_and_no_others():
    page = (DOCS / "calibration.md").read_text()
    rows = [row for table in pages.rows_of("Slope", page) for row in table.splitlines()[2:]]
    assert rows == [line for line in page.splitlines() if "| `Slope" in line]
    assert rows


class Model(TinyModel):
    """Takes the batches of the pages, (x, y), beside those of the tests."""

    def on_before_batch_transfer(self, batch, dataloader_idx):
        return batch if len(batch) == 3 else [torch.arange(len(batch[0])), *batch]


CODE = [(page, code) for page in sorted((DOCS / "how-to").glob("*.md")) for code in blocks("python", page)]
SCRIPTS = [code for _, code in CODE if "__main__" in code]
CODE = [(page, code) for page, code in CODE if code not in SCRIPTS]


@pytest.mark.parametrize(("page", "code"), CODE, ids=[f"{page.stem}-{i}" for i, (page, _) in enumerate(CODE)])
def test_the_python_of_a_how_to_runs(page, code, tmp_path, monkeypatch, trainer_for):
    monkeypatch.chdir(tmp_path)
    names = {"model": Model(), "datamodule": Declares(multiplier=1)}
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*logging interval|.*skipping val loop|.*You have overridden")
        torch.manual_seed(0)
        exec(compile(code, name(page), "exec"), names)
        if "trainer" not in names:
            trainer_for(names["callback"]).fit(Model(), Declares(multiplier=1))
    callback = names.get("callback") or names["trainer"].callbacks[0]
    assert callback.volumes


@pytest.mark.slow
@pytest.mark.parametrize("code", SCRIPTS)
def test_a_script_of_a_how_to_runs_on_two_processes_and_leaves_a_report(code, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(code.replace("devices=2", 'devices=2, accelerator="cpu"'))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", file]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "critical period not over in 8 epochs" in done.stdout
    assert len(list(tmp_path.rglob("report.html"))) == 1


def test_every_target_of_the_hydra_config_is_ours_and_takes_its_arguments():
    (text,) = blocks("yaml", DOCS / "how-to" / "existing_project.md")

    def made(found):
        if not isinstance(found, dict) or "_target_" not in found:
            return found
        module, _, kind = found["_target_"].rpartition(".")
        return getattr(importlib.import_module(module), kind)(**{
            k: made(v) for k, v in found.items() if k != "_target_"
        })

    callbacks = {key: made(value) for key, value in yaml.safe_load(text).items()}
    assert callbacks["critical_period"].recipe.after.pruning_ratio == 0.3
    assert not callbacks["critical_period"].observe_only
    assert isinstance(callbacks["costs"], lightning_critperiod.CostMonitor)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("myst_nb", reason="the tools of the site are not installed: pip install '.[docs]'")
    left_out = shutil.ignore_patterns(".*", "_build", "_generated", "tests")
    copy = shutil.copytree(ROOT, tmp_path / "copy", ignore=left_out)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", copy / "docs", tmp_path / "html"]
    built = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(copy)})
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "html" / "gallery.html").is_file()
    quickstart = (tmp_path / "html" / "quickstart.html").read_text()
    assert "Figure size" not in quickstart, "a figure is shown as text"
    assert 'src="_images/' in quickstart


def test_every_arm_of_a_comparison_is_explained_in_its_own_words():
    page = (ROOT / "docs" / "compare.md").read_text()
    for file in [FOLDER / f"{name}.yaml" for name in shipped()] + [LEVER_ARMS / f"{name}.yaml" for name in LEVERS]:
        said = file.read_text().partition("\n")[0].removeprefix("# ")
        assert f"| `{file.stem}` | {said} |" in page, file


@pytest.mark.parametrize("make", [CriticalPeriodCallback, lambda: CriticalPeriodCallback(rule=Slope()), CostMonitor])
def test_two_callbacks_that_are_alike_are_refused_with_the_words_of_the_page_on_troubles(trainer_for, make):
    page = (DOCS / "how-to" / "troubleshooting.md").read_text()
    with pytest.raises(RuntimeError, match=f"one stateful callback of type `{type(make()).__name__}`") as error:
        trainer_for(make(), make())
    assert str(error.value).partition(" of type")[0] in page


def test_two_callbacks_that_the_docstring_allows_are_taken(trainer_for):
    observer = CriticalPeriodCallback(rule=Slope.published(), observe_only=True)
    assert trainer_for(CriticalPeriodCallback(), observer)
    assert trainer_for(CriticalPeriodCallback(), CriticalPeriodCallback(rule=Slope()))
    assert trainer_for(CriticalPeriodCallback(), CriticalPeriodCallback(signal=MonitoredMetric("a"), rule=Slope()))
