"""What studies share: a command line, records in results/ that are made once, and a page in docs/ that is made from them."""

import argparse
import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lightning_critperiod.record import as_json, write

ROOT = Path(__file__).resolve().parents[1]
Record = dict[str, Any]


@dataclass(frozen=True)
class Study:
    results: Path
    page: Path

    def record(self, name: str, run: Callable[[], Record]) -> Record:
        """Of the run of this name, which `run` trains unless its record is there."""
        path = self.results / f"{name}.json".replace(", ", "_").replace(" ", "_")
        if not path.is_file():
            write({path.name: as_json(run())}, self.results)
        return json.loads(path.read_text())

    def judge(self, page: Callable[[list[Record]], str]) -> None:
        """Write the page from all records."""
        found = [json.loads(path.read_text()) for path in sorted(self.results.glob("*.json"))]
        write({self.page.name: page(found)}, self.page.parent)


def study(name: str) -> Study:
    return Study(ROOT / "results" / name, ROOT / "docs" / f"{name}.md")


def command_line(doc: str, *what: str) -> argparse.ArgumentParser:
    """Of a study that trains for each word of `what`, and for "judge" only writes its page."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=(*what, "judge"))
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(10))
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    args = parser.parse_args()
    if args.what != "judge" and args.data is None:
        parser.error(f"{args.what} needs the folder of the data")
    return args


def quiet() -> None:
    """Of a process that trains: one thread, and nothing of Lightning on the terminal."""
    warnings.filterwarnings("ignore")
    for name in (
        "lightning.fabric",
        "lightning.pytorch",
        "lightning.pytorch.utilities.rank_zero",
        "lightning_utilities.core.rank_zero",
    ):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(1)
