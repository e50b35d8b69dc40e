"""How often `Worthwhile` and `Forecast` are wrong on real curves, and how late: finished public runs and our own.

python benchmarks/worthwhile.py                writes docs/worthwhile.md from the curves in results/; trains nothing
python benchmarks/worthwhile.py development    the same without the half that confirms
"""

import os
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean, median

from scoring import share, table
from worthwhile_curves import AVERAGED, GROUPS, STRANGERS, Curve, load
from worthwhile_judge import DOUBLING, EXPONENTIAL, FORECAST, RULES, WORTHWHILE, Outcome, judge

TARGET = Path(__file__).resolve().parents[1] / "docs" / "worthwhile.md"
PARTS = (0.01, 0.02, 0.05)
"""min_gain as a part of what the training gained in all: 0.02 is half a point of an accuracy that rises by 25."""


def row(name: str, outcomes: list[Outcome]) -> list[str]:
    wrong = [outcome for outcome in outcomes if outcome.false_alarm]
    right = [outcome for outcome in outcomes if outcome.epoch and not outcome.false_alarm]
    return [
        name,
        f"{sum(outcome.epoch is not None for outcome in outcomes)} of {len(outcomes)}",
        share(len(wrong), len(outcomes)),
        f"{median(outcome.to_come for outcome in wrong):.1f}" if wrong else "-",
        f"{median(outcome.delay for outcome in right):+.0%}" if right else "-",
        f"{fmean(0.0 if outcome.false_alarm else outcome.saved for outcome in outcomes):.0%}",
        f"{fmean(outcome.possible for outcome in outcomes):.0%}",
    ]


def by_group(curves: list[Curve], part: float) -> str:
    head = ["rule", "fired", "false alarms", "to come", "delay", "saved", "possible"]
    text = ""
    for group in GROUPS:
        chosen = [curve for curve in curves if curve.group == group]
        rows = [row(name, [judge(name, curve, part) for curve in chosen]) for name in RULES]
        text += f"\n{group[0].upper() + group[1:]}:\n\n{table(head, rows)}"
    return text


def by_kind(curves: list[Curve], part: float) -> str:
    kinds = defaultdict(list)
    for curve in curves:
        if curve.group == STRANGERS:
            kinds[curve.kind].append(judge(WORTHWHILE, curve, part))
    head = ["kind", "fired", "false alarms", "to come", "delay", "saved", "possible"]
    return table(head, [row(kind, outcomes) for kind, outcomes in sorted(kinds.items())])


def alarms(curves: list[Curve], part: float) -> str:
    """Every false alarm of Worthwhile with the run's end as horizon."""
    found = [judge(WORTHWHILE, curve, part) for curve in curves]
    rows = [
        [o.curve.name, o.curve.metric, o.curve.kind, f"{o.epoch} of {len(o.curve.values)}", f"{o.to_come:.1f}"]
        for o in found
        if o.false_alarm
    ]
    return table(["run", "metric", "kind", "fired", "to come"], rows) if rows else "None.\n"


def claims(curves: list[Curve]) -> str:
    """The claims of the page against a half of the curves, min_gain 2%."""
    part = 0.02

    def wrong(name: str, group: str) -> tuple[int, int]:
        outcomes = [judge(name, curve, part) for curve in curves if curve.group == group]
        return sum(outcome.false_alarm for outcome in outcomes), len(outcomes)

    (alarms_1, n), (alarms_2, n_2) = wrong(WORTHWHILE, STRANGERS), wrong(WORTHWHILE, AVERAGED)
    averaged = [judge(WORTHWHILE, curve, part) for curve in curves if curve.group == AVERAGED]
    saved = fmean(0.0 if outcome.false_alarm else outcome.saved for outcome in averaged)
    possible = fmean(outcome.possible for outcome in averaged)
    others = {name: wrong(name, STRANGERS)[0] for name in list(RULES)[2:5]}
    new, old = wrong(FORECAST, STRANGERS)[0], wrong(EXPONENTIAL, STRANGERS)[0]
    rows = [
        ["1", f"{alarms_1} of {n}", _held(alarms_1 <= 0.15 * n)],
        [
            "2",
            f"{alarms_2} of {n_2}; {saved:.0%} of {possible:.0%}",
            _held(alarms_2 <= 0.1 * n_2 and saved >= possible / 3),
        ],
        ["3", f"{alarms_1} against {', '.join(map(str, others.values()))}", _held(alarms_1 < min(others.values()))],
        ["4", f"{new} of {n}, before {old}", _held(new <= 0.2 * n and 2 * new <= old)],
    ]
    return table(["claim", "found", "verdict"], rows)


