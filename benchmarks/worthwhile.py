"""How often `Worthwhile` and `Forecast` are wrong on real curves, and how late: strangers' finished runs and our own.

python benchmarks/worthwhile.py                writes docs/worthwhile.md from the curves in results/; trains nothing
python benchmarks/worthwhile.py development    the same without the half that confirms
"""

import os
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

import numpy as np
from scoring import share, table
from worthwhile_curves import AVERAGED, GROUPS, STRANGERS, Curve, load

from lightning_critperiod.rules import Forecast, History, Plateau, Worthwhile
from lightning_critperiod.rules.measured import measured

TARGET = Path(__file__).resolve().parents[1] / "docs" / "worthwhile.md"
PARTS = (0.01, 0.02, 0.05)
"""min_gain as a part of what the training gained in all: 0.02 is half a point of an accuracy that rises by 25."""

Verdict = Callable[[History, int], bool]


def doubling(curve: Curve, min_gain: float) -> Verdict:
    """The naive form: the mean of the last three values against that at half the time."""
    sign = 1 if curve.mode == "max" else -1

    def fires(history: History, epochs: int) -> bool:
        values, half = [sign * value for _, value in measured(history)], len(history) // 2
        return len(values) >= 8 and fmean(values[-3:]) - fmean(values[half - 3 : half]) < min_gain

    return fires


def exponential(curve: Curve, part: float) -> Verdict:
    """What `Forecast` was: a + b exp(-t / tau) has less than a part of the gain so far left until the last epoch."""

    def fires(history: History, epochs: int) -> bool:
        t, y = np.array(sorted(history)), np.array([history[e] for e in sorted(history)])
        if len(t) < max(6, epochs / 10) or np.ptp(y) == 0:
            return False
        taus = np.geomspace(0.5, 10 * t[-1], 60)
        basis = [np.stack([np.ones(len(t)), np.exp(-t / tau)], axis=1) for tau in taus]
        fits = [np.linalg.lstsq(x, y, rcond=None)[0] for x in basis]
        residuals = [float(np.sum((y - x @ fit) ** 2)) for x, fit in zip(basis, fits, strict=True)]
        best = int(np.argmin(residuals))
        line = np.sum((y - np.polyval(np.polyfit(t, y, 1), t)) ** 2)
        bent = len(t) * np.log((line + 1e-300) / (residuals[best] + 1e-300)) > 10
        now, last = np.exp(-np.array([t[-1], epochs - 1]) / taus[best])
        return bool(bent and (fits[best][1] < 0) == (curve.mode == "max") and now - last < part * (1 - now))

    return fires


RULES: dict[str, Callable[[Curve, float], Verdict]] = {
    "`Worthwhile`, horizon the end of the run": lambda c, p: Worthwhile(p * c.span, c.mode, len(c.values)),
    "`Worthwhile`, one doubling": lambda c, p: Worthwhile(p * c.span, c.mode),
    "doubling, naive": lambda c, p: doubling(c, p * c.span),
    "`Plateau(3, min_delta=min_gain)`": lambda c, p: Plateau(3, p * c.span, c.mode),
    "`Plateau(10, min_delta=min_gain)`": lambda c, p: Plateau(10, p * c.span, c.mode),
    "`Forecast(min_gain)`, of the gain so far": lambda c, p: Forecast(p, c.mode),
    "an exponential (`Forecast` before)": exponential,
}
WORTHWHILE, DOUBLING = list(RULES)[:2]
FORECAST, EXPONENTIAL = list(RULES)[-2:]


class Outcome(NamedTuple):
    """Of a rule on a curve; epoch None: it never fired. All in parts: of the run, and of min_gain."""

    curve: Curve
    epoch: int | None
    to_come: float
    saved: float
    possible: float
    delay: float

    @property
    def false_alarm(self) -> bool:
        return self.to_come > 1


def judge(name: str, curve: Curve, part: float) -> Outcome:
    """Ask a rule after every epoch but the last. What was to come is counted to the end of the run.

    For "one doubling" it is counted to twice the epoch at which the rule fired, for `Forecast` in parts of the gain so far.
    """
    fires, n = RULES[name](curve, part), len(curve.values)
    history: History = {}
    right = curve.right_epoch(part * curve.span)
    for epoch, value in enumerate(curve.values[:-1]):
        history[epoch] = value
        if fires(history, n):
            fired = epoch + 1
            gained = curve.best[epoch] - curve.best[0] if name in {FORECAST, EXPONENTIAL} else curve.span
            to_come = (
                curve.to_come(fired, 2 * fired if name == DOUBLING else n) / (part * gained) if gained > 0 else np.inf
            )
            return Outcome(curve, fired, to_come, 1 - fired / n, 1 - right / n, (fired - right) / n)
    return Outcome(curve, None, 0.0, 0.0, 1 - right / n, 1 - right / n)


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
    head = ["rule", "fired", "false alarms %", "to come then", "delay", "saved", "possible"]
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
    head = ["kind", "fired", "false alarms %", "to come then", "delay", "saved", "possible"]
    return table(head, [row(kind, outcomes) for kind, outcomes in sorted(kinds.items())])


