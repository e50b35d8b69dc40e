"""Every page that we write, in a real browser: report of a run, comparison of several, inspection of one."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
from html import unescape

import pytest
from example_record import SIGNAL, record

from lightning_critperiod.inspection import inspect
from lightning_critperiod.report import comparison_pages, pages

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

WIDTHS = (390, 1000, 1600)
OBSERVED = {"samples": 900, "seconds": 13.0, "seconds_low": 12.0, "seconds_high": 14.0, "basis": "so"}
LOOK = """
onload = () => {
  const found = {};
  for (const frame of document.querySelectorAll('iframe')) {
    const page = frame.contentDocument, scrolled = [page.documentElement, ...page.querySelectorAll('.wide')];
    const cut = [...page.querySelectorAll('svg text')].filter(text => {
      const inner = text.getBoundingClientRect(), outer = text.closest('svg').getBoundingClientRect();
      return inner.left < outer.left - 1 || inner.right > outer.right + 1;
    });
    found[frame.title] = {
      overflow: Math.max(...scrolled.map(part => part.scrollWidth - part.clientWidth)),
      cut: cut.map(text => text.textContent),
      fetched: frame.contentWindow.performance.getEntriesByType('resource').map(entry => entry.name),
      height: page.documentElement.scrollHeight,
    };
  }
  document.title = JSON.stringify(found);
}
"""


class QuietServer(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def browse(folder, names):
    """(name, width) -> what a browser makes of that page in a window of that width."""
    frames = "".join(
        f'<iframe title="{name} {width}" src="{name}" style="width:{width}px;height:900px;border:0"></iframe>'
        for name in names
        for width in WIDTHS
    )
    (folder / "frames.html").write_text(f"<!doctype html>{frames}<script>{LOOK}</script>")
    handler = functools.partial(QuietServer, directory=folder)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/frames.html"
        command = [CHROMIUM, *options, f"--user-data-dir={folder / 'profile'}", "--dump-dom", address]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
        server.shutdown()
    found = json.loads(unescape(re.search(r"<title>(.*?)</title>", shown.stdout, re.DOTALL)[1]))
    return {(name, width): found[f"{name} {width}"] for name in names for width in WIDTHS}


def write_pages(folder):
    """Three pages, with names as long as those of real runs."""
    observed = record(decision={"observe_only": True}, observed=OBSERVED)
    never = record(decision={"end_epoch": None, "reason": ""}, status="interrupted", metrics={"test": {}})
    runs = {f"runs/digits/version_{n}": run for n, run in enumerate((record(), observed, never))}
    texts = {
        **pages(record()),
        **pages(observed, "observed"),
        **comparison_pages(runs, "comparison"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    head = "epoch,step,val_loss,val_acc,critical_period/layer_rotation"
    lines = [f"{e},{10 * e + 9},{1 / (e + 1)},{e / 10},{value}" for e, value in enumerate(SIGNAL)]
    (folder / "metrics.csv").write_text("\n".join([head, *lines]) + "\n")
    inspect([str(folder / "metrics.csv"), "--output", str(folder / "inspect.html")])
    return [name for name in (*texts, "inspect.html") if name.endswith(".html")]


BAD = """<!doctype html><div class="wide" style="overflow:auto"><p style="width:900px">wide</p></div>
<svg viewBox="0 0 100 50"><text x="60" y="20">a label that is cut</text></svg>
<img src="other.png"><img src="http://127.0.0.1:9/away">"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Our pages and a bad one, in one browser."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "bad.html").write_text(BAD)
    return browse(folder, [*write_pages(folder), "bad.html"])


PAGES = ("report.html", "observed.html", "comparison.html", "inspect.html")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_overflows_is_cut_or_scrolls_away(seen, name, width):
    """No table is scrolled either, not on a phone: what has to be pushed aside is not read."""
    page = seen[name, width]
    assert page["height"] > 300
    assert page["overflow"] <= 0
    assert page["cut"] == []


@pytest.mark.parametrize("name", PAGES)
def test_no_request_leaves(seen, name):
    assert [seen[name, width]["fetched"] for width in WIDTHS] == [[]] * len(WIDTHS)


def test_the_browser_sees_what_overflows_is_cut_and_is_fetched(seen):
    """Else the tests above could not fail."""
    page = seen["bad.html", 390]
    assert page["overflow"] >= 500
    assert page["cut"] == ["a label that is cut"]
    assert [address.rpartition("/")[2] for address in page["fetched"]] == ["other.png", "away"]
