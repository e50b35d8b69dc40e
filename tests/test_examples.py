"""The examples run, and decide as the detector says."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_plain_torch_loop_draws_less_in_the_epochs_after_the_period_and_only_there():
    detector, drawn, accuracy = load("plain_torch").train(epochs=16)
    end = detector.end_epoch
    assert end is not None
    annealing = end + -(-(16 - end) * 7 // 8)
    assert drawn == [980 if end <= epoch < min(annealing, 15) else 1400 for epoch in range(16)]
    assert accuracy > 0.85


def test_a_fabric_loop_ends_when_the_rule_fires():
    detector, epochs = load("fabric_loop").train(most_epochs=60)
    assert detector.end_epoch == epochs < 60
    losses = detector.history
    best = min(losses, key=losses.get)
    assert epochs - 1 - best >= 3


@pytest.mark.parametrize("name", ["plain_torch", "fabric_loop"])
def test_an_example_is_at_most_60_lines(name):
    assert len((FOLDER / f"{name}.py").read_text().splitlines()) <= 60
