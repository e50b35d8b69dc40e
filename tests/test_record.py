"""The record as JSON: what is written is read back, older files are read, and what is wrong is said by its place."""

import json
from pathlib import Path

import pytest
from example_record import as_json, record

from lightning_critperiod.recipe import Volume
from lightning_critperiod.record import Decision, Epoch, Measured, Projected, Record, Run, Span, load, read

RESULTS = Path(__file__).parents[1] / "results"
STUDIES = [file.parent for file in sorted(RESULTS.rglob("study.json"))]

EVERYTHING = Record(
    run=Run("Net", None, 3, limit_train_batches=0.5),
    status="interrupted",
    error="OSError: gone",
    decision=Decision(
        "val_acc",
        "Plateau()",
        lines={"best": ((0.0, 0.5), (2.0, 0.5))},
        course={"gain": ((0.0, 0.5),)},
        limits={"kwh": 2.0},
        spent={"kwh": ((0.0, 0.5), (1.0, 1.0))},
        end_epoch=1,
        back_epoch=2,
        cooldown_epoch=1,
        last_epoch=2,
        guard_reason="dropped",
        phases=(Span("during", 0, 0), Span("cooldown", 1, 2)),
    ),
    observers=(Decision("layer_rotation", "Slope()", observe_only=True),),
    epochs=(
        Epoch(0, 4, 2, {"training": 1.5}, 1e9, 0.1, {"val_acc": None}, 0.5, "during", Volume(2.0)),
        Epoch(1, settings={"mixup": 0.5, "size": 32, "name": "x", "on": True, "none": None}),
    ),
    measured=Measured(2.0, assumed=("country_iso_code",)),
    projected=Projected(3.0, epochs_left_out=7),
)


@pytest.mark.parametrize("run", [record(), EVERYTHING], ids=["example", "everything"])
def test_a_record_comes_back_from_json_as_it_was(run):
    assert Record.from_json(json.loads(json.dumps(run.to_json()))) == run


def test_the_numbers_keep_their_types():
    back = Record.from_json(json.loads(json.dumps(EVERYTHING.to_json())))
    assert [type(value) for value in back.epochs[1].settings.values()] == [float, int, str, bool, type(None)]
    assert Record.from_json(as_json(measured={"seconds": 25})).measured.seconds == 25.0


@pytest.mark.parametrize("study", STUDIES, ids=lambda folder: folder.name)
def test_files_of_format_1_are_read(study):
    files = list(study.glob("*/seed-*.json"))
    assert files
    for file in files[:: max(1, len(files) // 5)]:
        _, old = read(file)
        found = load(file)
        assert old["format"] == 1
        assert found.measured.samples == old["measured"]["samples"]
        assert [epoch.phase for epoch in found.epochs] == [epoch["phase"] for epoch in old["epochs"]]
        assert [epoch.signal for epoch in found.epochs] == [epoch["signal"] for epoch in old["epochs"]]
        assert found.metrics.test == old["metrics"]["test"]
        assert found.to_json()["format"] == 2


def test_what_an_older_version_did_not_know_has_its_default():
    old = as_json(format=1)
    del old["observed"], old["decision"]["lines"], old["run"]["nodes"]
    found = Record.from_json(old)
    assert (found.observed, found.decision.lines, found.run.nodes, found.epochs[0].settings) == (None, {}, 1, {})


def test_what_a_users_own_recipe_said_in_format_1_is_kept_in_words():
    old = as_json(format=1)
    old["decision"]["recipe"]["multipliers"] = [3.0, 2.0]
    assert Record.from_json(old).decision.recipe.changes == {"multipliers": "[3.0, 2.0]"}


def test_a_field_that_this_version_does_not_have_is_no_error():
    assert Record.from_json(as_json(comparison={"arm": "ours"}, run={"colour": "blue"})) == record()
