"""Puts the measured tables and the figure into README.md and docs/evidence.md, from results/ and docs/late.md."""

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


def comparison():
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


HEADLINE = {
    "full": "full recipe, accuracy",
    "fixed": "switch at half of the run",
    "ours": "switch where the published rule fires",
    "short": "the full recipe in fewer epochs, no switch",
    "k1": "one view from the start",
    "early_stopping": "EarlyStopping, default patience",
}


def headline():
    """The arms that the README shows."""
    found = studies()
    seeds = {name: len(rows["full"]["values"]) for name, rows in found.items()}
    yield "| arm | samples saved | " + " | ".join(f"{STUDIES[name]}, {n} seeds" for name, n in seeds.items()) + " |"
    yield "|---|---|" + "---|" * len(found)
    for arm, words in HEADLINE.items():
        saved = {round(100 - 100 * rows[arm]["samples"] / rows["full"]["samples"]) for rows in found.values()}
        part = f"{max(saved)}%" if len(saved) == 1 else f"{min(saved)} to {max(saved)}%"
        cells = [f"{rows[arm]['mean']:.2f}%" if arm == "full" else difference(rows[arm]) for rows in found.values()]
        yield f"| {words} (`{arm}`) | {part} | {' | '.join(cells)} |"


def versions():
    record = json.loads(next((ROOT / "results" / "digits" / "full").glob("seed-*.json")).read_text())
    found = record["versions"]
    return f"torch {found['torch']}, lightning {found['lightning']}"


def of_rule(name):
    """Saved samples and points against the full recipe, of a rule of docs/late.md in the confirmation set-ups."""
    text = (ROOT / "docs" / "late.md").read_text().split("### Confirmation set-ups")[1]
    cells = re.search(rf"\| {name}.*", text).group().split("|")
    return cells[3].strip(), cells[4].strip()


def cell(page, start, column):
    """A cell of the first row of a page's tables that begins so."""
    text = (ROOT / "docs" / page).read_text()
    return next(line for line in text.splitlines() if line.startswith(start)).split(" | ")[column].strip(" |")


def ending():
    """What the study of endings found."""
    variants = re.findall(r": ([+-][\d.]+) (\[.*?\])", cell("ending.md", "| 1 |", 2))
    mean, interval = min(variants, key=lambda found: float(found[0]))
    yield f"`EarlyCooldown(min_gain=0.04)`, ten seeds of five small set-ups: at no more cost it is {mean} {interval} points above the"
    yield f"best of twelve EarlyStopping variants, and {cell('ending.md', '| 2 |', 2)} above a run that was told its length. A run of"
    yield "the whole length costs more and keeps more ([docs/ending.md](docs/ending.md)). The default, `min_gain=0.005`, is for larger"
    yield "validation sets, and was not studied ([docs/cooldown.md](docs/cooldown.md))."


def growing():
    """What the study of low resolution first found."""
    text = (ROOT / "docs" / "growing.md").read_text()
    rows = [
        re.search(rf"\| {claim}: grown against .*? \| {setup}, ResNet-8 \| \d+ \| (.*?) \|", text).group(1)
        for claim in (1, 2)
        for setup in ("cifar10", "fashion")
    ]
    yield f"`GrowingImages`, ten seeds: {rows[0]} points on CIFAR-10 and {rows[1]} on Fashion-MNIST against a shorter run of"
    yield f"the same operations, but {rows[2]} and {rows[3]} against the full run, which costs about twice as much"
    yield "([docs/growing.md](docs/growing.md))."


def readme_block():
    """The README's results, as text."""
    saved, lost = of_rule("AtEpoch at 0.8")
    return "\n".join([
        "Test accuracy in points against the full recipe (three views), paired by seed, with 95% t-intervals. ResNet-8, small",
        "subsets, 20 epochs. After the switch: one view of 70% of the samples, the last eighth with the full recipe.",
        "",
        *headline(),
        "",
        "![Test accuracy against the epoch of the switch: the earlier, the lower](docs/switch.svg)",
        "Fashion-MNIST, 3 seeds: every point is a run that switches at that epoch ([docs/oracle.md](docs/oracle.md)).",
        "",
        f"Without pruning, a switch at 0.8 of the run saves {saved} of the samples and changes accuracy by {lost} points ([docs/late.md](docs/late.md)).",
        "",
        *ending(),
        "",
        *growing(),
        "",
        "All arms, rules and verdicts: [docs/evidence.md](docs/evidence.md). `make results` makes table and figure.",
        "",
    ])


def evidence_block():
    """The two long tables of docs/evidence.md, as text."""
    saved, lost = of_rule("published")
    return "\n".join([
        "## A switch at a fixed part of the run",
        "",
        "What a switch from three views to one keeps: points of test accuracy against the full recipe, paired by seed, 95%",
        "t-interval. Switching at 0.2 of the run saves 53% of the samples, at 0.35 43%, at 0.5 33%, at 0.65 23%, at 0.8 13%.",
        f"ResNet-8, 20 epochs, small subsets, 2 CPU cores, {versions()}.",
        "",
        *sweep(),
        "",
        f"The published rule saves {saved} of the samples and changes accuracy by {lost} points (confirmation set-ups). Late is",
        "safer than early. [late.md](late.md) has every rule, and [when.md](when.md) says who should use the callback.",
        "",
        "## All baselines",
        "",
        "`critperiod compare`: points of test accuracy against the full recipe, paired by seed, 95% t-interval, most accurate",
        "first. [compare.md](compare.md) explains the arms; verdicts and figures are in `results/*/table.md`.",
        "",
        *comparison(),
        "",
        "Made by `make results` from `results/`; the runs by `python benchmarks/late_enough.py run` and `critperiod compare`.",
        "",
    ])


def figure():
    """The oracle's Figure 1 on white, so that it can be read on a dark page too."""
    drawn = (ROOT / "results" / "oracle" / "fashion" / "figure1.svg").read_text()
    return drawn.replace("fill: none; opacity: 0", "fill: #ffffff", 1)


BLOCKS = {"README.md": readme_block, "docs/evidence.md": evidence_block}


def main():
    for name, block in BLOCKS.items():
        page = ROOT / name
        before, rest = page.read_text().split(BEGIN)
        page.write_text(before + BEGIN + block() + END + rest.split(END)[1])
    (ROOT / "docs" / "switch.svg").write_text(figure())


if __name__ == "__main__":
    main()
