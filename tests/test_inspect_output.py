"""Names of runs and metrics are said as they are, whatever is in them and wherever they are written to."""

import io
import json
import os
import sys

import pytest
from example_record import as_json

from lightning_critperiod.cli import main

ODD = [
    "run ünï 你好",
    "emoji \N{PARTY POPPER}",
    os.fsdecode(b"not utf-8 \xff"),
    "[bold]x[/bold]",
    "[/x]",
    "a:smile:b",
    "model=[a,b]",
]
METRICS = [
    "val_loss[top1]",
    "val_loss[/b]",
    "val_loss[red]x",
    "val_loss:smile:",
    "val_loss$x^$",
    "val_loss{x}",
    "val_loss%s",
]


def leave_log(folder, metric="val_loss"):
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(f"epoch,{metric}\n0,1\n1,2\n")


@pytest.fixture
def critperiod(tmp_path, monkeypatch):
    """Run the command line in an empty folder with a standard output of some encoding; get what it wrote there."""
    monkeypatch.chdir(tmp_path)

    def run(*words, encoding="utf-8"):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["critperiod", *words])
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace"))
            main()
            out.flush()
        return out.buffer.getvalue().decode(encoding)

    return run


def shown(name, encoding):
    return name.encode(encoding, "backslashreplace").decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
@pytest.mark.parametrize("name", ODD)
def test_a_run_of_any_name_is_inspected_and_its_name_said(critperiod, tmp_path, name, encoding):
    leave_log(tmp_path / name)
    assert f"would have saved in {shown(name, encoding)}" in critperiod("inspect", name, encoding=encoding)


def test_the_page_of_a_run_whose_name_is_no_text_is_written(critperiod, tmp_path):
    name = os.fsdecode(b"not utf-8 \xff")
    leave_log(tmp_path / name)
    assert f"Written: {shown(name, 'ascii')}.html" in critperiod(
        "inspect", name, f"--output={name}.html", encoding="ascii"
    )
    assert f"would have saved in {shown(name, 'utf-8')}<" in (tmp_path / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_of_any_name_is_said_as_it_is(critperiod, tmp_path, metric):
    leave_log(tmp_path / "run", metric)
    said = critperiod("inspect", "run", f"--signal={metric}", "--output=page.html")
    assert metric.replace("_", " ") in said
    assert metric in said


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("name", ODD)
def test_a_report_is_drawn_again_for_a_run_of_any_name(critperiod, tmp_path, name, encoding):
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "report.json").write_text(json.dumps(as_json()))
    assert f"Written: {shown(name, encoding)}/report.md" in critperiod("report", name, encoding=encoding)


def test_runs_of_any_name_are_compared(critperiod, tmp_path):
    for name in ODD:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "report.json").write_text(json.dumps(as_json()))
    said = critperiod("report", *ODD, encoding="ascii")
    assert "Written: comparison.md" in said
    page = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert all(shown(name, "utf-8") in page for name in ODD)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("command", ["inspect", "report"])
def test_a_refusal_names_a_path_of_any_name(critperiod, name, command):
    with pytest.raises(SystemExit) as end:
        critperiod(command, name)
    assert end.value.code == 2
