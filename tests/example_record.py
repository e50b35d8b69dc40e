"""A record of a run, made up, for the tests of what is drawn and written from it."""

import copy

from lightning_critperiod.record import Record

FULL = {"augmentation_multiplier": 3.0, "pruning_ratio": 0.0}
LESS = {"augmentation_multiplier": 1.0, "pruning_ratio": 0.0}
SIGNAL = [0.0, 0.2, 0.4, 0.5, 0.55, 0.58, 0.6, 0.61]


def _epoch(number):
    full = number < 4 or number == 7
    return {
        "epoch": number,
        "samples": 300 if full else 100,
        "batches": 30 if full else 10,
        "seconds": {"training": 3.0 if full else 1.0, "validation": 0.5},
        "learning_rate": 0.1 * (8 - number),
        "metrics": {"val_loss": 1 / (number + 1), "val_acc": number / 10, "train_loss": 2 / (number + 1)},
        "signal": SIGNAL[number],
        "volume": FULL if full else LESS,
        "phase": "during" if number < 4 else "annealing" if full else "after",
    }


RECORD = {
    "format": 2,
    "status": "completed",
    "error": None,
    "run": {"model": "Net", "max_epochs": 8, "epochs_done": 8, "steps": 180, "processes": 1, "nodes": 1, "seed": 7},
    "decision": {
        "signal": "layer_rotation",
        "rule": "Slope(window=3, max_angle=45.0, min_epochs=None)",
        "rule_name": "Slope",
        "rule_arguments": {"window": 3, "max_angle": 45.0, "min_epochs": None},
        "lines": {"fitted line": [[0.5, 0.17 / 1.2], [3.5, 0.71 / 1.2]]},
        "recipe": {"during": None, "after": LESS, "annealing_fraction": 0.125},
        "lr_policy": "epoch_equivalent",
        "observe_only": False,
        "full_volume": FULL,
        "end_epoch": 4,
        "reason": "critical period over after epoch 3: layer rotation rose at 40.0 degrees, below 45",
    },
    "epochs": [_epoch(number) for number in range(8)],
    "measured": {
        "seconds": 25.0,
        "energy_kwh": 0.5,
        "co2_kg": 0.2,
        "money": 0.1,
        "currency": "EUR",
        "samples": 1800,
        "seconds_by_phase": {"training": 18.0, "validation": 4.0, "detector": 1.0, "start_up": 2.0},
        "energy_by_part": {"cpu_kwh": 0.4, "gpu_kwh": 0.0, "ram_kwh": 0.1, "co2_kg": 0.2},
        "price_per_kwh": 0.2,
        "price_per_hour": 0.0,
        "country_iso_code": "DEU",
        "region": None,
        "obtained": {"cpu": "estimated: 8 W (TDP) scaled by processor load", "gpu": "no graphics card found"},
    },
    "projected": {
        "samples": 2400,
        "seconds": 30.0,
        "seconds_low": 28.0,
        "seconds_high": 32.0,
        "seconds_by_phase": {"training": 24.0, "validation": 4.0, "start_up": 2.0},
        "epochs_projected": 3,
        "energy_kwh": 0.6,
        "co2_kg": 0.24,
        "money": 0.12,
        "basis": "from the seconds per sample of the 5 epochs that had the full recipe",
    },
    "observed": None,
    "metrics": {"validation": {"val_loss": 0.125, "val_acc": 0.7}, "test": {"test_acc": 0.68}},
    "hardware": {"device": "cpu", "processor": "A|B <processor>"},
    "versions": {"python": "3.11", "torch": "2.14.1"},
    "config": "model: <Net> & co\n",
}


def as_json(**changes):
    """As report.json has it, with other values by key; a dict is merged into what is there."""
    result = copy.deepcopy(RECORD)
    for key, value in changes.items():
        result[key] = {**result[key], **value} if isinstance(value, dict) and result.get(key) else value
    return result


def record(**changes):
    """The record, changed as ``as_json`` does."""
    return Record.from_json(as_json(**changes))


def with_epochs(change):
    """The record after a function has changed every epoch, as JSON has it, in place."""
    found = as_json()
    for epoch in found["epochs"]:
        change(epoch)
    return Record.from_json(found)
