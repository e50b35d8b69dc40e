import ast
import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.filterwarnings("ignore")  # of the kernel's own machinery; the cells run in another process


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


@pytest.fixture(scope="module")
def execute():
    """Executes notebooks in one kernel; what one of them defined is forgotten before the next."""
    pytest.importorskip("nbclient", reason="nbclient is not installed: the extra notebooks brings it")
    pytest.importorskip("nbformat", reason="nbformat is not installed: the extra notebooks brings it")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: the extra notebooks brings it")
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    client = NotebookClient(new_notebook(), timeout=600, startup_timeout=600)

    def execute(notebook, folder):
        """The notebook with its outputs, run with ``folder`` as the working directory."""
        notebook.cells.insert(0, new_code_cell(f"%reset -f\n%cd -q {folder}"))
        client.nb = notebook
        client.execute(cleanup_kc=False)
        del notebook.cells[0]
        return notebook

    with client.setup_kernel(env={**os.environ, "PYTHONPATH": str(ROOT)}):
        yield execute


def kept(name):
    import nbformat

    return nbformat.read(ROOT / "notebooks" / name, as_version=4)


def pictures(notebook):
    return [o for c in notebook.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]


def markdowns(notebook):
    """The Markdown that code cells show, in order."""
    shown = [o["data"]["text/markdown"] for c in notebook.cells for o in c.get("outputs", []) if "data" in o
             and "text/markdown" in o["data"]]  # fmt: skip
    return ["".join(text) for text in shown]


def test_figure_1_is_drawn_from_the_records_with_the_numbers_of_their_table(execute):
    notebook = execute(kept("figure1.ipynb"), ROOT)
    table, findings = markdowns(notebook)
    page = (ROOT / "results" / "oracle" / "fashion" / "table.md").read_text()
    assert table in page
    assert findings in page
    assert len(pictures(notebook)) == 1


def test_figure_2_is_drawn_from_the_records_with_the_numbers_of_their_table(execute):
    notebook = execute(kept("figure2.ipynb"), ROOT / "notebooks")
    (table,) = markdowns(notebook)
    assert table in (ROOT / "results" / "oracle" / "fashion" / "table.md").read_text()
    assert len(pictures(notebook)) == 1


def test_the_quickstart_runs_and_shows_a_decision_and_its_report(execute, tmp_path):
    notebook = execute(kept("quickstart.ipynb"), tmp_path)
    _, reason, history, *_, table, caveats, files = outputs(notebook)
    assert "critical period over after epoch" in reason
    assert len(ast.literal_eval(history)) == 20
    assert "test_acc" in table
    assert "projected" in caveats
    assert files == "['report.html', 'report.json', 'report.md']"
    assert len(pictures(notebook)) == 2
    assert (tmp_path / "runs" / "quickstart" / "report.html").is_file()


CELL = """
import lightning.pytorch as L
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning_critperiod import CostMonitor
quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
trainer = L.Trainer(max_epochs=1, accelerator="cpu", callbacks=[CostMonitor()], default_root_dir=FOLDER, **quiet)
trainer.fit(BoringModel())
"""


def test_a_notebook_shows_the_summary_as_html(execute, tmp_path):
    from nbformat.v4 import new_code_cell, new_notebook

    notebook = execute(new_notebook(cells=[new_code_cell(CELL.replace("FOLDER", repr(str(tmp_path))))]), tmp_path)
    outputs = notebook.cells[0].outputs
    (page,) = [output.data["text/html"] for output in outputs if output.output_type == "display_data"]
    assert "<td" in page
    assert str(tmp_path) in page
    assert "samples drawn" not in "".join(output.text for output in outputs if output.output_type == "stream")
