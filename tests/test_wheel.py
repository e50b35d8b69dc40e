"""The wheel, installed into an empty folder and used outside the repository, and the source distribution."""

import json
import os
import re
import subprocess
import sys
import tarfile
from email import message_from_string
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="hatchling is not installed: it builds the wheel")

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hatch_build import for_index  # noqa: E402

README = (ROOT / "README.md").read_text()
LINK = re.compile(r"\]\(([^)]+)\)")
CONFIGS = sorted(path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.yaml"))
ARMS = sorted(path.name for path in (ROOT / "lightning_critperiod" / "studies" / "compare" / "arms").glob("*.yaml"))


def pip(*words):
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    subprocess.run([sys.executable, "-m", "pip", words[0], *quiet, *map(str, words[1:])], check=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    pip("install", "--no-compile", "--target", folder / "site", wheel)
    return folder / "site"


def run(installed, folder, *words):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-W", "ignore", *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_has_every_config_and_every_arm(installed):
    package = installed / "lightning_critperiod"
    assert sorted(path.relative_to(package / "configs") for path in (package / "configs").rglob("*.yaml")) == CONFIGS
    assert sorted(path.name for path in (package / "studies" / "compare" / "arms").iterdir()) == ARMS
    assert {path.parts[0] for path in (path.relative_to(installed) for path in installed.iterdir())} == {
        "bin",
        "lightning_critperiod",
        next(installed.glob("*.dist-info")).name,
    }


def test_the_console_script_says_the_version_of_the_wheel(installed, tmp_path):
    said = run(installed, tmp_path, installed / "bin" / "critperiod", "--version").stdout
    (dist_info,) = installed.glob("*.dist-info")
    assert said.split() == ["critperiod", dist_info.stem.split("-")[1]]


def test_a_shipped_config_is_read_in_any_folder(installed, tmp_path):
    words = (
        "-m",
        "lightning_critperiod",
        "fit",
        "--config",
        "paper/base",
        "-c",
        "paper/cifar100",
        "-c",
        "paper/resnet20",
    )
    done = run(installed, tmp_path, *words, "--print_config")
    assert done.returncode == 0, done.stderr
    assert "class_path: lightning_critperiod.datamodules.CIFAR100" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_finds_its_config_and_its_arms_in_the_wheel(installed, tmp_path):
    program = """
from lightning_critperiod.studies.compare.compare_options import parse
options = parse(["--config", "small/digits"])
print(*(arm.name for arm in options.arms), options.config.files[0])
"""
    *arms, config = run(installed, tmp_path, "-c", program).stdout.split()
    assert len(arms) == 15
    assert Path(config).is_relative_to(installed)


def test_the_description_in_the_wheel_is_the_readme_without_links_that_lead_nowhere(installed):
    (dist_info,) = installed.glob("*.dist-info")
    metadata = message_from_string((dist_info / "METADATA").read_text())
    shown = metadata.get_payload()
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert shown.startswith("# lightning-critperiod")
    assert LINK.findall(shown) == [link for link in LINK.findall(README) if link.startswith("https:")]
    assert "![" not in shown
    words = re.compile(r"[\w%]+")
    left_out = [word for word in words.findall(README) if word not in set(words.findall(shown))]
    assert set(left_out) <= set(words.findall(README[README.index("![") :].split("\n\n")[0]))


def test_with_the_address_of_the_repository_every_link_and_picture_of_the_description_leads_there():
    shown = for_index(README, "https://github.com/owner/name/")
    links = [link for link in LINK.findall(README) if not link.startswith("https:")]
    raw, blob = ("https://github.com/owner/name/raw/main/", "https://github.com/owner/name/blob/main/")
    expected = [(raw if link.endswith(".svg") else blob) + link for link in links]
    assert [link for link in LINK.findall(shown) if "owner/name" in link] == expected
    assert all((ROOT / link.partition("#")[0]).is_file() for link in links)
    assert LINK.sub("", shown) == LINK.sub("", README)


FIRST_REPORT = """
import lightning as L
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel
from lightning_critperiod import CostMonitor, CriticalPeriodCallback

model, datamodule = BoringModel(), BoringDataModule()
trainer = L.Trainer(max_epochs=2, limit_train_batches=2, callbacks=[CriticalPeriodCallback(), CostMonitor()])
trainer.fit(model, datamodule=datamodule)
"""


def test_the_lines_of_the_readme_leave_a_report_outside_the_repository(installed, tmp_path):
    done = run(installed, tmp_path, "-c", FIRST_REPORT)
    assert done.returncode == 0, done.stderr
    (report,) = tmp_path.rglob("report.json")
    assert json.loads(report.read_text())["run"]["epochs_done"] == 2
    assert {"report.html", "report.md"} <= {file.name for file in report.parent.iterdir()}


def test_the_source_distribution_has_what_builds_and_tests_it_and_no_results(tmp_path):
    build = f"import hatchling.build; print(hatchling.build.build_sdist({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        tops = {name.split("/")[1] for name in files.getnames()}
    assert {
        "lightning_critperiod",
        "tests",
        "configs",
        "examples",
        "pyproject.toml",
        "hatch_build.py",
        "README.md",
        "LICENSE",
    } <= tops
    assert not tops & {"results", ".ci", "shared"}
