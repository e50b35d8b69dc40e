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


PAPER = {
    "fixed": "a switch at half of the run",
    "ours": "the published rule's switch",
    "short": "the same samples in a shorter run",
}


def paper():
    """What the paper's switch keeps, in a sentence."""
    found = studies()
    saved = {arm: [1 - rows[arm]["samples"] / rows["full"]["samples"] for rows in found.values()] for arm in PAPER}
    kept = {arm: ", ".join(difference(rows[arm]) for rows in found.values()) for arm in PAPER}
    seeds = {len(rows["full"]["values"]) for rows in found.values()}
    assert len(seeds) == 1
    yield f"**The paper's switch** from three views to one, {seeds.pop()} seeds of 20 epochs; {', '.join(STUDIES.values())}, in points:"
    yield ""
    yield f"- The published rule saves {max(saved['ours']):.0%} of the samples: {kept['ours']}."
    yield f"- A shorter run of the full recipe with as many samples: {kept['short']}."
    yield f"- A switch at half of the run saves {max(saved['fixed']):.0%}: {kept['fixed']}."


ARMS = {
    "full recipe": "full recipe: three views, 30 epochs (accuracy)",
    "together": "images that grow, constant rate, cooldown (`configs/cheaper`)",
    "grown": "images that grow, cosine",
    "short": "the full recipe in fewer steps",
}


def cheaper():
    """The arms of the headline study, as a table."""
    from headline_figure import difference as between
    from headline_page import cost, mean, shown

    sets = headline_sets()
    seeds = sorted({len(runs) for values in sets.values() for runs in values.values()})
    yield f"| ResNet-8, {' to '.join(map(str, seeds))} seeds | operations | {' | '.join(sets)} |"
    yield "|---|---|" + "---|" * len(sets)
    for arm, words in ARMS.items():
        costs = sorted({f"{cost(values, arm):.0%}" for values in sets.values()})
        cells = [
            f"{mean(values, arm):.1f}%" if arm == "full recipe" else shown(between(values, arm, "full recipe"))
            for values in sets.values()
        ]
        yield f"| {words} | {' to '.join(dict.fromkeys((costs[0], costs[-1])))} | {' | '.join(cells)} |"


def verdicts():
    """Of the two claims that were committed before the runs, and what the first row's operations are in seconds."""
    from headline_page import judged

    sets = headline_sets()
    cpu = {arm: [sum(r["cpu_seconds"] for r in v[arm].values()) for v in sets.values()] for arm in ARMS}
    parts = sorted(ours / full for ours, full in zip(cpu["together"], cpu["full recipe"], strict=True))
    rows = {name: judged(name, values) for name, values in sets.items()}
    loss, above = (", ".join(f"{name} {found[place][-1]}" for name, found in rows.items()) for place in (0, 2))
    yield "Two claims about the second row were written down before the runs:"
    yield ""
    yield f"- It loses nothing (whole interval above -0.2 points): {loss}; on at least one it gains: {gains(rows)}."
    yield f"- It is better than the better of the two rows below it, which need as many operations: {above}."
    yield ""
    yield from large_network()
    yield (
        f"In CPU seconds the second row took {parts[0]:.0%} to {parts[-1]:.0%} of the first. "
        "Its schedule is fixed, no rule decides: `critperiod fit --config cheaper/cifar10`."
    )


def large_network():
    """What the second row does with the large network."""
    from headline_arms import LARGE
    from headline_page import judged

    for name, values in headline_sets(LARGE).items():
        full, fixed = (judged(name, values)[place][3] for place in (0, 2))
        where = " on ".join(reversed(name.split(", ")))
        yield f"With {where}, on a GPU, the second row differs by {full} points from the first, and by {fixed} from the"
        yield "better fixed schedule."


def gains(rows):
    """The verdict of what is claimed of at least one data set."""
    found = {each[1][-1] for each in rows.values()}
    return next(verdict for verdict in ("held", "not shown", "refuted") if verdict in found)


def headline_sets(setups=None):
    """Set-up -> arm -> seed -> run, of the headline study; of the small network unless others are given."""
    from headline_arms import SETUPS
    from headline_page import sets_of

    found = [json.loads(path.read_text()) for path in sorted((ROOT / "results" / "headline").glob("*.json"))]
    return sets_of(found, setups or SETUPS)


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
    fired, cost, lost = (cell("ending.md", "| 0.005 |", column) for column in (1, 2, 3))
    yield f"**`EarlyCooldown(min_gain=0.04)`**, ten seeds of five small set-ups: at no more cost, it is {mean} {interval} points better than the"
    yield f"best of twelve EarlyStopping variants, and {cell('ending.md', '| 2 |', 2)} better than a run with a decaying rate that was given the same"
    yield "length. A cooldown at the end of the longest run costs more and keeps more ([the study of endings](docs/ending.md)). The default,"
    yield "`min_gain=0.005`, is for larger validation sets ([how to choose it](docs/cooldown.md#how-to-choose-min_gain)): here its rule fired"
    yield f"{fired}, at {cost} of the cost of the longest run and a difference of {lost} points from it."