def price(curves: list[Curve]) -> str:
    """What few false alarms cost in savings, min_gain 2%."""
    found = {group: [judge(WORTHWHILE, c, 0.02) for c in curves if c.group == group] for group in (STRANGERS, AVERAGED)}
    saved = [fmean(0.0 if o.false_alarm else o.saved for o in outcomes) for outcomes in found.values()]
    possible = [fmean(o.possible for o in outcomes) for outcomes in found.values()]
    doubling = [judge(DOUBLING, curve, 0.02) for curve in curves if curve.group == AVERAGED]
    fired = sum(outcome.epoch is not None for outcome in doubling)
    return (
        "Few false alarms have a price: delay. With the end of the run as its horizon, `Worthwhile` saves\n"
        f"{saved[0]:.0%} of the epochs of public runs ({possible[0]:.0%} were possible), and {saved[1]:.0%} on averaged weights "
        f"({possible[1]:.0%} were possible).\nWithout a horizon the rule waits until a whole doubling of the training brings less than "
        f"`min_gain`.\nOf the averaged curves, {fired} of {len(doubling)} reach that before they end.\n"
    )


def _held(held: bool) -> str:
    return "held" if held else "did not hold"


PAGE = """# Is going on worth it?

Can a rule tell from a validation curve that the rest of a run is not worth training? Here `Worthwhile`, `Forecast` and simpler
rules are asked after every epoch of recorded curves, as a run would ask them. The rest of the curve then shows whether
the rule was right.

**`Worthwhile` has few false alarms, but it fires late.** The table has the four claims about the half of the curves that was kept
for confirmation, with `min_gain` 2%. They were written down and committed before that half was looked at.

1. `Worthwhile` with the end of the run as its horizon has false alarms on at most 15% of public curves.
2. On the metric of averaged weights at a constant learning rate it has false alarms on at most 10% of the curves, and saves at
   least a third of what is possible.
3. On public curves it has fewer false alarms than the naive doubling rule and than `Plateau` with patience 3 and 10.
4. `Forecast` is wrong on at most 20% of public curves, and at most half as often as its earlier form, an exponential fit.

{claims}
{price}
What these rules cannot see: a drop of the learning rate, layers that are unfrozen later, an augmentation that is switched off
later. Before such a step the curve shows nothing left to gain, and the rule says so.

## How it was measured

- **Curves.** 44 metrics of 33 public repositories, the runs that our own studies recorded, and 12 runs at a constant learning
  rate whose metric was taken of the raw and of the averaged weights (`benchmarks/worthwhile_trunks.py`). The public ones are in
  `results/worthwhile/curves.json`, with repository, path and commit. Most of these repositories state no licence, so
  only the measured numbers of a column were taken. Repositories were chosen by their names. Left out: logs of fewer than
  15 epochs, logs of several runs in one, metrics that never changed, and logs without a validation metric, except for three
  smooth training losses. A curve on which the training gained nothing is not judged.
- **Two halves, development and confirmation.** Public repositories were divided by the hash of their name within each kind, our own
  runs by data set, before any rule was asked. The form of `Worthwhile` (how far its lines reach back, the level of its
  limit) and that of `Forecast` were chosen on the development half.
- **`min_gain`** is a fraction of what the whole training gained, so that one number suits every metric.
- **False alarm**: when the rule fired, more than `min_gain` was still to come. The value at an epoch is the best so far of
  the mean over the last twentieth of the run (at least 3 epochs). *To come* is the median over the false alarms, in
  multiples of `min_gain`.
- **Delay**: epochs after the first one at which it was right to stop, as a percentage of the run; the median over the curves
  on which the rule fired and was right.
- **Saved**: epochs left out where the rule was right, as a percentage of the run; the mean over all curves. *Possible* is
  what a rule that knows the future saves.
- "One doubling" is judged by what came until twice the epoch, and only as far as the curve goes.

`python benchmarks/worthwhile.py` writes this page from the curves in `results/`; do not edit it.

{halves}"""

HALF = """## The {role} half

{counts}

### False alarms of `Worthwhile`, horizon the end of the run

{alarms}
### `Worthwhile` by kind of public run, horizon the end of the run, `min_gain` 2%

{kinds}
{tables}"""


def half(role: str) -> str:
    curves = load(role)
    counts = ", ".join(f"{sum(curve.group == group for curve in curves)} of {group}" for group in GROUPS)
    listed = "\n".join(f"`min_gain` {part:.0%}:\n\n{alarms(curves, part)}" for part in PARTS)
    tables = "\n".join(f"### Every rule, `min_gain` {part:.0%}\n{by_group(curves, part)}" for part in PARTS)
    return HALF.format(
        role=role,
        counts=f"Curves: {counts}.",
        alarms=listed,
        kinds=by_kind(curves, 0.02),
        tables=tables,
    )


def document(roles: list[str]) -> str:
    known = "confirmation" in roles
    found = claims(load("confirmation")) if known else "Not looked at yet.\n"
    late = price(load("confirmation" if known else "development"))
    return PAGE.format(claims=found, price=late, halves="\n".join(map(half, roles)))


def main() -> None:
    roles = ["development"] if sys.argv[1:] == ["development"] else ["confirmation", "development"]
    text = document(roles)
    unfinished = TARGET.with_suffix(".tmp")
    unfinished.write_text(text)
    os.replace(unfinished, TARGET)


if __name__ == "__main__":
    main()
