"""Puts the measured tables into the README, from the files in results/ and docs/late.md: python benchmarks/readme.py"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- results -->\n", "<!-- /results -->"


def sweep():
    """The table of docs/late.md: what a switch at a part of the run keeps."""
    lines = (ROOT / "docs" / "late.md").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| set-up"))
    return [line for line in lines[start : start + 12] if line.startswith("|")]


def published():
    """The line of docs/late.md about the published rule, in the set-ups that had no part in any choice."""
    text = (ROOT / "docs" / "late.md").read_text().split("### Confirmation set-ups")[1]
    cells = re.search(r"\| published.*", text).group().split("|")
    return cells[3].strip(), cells[4].strip()


STUDIES = {"digits": "digits", "fashion": "Fashion-MNIST", "cifar10": "CIFAR-10"}


def studies():
    """Study -> arm -> row, of the comparisons that are there."""
    found = {name: ROOT / "results" / name / "summary.json" for name in STUDIES}
    read = {name: json.loads(path.read_text()) for name, path in found.items() if path.is_file()}
    return {name: {row["arm"]: row for row in summary["arms"]} for name, summary in read.items()}


def difference(row):
    """To the full recipe, in points, with its interval."""
    against = row["against"].get("full")
    return "-" if against is None else f"{against['mean']:+.2f} [{against['t'][0]:+.2f}, {against['t'][1]:+.2f}]"


def drawn(rows):
    """Samples drawn, in percent of the full recipe's, over the studies."""
    part = sorted(round(100 * row["samples"] / full["samples"]) for row, full in rows)
    return f"{part[0]}%" if part[0] == part[-1] else f"{part[0]} to {part[-1]}%"


def baselines():
    """The arms of `critperiod compare` against the full recipe, study by study; the most accurate on average first."""
    found = studies()
    arms = [arm for arm in next(iter(found.values())) if all(arm in rows for rows in found.values())]
    arms.sort(key=lambda arm: -sum(rows[arm]["mean"] for rows in found.values()))
    seeds = {name: len(rows["full"]["values"]) for name, rows in found.items()}
    yield "| arm | samples drawn | " + " | ".join(f"{STUDIES[name]}, {n} seeds" for name, n in seeds.items()) + " |"
    yield "|---|---|" + "---|" * len(found)
    for arm in arms:
        part = drawn([(rows[arm], rows["full"]) for rows in found.values()])
        cells = [f"{rows[arm]['mean']:.2f}%" if arm == "full" else difference(rows[arm]) for rows in found.values()]
        yield f"| {arm} | {part} | {' | '.join(cells)} |"


def versions():
    record = json.loads(next((ROOT / "results" / "digits" / "full").glob("seed-*.json")).read_text())
    found = record["versions"]
    return f"torch {found['torch']}, lightning {found['lightning']}"


def block():
    """The README's results, as text."""
    saved, lost = published()
    return "\n".join([
        "What a switch from three views to one keeps, at a fixed part of the run: points of test accuracy against the",
        "full recipe, paired by seed, 95% t-interval. Switching at 0.2 of the run saves 53% of the samples, at 0.35 43%,",
        f"at 0.5 33%, at 0.65 23%, at 0.8 13%. ResNet-8, 20 epochs, small subsets, 2 CPU cores, {versions()}.",
        "",
        *sweep(),
        "",
        f"The published rule saves {saved} of the samples and changes accuracy by {lost} points (confirmation set-ups). Late is",
        "safer than early: [docs/late.md](docs/late.md) has every rule, [docs/when.md](docs/when.md) who should use it.",
        "",
        "What `critperiod compare` measured for every baseline: points of test accuracy against the full recipe, paired by",
        "seed, 95% t-interval, most accurate first. What the arms are, verdicts and figures: `results/*/table.md`.",
        "",
        *baselines(),
        "",
        "Made by `make results` from `results/`, the runs by `python benchmarks/late_enough.py run` and `critperiod compare`.",
        "",
    ])


def main():
    readme = ROOT / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    readme.write_text(before + BEGIN + block() + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
