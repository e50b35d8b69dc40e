import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def outputs(notebook):
    """The text that every code cell left, in order."""
    return [
        "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs(path):
    cells = json.loads(path.read_text())["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def executed(name, folder, monkeypatch):
    """The notebook with its outputs, run with ``folder`` as the working directory."""
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: the extra notebooks brings it")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: the extra notebooks brings it")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: the extra notebooks brings it")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}}).execute()
    return notebook


def pictures(notebook):
    return [o for c in notebook.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]


def markdowns(notebook):
    """The Markdown that code cells show, in order."""
    shown = [o["data"]["text/markdown"] for c in notebook.cells for o in c.get("outputs", []) if "data" in o
             and "text/markdown" in o["data"]]  # fmt: skip
    return ["".join(text) for text in shown]


@pytest.mark.filterwarnings("ignore")
def test_figure_1_is_drawn_from_the_records_with_the_numbers_of_their_table(monkeypatch):
    notebook = executed("figure1.ipynb", ROOT, monkeypatch)
    table, findings = markdowns(notebook)
    page = (ROOT / "results" / "oracle" / "fashion" / "table.md").read_text()
    assert table in page
    assert findings in page
    assert len(pictures(notebook)) == 1


@pytest.mark.filterwarnings("ignore")
def test_figure_2_is_drawn_from_the_records_with_the_numbers_of_their_table(monkeypatch):
    notebook = executed("figure2.ipynb", ROOT / "notebooks", monkeypatch)
    (table,) = markdowns(notebook)
    assert table in (ROOT / "results" / "oracle" / "fashion" / "table.md").read_text()
    assert len(pictures(notebook)) == 1


@pytest.mark.filterwarnings("ignore")  # of the kernel's own machinery; the cells run in another process
def test_the_quickstart_runs_and_shows_a_decision_and_its_report(tmp_path, monkeypatch):
    notebook = executed("quickstart.ipynb", tmp_path, monkeypatch)
    _, reason, history, *_, table, caveats, files = outputs(notebook)
    assert "critical period over after epoch" in reason
    assert len(ast.literal_eval(history)) == 20
    assert "test_acc" in table
    assert "projected" in caveats
    assert files == "['report.html', 'report.json', 'report.md']"
    assert len(pictures(notebook)) == 2
    assert (tmp_path / "runs" / "quickstart" / "report.html").is_file()
