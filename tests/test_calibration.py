"""What the docstrings of the rules say of their false alarms, against the very cells of docs/calibration.md."""

import inspect
import re
from pathlib import Path

import pytest

from lightning_critperiod.rules import Forecast, LowOutlier, Patient, Plateau, Slope, Worthwhile

ROOT = Path(__file__).parents[1]
EVERY = "LowOutlier(every_n_epochs=1)"
WORTH = "Worthwhile(min_gain=0.05, mode='min')"


def rows_of(page):
    """Every row of every table of a page: column -> cell."""
    found, head = [], None
    for line in (ROOT / "docs" / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else None
        if cells and head and not set("".join(cells)) <= set("- "):
            found.append(dict(zip(head, cells, strict=True)))
        head = None if cells is None else head or cells
    return found


def percent(column, **where):
    """The share in a cell of calibration.md: the only row with this column and these cells."""
    matching = {"rule": f"`{where.pop('rule')}`", **{key.replace("_", " "): value for key, value in where.items()}}
    (cell,) = [row[column] for row in rows_of("calibration.md") if column in row and matching.items() <= row.items()]
    return re.fullmatch(r"(\d+)% \[\d+, \d+\]", cell)[1]


def patient(column, signal, rule, epochs):
    return percent(column, rule=rule, signal=signal, epochs_in_a_row=str(epochs))


STATED = [
    (
        Slope,
        "on a steady rise at 60 degrees {}% of the runs with noise of 0.1% of that rise, {}% with 1%",
        lambda: [percent(f"steady, {sd}", rule="Slope()") for sd in ("0.1%", "1%")],
    ),
    (
        LowOutlier,
        "on stationary noise {}% of the runs, {}% when it is correlated from epoch to epoch (AR(1), 0.9); on a signal "
        "that falls steadily {}% with noise of 1% of the fall, {}% with correlated noise of 10%. It misses {}% of "
        "drops by 4 standard deviations",
        lambda: [
            *(percent(f"flat, {kind}", rule="LowOutlier()") for kind in ("white", "AR(1) 0.9")),
            *(percent(f"steady, {kind}", rule="LowOutlier()") for kind in ("1%", "AR(1) 10%")),
            percent("missed", rule="LowOutlier()", signal="drop of 4 sd, AR(1) 0"),
        ],
    ),
    (
        Plateau,
        "on a steady fall {}% of the runs with noise of 0.1% of that fall, {}% with 1%, {}% with 10%; on a "
        "flat signal {}%",
        lambda: [
            percent(c, rule="Plateau(patience=3)") for c in ("steady, 0.1%", "steady, 1%", "steady, 10%", "flat, white")
        ],
    ),
    (
        Patient,
        "on stationary noise {}% of the runs at 1 epoch, {}% at 2, {}% at 3, and {}% at 3 when it is correlated from "
        "epoch to epoch (AR(1), 0.9). At 3 it misses {}% of drops by 4 standard deviations, and is 3 epochs late; the "
        "published ``LowOutlier()`` has {}% false alarms, misses {}% and is 10 late",
        lambda: [
            *(patient("false alarms, no end", "white", EVERY, epochs) for epochs in (1, 2, 3)),
            patient("false alarms, no end", "AR(1) 0.9", EVERY, 3),
            patient("missed", "white", EVERY, 3),
            patient("false alarms, no end", "white", "LowOutlier()", 1),
            patient("missed", "white", "LowOutlier()", 1),
        ],
    ),
    (
        Forecast,
        "{}% of the runs on a steady fall with noise of 10% of it, {}% when that is correlated from epoch to epoch "
        "(AR(1), 0.9); {}% on a power law with noise of 1%, and {}% of the ends missed. It fires on {}% of flat "
        "signals with correlated noise",
        lambda: [
            *(percent(f"steady, {kind}", rule="Forecast()") for kind in ("10%", "AR(1) 10%")),
            *(percent(c, rule="Forecast()", signal="power law, noise 0.01") for c in ("false alarms", "missed")),
            percent("flat, AR(1) 0.9", rule="Forecast()"),
        ],
    ),
    (
        Worthwhile,
        "{}% of the runs on a steady fall with noise of 10% of it, {}% when that is correlated from epoch to epoch "
        "(AR(1), 0.9); {}% on a power law with noise of 1%, and {}% of the ends missed",
        lambda: [
            *(percent(f"steady, {kind}", rule=WORTH) for kind in ("10%", "AR(1) 10%")),
            *(percent(c, rule=WORTH, signal="power law, noise 0.01") for c in ("false alarms", "missed")),
        ],
    ),
]


STRANGERS = "{alarms}% false alarms"
LATE = "{alarms}% false alarms; it is late and saves {saved} of the epochs, of {possible} that were possible"


@pytest.mark.parametrize(("rule", "sentence", "cells"), STATED, ids=[rule.__name__ for rule, *_ in STATED])
def test_what_a_docstring_says_of_false_alarms_stands_in_its_very_cells_of_the_calibration(rule, sentence, cells):
    assert sentence.format(*cells()) in " ".join(inspect.getdoc(rule).split())


@pytest.mark.parametrize(
    ("rule", "row", "sentence"),
    [
        (Forecast, "`Forecast(min_gain)`, of the gain so far", STRANGERS),
        (Worthwhile, "`Worthwhile`, horizon the end of the run", LATE),
    ],
)
def test_what_a_docstring_says_of_public_runs_stands_on_the_page_of_the_study(rule, row, sentence):
    half = (ROOT / "docs" / "worthwhile.md").read_text().split("## The confirmation half")[1]
    table = half.split("### Every rule, `min_gain` 2%")[1].split("Ours,")[0]
    (cells,) = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith(f"| {row}")]
    numbers = {"alarms": cells[2].split("%")[0], "saved": cells[5], "possible": cells[6]}
    assert sentence.format(**numbers) in " ".join(inspect.getdoc(rule).split())