def alarms(curves: list[Curve], part: float) -> str:
    """Every false alarm of Worthwhile with the run's end as horizon."""
    found = [judge(WORTHWHILE, curve, part) for curve in curves]
    rows = [
        [o.curve.name, o.curve.metric, o.curve.kind, f"{o.epoch} of {len(o.curve.values)}", f"{o.to_come:.1f}"]
        for o in found
        if o.false_alarm
    ]
    return table(["run", "metric", "kind", "fired after", "to come then"], rows) if rows else "None.\n"


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


def _held(held: bool) -> str:
    return "held" if held else "did not hold"


PAGE = """# Is going on worth it?

Made by `python benchmarks/worthwhile.py` from the curves in `results/`; do not edit. A rule is asked after every epoch
of a recorded curve, as a run would ask it. Then the rest of the curve says whether it was right.

- The curves: 44 metrics of 33 strangers' repositories (`results/worthwhile/curves.json` has the numbers with repository,
  path and commit; most of these repositories state no licence, so that nothing but measured numbers of a column was
  taken); the runs that our own studies recorded; and 12 runs at a constant learning rate whose metric was taken of the
  raw and of the averaged weights (`benchmarks/worthwhile_trunks.py`). Repositories were picked by their names. Left out
  were logs of fewer than 15 epochs, of several runs in one, of a metric that never changed, and those without a
  validation metric, but for three smooth training losses. A curve on which the training gained nothing is not judged.
- Development and confirmation: repositories by the hash of their name within each kind; our own by data set. The
  halves were fixed before any rule was asked. The form of `Worthwhile` (how far its lines reach back, the level of its
  limit) and that of `Forecast` were chosen on the development half; the claims below were written down, and committed,
  before the other half was looked at.
- `min_gain` is a part of what the whole training gained, so that one number suits every metric.
- A false alarm: more than `min_gain` was still to come when the rule fired. The value at an epoch is the best so far of
  the mean over the last twentieth of the run (at least 3 epochs). "To come then" is the median over the false alarms,
  in multiples of `min_gain`.
- Delay: from the epoch at which it was right to stop, in percent of the run; median over the curves on which the
  rule fired and was right. Saved: epochs left out where it was right, in percent of the run, mean over all curves.
  Possible: what a rule that knows the future saves.
- "One doubling" is judged by what came until twice the epoch, and only as far as the curve goes.

## Claims

For `min_gain` 2%, on the half that confirms:

1. `Worthwhile` with the end of the run as its horizon has false alarms on at most 15% of strangers' curves.
2. On the metric of averaged weights at a constant rate it has false alarms on at most 10% of the curves, and saves at
   least a third of what is possible.
3. On strangers' curves it has fewer false alarms than the naive doubling rule and than `Plateau` of patience 3 and 10.
4. `Forecast` is wrong on at most 20% of strangers' curves, and at most half as often as the exponential that it was
   before.

{claims}
What it cannot see: a drop of the learning rate, a backbone that thaws, an augmentation that is switched off later. Before
such a step the curve says that nothing is to come, and so does the rule.

{halves}"""

HALF = """## {title}

{counts}

### False alarms of `Worthwhile`, horizon the end of the run

{alarms}
### By kind of strangers' runs, `Worthwhile`, horizon the end of the run, `min_gain` 2%

{kinds}
{tables}"""


def half(role: str) -> str:
    curves = load(role)
    counts = ", ".join(f"{sum(curve.group == group for curve in curves)} of {group}" for group in GROUPS)
    listed = "\n".join(f"`min_gain` {part:.0%}:\n\n{alarms(curves, part)}" for part in PARTS)
    tables = "\n".join(f"### Every rule, `min_gain` {part:.0%}\n{by_group(curves, part)}" for part in PARTS)
    return HALF.format(
        title=f"The half for {role}",
        counts=f"Curves: {counts}.",
        alarms=listed,
        kinds=by_kind(curves, 0.02),
        tables=tables,
    )


def document(roles: list[str]) -> str:
    found = claims(load("confirmation")) if "confirmation" in roles else "Not looked at yet.\n"
    return PAGE.format(claims=found, halves="\n".join(map(half, roles)))


def main() -> None:
    roles = ["development"] if sys.argv[1:] == ["development"] else ["confirmation", "development"]
    text = document(roles)
    unfinished = TARGET.with_suffix(".tmp")
    unfinished.write_text(text)
    os.replace(unfinished, TARGET)


if __name__ == "__main__":
    main()
