"""What Slope's wait for a rise changes on the recorded runs: every layer rotation in results/ is judged with and without.

python benchmarks/after_rise.py
"""

import json
from collections import defaultdict
from pathlib import Path

from lightning_critperiod.detector import replay
from lightning_critperiod.rules import Slope

RESULTS = Path(__file__).parents[1] / "results"


def histories(path):
    """(history, max_epochs) of every layer rotation in a record."""
    record = json.loads(path.read_text())
    curve = record.get("curves", {}).get("rotation") or record.get("curves", {}).get("layer_rotation")
    if curve:
        yield dict(enumerate(curve)), len(curve)
    elif (record.get("decision") or {}).get("signal") == "layer_rotation":
        values = {e["epoch"]: e["signal"] for e in record["epochs"] if e["signal"] is not None}
        yield values, record["run"]["max_epochs"]


def main():
    ends = defaultdict(list)
    for path in sorted(RESULTS.rglob("*.json")):
        for history, max_epochs in histories(path):
            rules = (Slope(after_rise=False), Slope())
            ends[path.relative_to(RESULTS).parts[0]].append((
                *(replay(rule, history, max_epochs).end_epoch for rule in rules),
                max(history),
            ))
    print("| records | runs with rotation | both fire in the same epoch | neither fires | only without the wait |")
    print("|---|---|---|---|---|")
    for name, runs in ends.items():
        same = sum(a == b is not None for a, b, _ in runs)
        neither = sum(a is b is None for a, b, _ in runs)
        only = sum(b is None and a is not None for a, b, _ in runs)
        print(f"| {name} | {len(runs)} | {same} | {neither} | {only} |")


if __name__ == "__main__":
    main()
