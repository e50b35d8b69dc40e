import json
import os
import re

import pytest
from example_record import as_json, record

from lightning_critperiod.cli import main
from lightning_critperiod.report import save


@pytest.fixture
def critperiod(tmp_path, monkeypatch):
    """Run the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["critperiod", *map(str, words)])
        main()

    return run


def leave(folder, **changes):
    save(record(**changes), folder)
    return folder


def error_of(critperiod, capsys, *words):
    with pytest.raises(SystemExit) as end:
        critperiod(*words)
    captured = capsys.readouterr()
    assert end.value.code == 2
    assert "Traceback" not in captured.err + captured.out
    (line,) = captured.err.splitlines()
    return line


@pytest.mark.parametrize("name", ["", "report.json"])
def test_the_pages_of_a_run_are_drawn_again_from_its_record_alone(critperiod, tmp_path, capsys, name):
    folder = leave(tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    stamp = (folder / "report.json").stat().st_mtime_ns
    (folder / "report.md").unlink()
    (folder / "report.html").write_text("old")
    critperiod("report", folder / name)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert (folder / "report.json").stat().st_mtime_ns == stamp
    assert "Critical period over after epoch 3" in capsys.readouterr().out


def test_what_to_change_was_said_at_the_end_of_a_fit_but_not_by_the_command(critperiod, tmp_path, capsys):
    leave(tmp_path / "run", measured={"seconds_by_phase": {"data_wait": 9.0}}, epochs=[])
    critperiod("report", "run")
    assert "What to change: " in capsys.readouterr().out


def test_a_record_of_another_name_gets_pages_of_that_name(critperiod, tmp_path):
    leave(tmp_path / "run")
    os.rename(tmp_path / "run" / "report.json", tmp_path / "run" / "seed.1.json")
    critperiod("report", "run/seed.1.json")
    assert {"seed.1.md", "seed.1.html"} <= set(os.listdir(tmp_path / "run"))


@pytest.mark.parametrize("given", ["page", "page.md", "page.html"])
def test_output_names_both_pages(critperiod, tmp_path, given):
    leave(tmp_path / "run")
    critperiod("report", "run", "--output", f"deep/{given}")
    assert set(os.listdir(tmp_path / "deep")) == {"page.md", "page.html"}


def three_runs(tmp_path):
    leave(tmp_path / "ours")
    leave(tmp_path / "never", decision={"end_epoch": None, "reason": ""}, projected=None, hardware={"device": "cuda"})
    leave(tmp_path / "plain", decision=None, measured=None, projected=None, metrics={"test": {}}, status="interrupted")
    return "ours", "never", "plain"


def test_several_runs_make_one_page_with_a_row_each(critperiod, tmp_path, capsys):
    critperiod("report", *three_runs(tmp_path))
    lines = (tmp_path / "comparison.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert rows == [
        [
            "run",
            "decided",
            "epochs",
            "samples",
            "samples saved",
            "seconds",
            "time saved",
            "test_acc",
            "val_loss",
            "val_acc",
        ],
        ["---", *["--:"] * 9],
        ["ours", "after epoch 3", "8 of 8", "1,800", "25.0%", "25.0 s", "16.7%", "0.68", "0.125", "0.7"],
        ["never", "not over", "8 of 8", "1,800", "-", "25.0 s", "-", "0.68", "0.125", "0.7"],
        ["plain", "no callback", "8 of 8", "-", "-", "-", "-", "-", "0.125", "0.7"],
    ]
    page, out = (tmp_path / "comparison.html").read_text(), capsys.readouterr().out
    lines = [re.findall(r'<td[^>]* data-name="(.*?)">(.*?)</td>', line) for line in re.findall("<tr>.*?</tr>", page)]
    # On a phone a cell stands alone and must say what it is.
    assert lines[1:] == [list(zip(rows[0], row, strict=True)) for row in rows[2:]]
    assert all(cell in out for row in rows[2:] for cell in row)


def test_the_page_says_what_keeps_the_runs_from_being_compared(critperiod, tmp_path):
    critperiod("report", *three_runs(tmp_path), "--output", "all.html")
    for text in (tmp_path / "all.md").read_text(), (tmp_path / "all.html").read_text():
        assert "different hardware" in text
        assert "Not completed: plain (interrupted)" in text
        assert "different numbers of epochs" not in text
        assert "No separate test set was evaluated: plain" in text
        assert "read a validation metric" not in text
        assert "would have cost in the same run, projected" in text


def test_the_page_says_which_runs_were_decided_by_validation_and_that_none_is_projected(critperiod, tmp_path):
    leave(tmp_path / "one", decision={"signal": "val_loss"}, projected=None)
    leave(tmp_path / "two", projected=None)
    critperiod("report", "one", "two")
    text = (tmp_path / "comparison.md").read_text()
    assert "read a validation metric, which favours the validation metrics: one." in text
    assert "No run has a projection" in text
    assert "No separate test set" not in text


def test_wall_clock_has_no_columns_where_its_noise_is_larger_than_what_was_saved(critperiod, tmp_path):
    unsure = {"seconds_low": 24.0, "seconds_high": 36.0}  # 25 were measured
    leave(tmp_path / "one", projected=unsure)
    leave(tmp_path / "two", projected=unsure)
    leave(tmp_path / "sure")
    critperiod("report", "one", "two", "--output", "noisy")
    text = (tmp_path / "noisy.md").read_text()
    assert "| run | decided | epochs | samples | samples saved | test_acc" in text
    assert "Wall-clock time is left out" in text
    critperiod("report", "one", "sure", "--output", "told")
    assert "| seconds | time saved |" in (tmp_path / "told.md").read_text()
    assert "left out" not in (tmp_path / "told.md").read_text()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "does not exist"),
        ('{"format": 1, "epochs": [', "is damaged: expected JSON"),
        ('{"format": 0}', "has format 0, this version of lightning-critperiod reads 1 to 2"),
        ({"epochs": [{"samples": 0}]}, "is damaged: epochs[0] has no 'epoch'"),
        ({"epochs": 3}, "is damaged: epochs must be a list, got 3"),
        ({"run": []}, "is damaged: run must be an object, got []"),
        ({"metrics": None}, "is damaged: metrics must be an object, got None"),
    ],
)
def test_a_bad_record_is_one_line_and_nothing_is_written(critperiod, tmp_path, capsys, text, error):
    leave(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    if text is not None:
        damaged = json.dumps({**as_json(), **text}) if isinstance(text, dict) else text
        (tmp_path / "bad" / "report.json").write_text(damaged)
    alone = error_of(critperiod, capsys, "report", "bad")
    assert alone.startswith("critperiod: error: bad")
    assert error in alone
    assert error in error_of(critperiod, capsys, "report", "good", "bad")
    assert set(os.listdir(tmp_path)) == {"good", "bad"}
    assert set(os.listdir(tmp_path / "bad")) <= {"report.json"}


def test_wrong_arguments_are_one_line(critperiod, tmp_path, capsys):
    leave(tmp_path / "run")
    assert "output must be a name" in error_of(critperiod, capsys, "report", "run", "--output=a.pdf")
    assert re.search('required: runs|"runs" is required', error_of(critperiod, capsys, "report"))  # jsonargparse's own
    assert "colour" in error_of(critperiod, capsys, "report", "run", "--colour=blue")


def test_flops_have_columns_where_a_run_counted_them(critperiod, tmp_path):
    leave(tmp_path / "new", measured={"flops": 1.5e15}, projected={"flops": 2e15})
    leave(tmp_path / "old")
    critperiod("report", "new", "old")
    text = (tmp_path / "comparison.md").read_text()
    assert "| samples saved | FLOPs | FLOPs saved | seconds |" in text
    assert "| 1,800 | 25.0% | 1.5e+15 | 25.0% | 25.0 s |" in text
    assert "| 1,800 | 25.0% | - | - | 25.0 s |" in text
