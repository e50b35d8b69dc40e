"""Names of runs and metrics are said as they are, whatever is in them and wherever they are written to."""

import io
import os
import sys

import pytest
from example_record import record

from lightning_critperiod.cli import main
from lightning_critperiod.report import save

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
    folder.mkdir()
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
            main()
            out.flush()
        return out.buffer.getvalue().decode(encoding)

    return run


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
@pytest.mark.parametrize("name", ODD)
def test_a_run_of_any_name_is_inspected_and_its_name_said(critperiod, tmp_path, name, encoding):
    leave_log(tmp_path / name)
    said = critperiod("inspect", name, "--output=page.html", encoding=encoding)
    assert f"What {name} would have saved" in said or name.encode(encoding, "backslashreplace").decode(encoding) in said
    assert "Written: page.html" in said
    assert "What " in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_of_any_name_is_said_as_it_is(critperiod, tmp_path, metric):
    leave_log(tmp_path / "run", metric)
    said = critperiod("inspect", "run", f"--signal={metric}", "--output=page.html")
    assert metric.replace("_", " ") in said
    assert metric in said


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
@pytest.mark.parametrize("name", ODD)
def test_a_report_is_drawn_again_for_a_run_of_any_name(critperiod, tmp_path, name, encoding):
    save(record(), tmp_path / name, {})
    save(record(), tmp_path / "other", {})
    said = critperiod("report", name, encoding=encoding)
    shown = name.encode(encoding, "backslashreplace").decode(encoding)
    assert f"Written: {shown}/report.md" in said
    assert "Written: comparison.md" in critperiod("report", name, "other", encoding=encoding)
    assert name.split()[0] in (tmp_path / "comparison.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ODD)
def test_a_refusal_names_a_path_of_any_name(critperiod, name, capsys):
    for command in ("inspect", "report"):
        with pytest.raises(SystemExit) as end:
            critperiod(command, name)
        assert end.value.code == 2
        assert "does not exist" in capsys.readouterr().err