def seconds_of_fits():
    """How long fits with images that grow take on a GPU, in words."""
    from gpu_page import saved

    return saved(json.loads((ROOT / "results" / "gpu" / "fits.json").read_text()))


def growing():
    """What the study of low resolution first found."""
    text = (ROOT / "docs" / "growing.md").read_text()
    rows = [
        re.search(rf"\| {claim} \| {setup}, ResNet-8 \| \d+ \| (.*?) \|", text).group(1)
        for claim in ("1: grown against .*?", "2: grown against .*?", "3: stretched against full")
        for setup in ("cifar100", "cifar10", "fashion")
    ]
    large = [
        re.search(rf"\| {claim} \| cifar10, ResNet-18 \| \d+ \| (.*?) \|", text).group(1)
        for claim in ("1: grown against short", "3: stretched against full")
    ]
    yield f"**`GrowingImages`**, ResNet-8, ten seeds: against a shorter run of the same operations {rows[0]} points on CIFAR-100,"
    yield f"{rows[1]} on CIFAR-10, and {rows[2]} on Fashion-MNIST. Against the full run, in the same order: {rows[3]},"
    yield f"{rows[4]} and {rows[5]} at about half of its operations; {rows[6]}, {rows[7]} and {rows[8]} at as many."
    yield f"ResNet-18 on CIFAR-10, on a GPU: {large[0]} against a shorter run, {large[1]} against the full run at as many operations."
    yield f"Seconds are saved where the network keeps the GPU busy: {seconds_of_fits()}"
    yield "([What it costs on a GPU](docs/gpu.md))."
    yield "More: [Low resolution first](docs/growing.md), [how to use it](docs/changes.md#growingimages-low-resolution-first)."


def readme_block():
    """The README's results, as text."""
    saved, lost = of_rule("AtEpoch at 0.8")
    return "\n".join([
        "Differences in test accuracy from the paper's full recipe, in points, paired by seed, with 95% t-intervals. *Operations* are the",
        "floating-point operations of the training steps ([Everything together](docs/headline.md)).",
        "",
        *cheaper(),
        "",
        *verdicts(),
        "",
        "![Test accuracy of three cheaper recipes against the full recipe, on three data sets](docs/headline.svg)",
        "",
        *paper(),
        f"- A switch at 0.8 of the run to one view of all samples saves {saved}: {lost}, in other set-ups",
        "  ([the study of late rules](docs/late.md)).",
        "",
        *ending(),
        "",
        *growing(),
        "",
        "[Evidence](docs/evidence.md) has all arms of the switch, and links every other study. `make results` makes this table and the figure.",
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
        "![Test accuracy against the epoch of the switch: the earlier, the lower](switch.svg)",
        "Fashion-MNIST, 3 seeds: every point is a run that switches at that epoch ([Try every switch epoch](oracle.md)).",
        "",
        f"The published rule saves {saved} of the samples and changes accuracy by {lost} points (confirmation set-ups). Late is",
        "safer than early. [The study of late rules](late.md) has every rule, and [Who should use this](when.md) says who should use the callback.",
        "",
        "## All baselines",
        "",
        "`critperiod compare`: points of test accuracy against the full recipe, paired by seed, 95% t-interval, most accurate",
        "first. [Compare with baselines](compare.md) explains the arms; verdicts and figures are in `results/*/table.md`.",
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


def headline_figure():
    """How far each cheaper arm is from the full recipe."""
    from headline_figure import figure as draw

    return draw(headline_sets())


FIGURES = {"docs/switch.svg": figure, "docs/headline.svg": headline_figure}
BLOCKS = {"README.md": readme_block, "docs/evidence.md": evidence_block}


def main():
    for name, block in BLOCKS.items():
        page = ROOT / name
        before, rest = page.read_text().split(BEGIN)
        page.write_text(before + BEGIN + block() + END + rest.split(END)[1])
    for file, drawn in FIGURES.items():
        (ROOT / file).write_text(drawn())


if __name__ == "__main__":
    main()
