"""The rules against tables (history -> epochs at which they fire) and against slow independent truths."""

import csv
import math
import random
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader

from lightning_critperiod.rules import (
    AtEpoch,
    Forecast,
    LowOutlier,
    Never,
    Patient,
    Plateau,
    Rule,
    Slope,
    Worthwhile,
    require_fit,
)

NAN, INF = float("nan"), float("inf")
ROOT = Path(__file__).parents[1]
REFERENCE = ROOT.parent / "shared" / "data" / "reference"
SIGNAL_RULES = [Slope(), LowOutlier(), Plateau(), Forecast()]
OPEN_ENDED = [LowOutlier(), Plateau(1), Patient(Plateau(1), 2), AtEpoch(7), Never(), Worthwhile(0.1, "min")]


def fires(rule, history, max_epochs):
    """The epochs after which the rule says over, given all that was known by then; -1 is before the first."""
    known = [{e: v for e, v in history.items() if e <= epoch} for epoch in range(-1, max(history) + 1)]
    verdicts = [rule(part, max_epochs) for part in known]
    assert all(type(verdict) is bool for verdict in verdicts)
    return [epoch - 1 for epoch, verdict in enumerate(verdicts) if verdict]


def random_history(seed, max_epochs=40):
    """A drifting, noisy signal with missing and not finite epochs, in random order of insertion."""
    rng = random.Random(seed)
    drift, noise, tau = rng.choice([-1, 0, 1, 2]), rng.choice([0.01, 0.1, 1]), rng.choice([2, 8, 1000])
    epochs = [e for e in range(max_epochs) if rng.random() > rng.choice([0, 0.3])]
    rng.shuffle(epochs)
    odd = {e: rng.choice([NAN, INF, -INF]) for e in epochs if rng.random() < 0.1}
    return {e: odd.get(e, drift * (1 - math.exp(-e / tau)) + rng.gauss(0, noise)) for e in epochs}


def finite(history):
    epochs = np.array([e for e in sorted(history) if np.isfinite(history[e])], dtype=int)
    return epochs, np.array([history[e] for e in epochs], dtype=np.float64)


def is_early(rule, history, max_epochs):
    least = -(-max_epochs // 10) if rule.min_epochs is None else rule.min_epochs
    return max(history, default=-1) + 1 < least


def slope_truth(rule, history, max_epochs):
    epochs, values = finite(history)
    if is_early(rule, history, max_epochs) or len(epochs) < rule.window:
        return False
    x, y = np.append(-1, epochs) / (max_epochs - 1), np.append(0, values)  # 0 before the first epoch
    starts = range(len(x) - rule.window + 1)
    slopes = [np.polyfit(x[i : i + rule.window], y[i : i + rule.window], 1)[0] for i in starts]
    *earlier, last = np.degrees(np.arctan(slopes))
    return last < rule.max_angle and (not rule.after_rise or max(earlier) >= rule.max_angle)


def low_outlier_truth(rule, history, max_epochs):
    e = max(history, default=-1) + 1  # 1-based
    if is_early(rule, history, max_epochs) or e % rule.every_n_epochs or not np.isfinite(history.get(e - 1, NAN)):
        return False
    past = [history[i - 1] for i in range(1, e - 1) if np.isfinite(history.get(i - 1, NAN))]
    if not past:
        return False
    q1, q3 = np.quantile(past, [0.25, 0.75])
    return history[e - 1] < q1 - rule.threshold * (q3 - q1)


def plateau_truth(rule, history, max_epochs):
    """Lightning's own callback, fed with the values one after the other."""
    stopping = EarlyStopping("metric", rule.min_delta, rule.patience, mode=rule.mode)
    stops = [stopping._evaluate_stopping_criteria(torch.tensor(v))[0] for v in finite(history)[1]]
    return bool(stops) and not is_early(rule, history, max_epochs) and stops[-1]


def relative_truth(rule, history, max_epochs):
    """An improvement is more than a part of the best value so far."""
    best, bad = None, 0
    for value in finite(history)[1] * {"min": 1, "max": -1}[rule.mode]:
        bad += 1
        if best is None or best - value > rule.min_delta * np.abs(best):
            best, bad = value, 0
    return bad >= max(rule.patience, 1) and not is_early(rule, history, max_epochs)


def agrees(rule, truth, seeds, max_epochs=40):
    """How often the rule fired over the seeds, having said at every epoch what the truth says."""
    fired = 0
    for seed in seeds:
        history = random_history(seed, max_epochs)
        for epoch in range(max_epochs):
            known = {e: v for e, v in history.items() if e <= epoch}
            assert rule(known, max_epochs) in as_set(truth(rule, known, max_epochs)), (seed, epoch)
            fired += rule(known, max_epochs)
    return fired


def as_set(verdict):
    return verdict if isinstance(verdict, set) else {verdict}


@pytest.mark.parametrize(
    "rule",
    [
        Slope(),
        Slope.published(),
        Slope(window=2, min_epochs=0),
        Slope(window=9, max_angle=80, min_epochs=3, after_rise=False),
        Slope(max_angle=-20.0, min_epochs=0),
    ],
    ids=repr,
)
def test_slope_agrees_with_numpy_at_every_epoch_of_random_histories(rule):
    assert agrees(rule, slope_truth, range(60)) > 100


@pytest.mark.parametrize(
    "rule",
    [
        LowOutlier(threshold=0),
        LowOutlier(every_n_epochs=1),
        LowOutlier(threshold=0.5, every_n_epochs=3, min_epochs=0),
        LowOutlier(threshold=0.2, every_n_epochs=1, min_epochs=20),
    ],
    ids=repr,
)
def test_low_outlier_agrees_with_numpy_at_every_epoch_of_random_histories(rule):
    assert agrees(rule, low_outlier_truth, range(100)) > 20


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("min_epochs", [0, None, 15])
@pytest.mark.parametrize(("patience", "min_delta"), [(0, 0.0), (1, 0.01), (3, 0.0), (3, 0.3), (8, 1.0)])
def test_plateau_agrees_with_early_stopping_at_every_epoch_of_random_histories(patience, min_delta, mode, min_epochs):
    assert agrees(Plateau(patience, min_delta, mode, min_epochs), plateau_truth, range(15)) > 10


class Scripted(LightningModule):
    """Logs the values it was given, one an epoch, and learns nothing."""

    def __init__(self, values):
        super().__init__()
        self.values, self.weight = values, torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, batch_idx):
        self.log("metric", self.values[self.current_epoch], on_epoch=True, on_step=False)
        return self.weight.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def train_dataloader(self):
        return DataLoader(torch.zeros(1, 1))


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("min_delta", [0.0, 0.05, 1.5])
def test_a_relative_plateau_asks_for_a_part_of_the_best_whatever_its_sign(min_delta, mode):
    for patience, min_epochs in ((0, 0), (1, None), (4, 7)):
        rule = Plateau(patience, min_delta, mode, min_epochs, relative=True)
        assert agrees(rule, relative_truth, range(15)) > 10


def test_a_relative_plateau_is_torchs_relative_threshold_on_a_positive_signal():
    values = [4, 3, 2.9, 2.8, 2.2, 2.15, 2.1, 2.08, 2.05]
    scheduler = ReduceLROnPlateau(SGD([torch.zeros(1)], lr=1.0), patience=2, threshold=0.1, threshold_mode="rel")
    reduced = []
    for epoch, value in enumerate(values):
        before = scheduler.optimizer.param_groups[0]["lr"]
        scheduler.step(value)
        if scheduler.optimizer.param_groups[0]["lr"] < before:
            reduced.append(epoch)
    # torch's patience is the number that is still borne
    assert fires(Plateau(3, 0.1, min_epochs=0, relative=True), dict(enumerate(values)), 30)[0] == reduced[0] == 7


def test_a_relative_plateau_does_not_depend_on_the_scale_of_the_signal():
    for seed in range(10):
        history = random_history(seed)
        scaled = {epoch: 1024 * value for epoch, value in history.items()}
        rule = Plateau(2, 0.03, relative=True)
        assert fires(rule, history, 40) == fires(rule, scaled, 40)


@pytest.mark.parametrize(
    ("seed", "patience", "min_delta", "mode"),
    [(0, 3, 0.0, "min"), (1, 2, 0.0625, "max"), (2, 4, 0.125, "min"), (3, 1, 0.0, "max")],
)
def test_plateau_fires_at_the_epoch_at_which_early_stopping_stops_a_trainer(seed, patience, min_delta, mode, tmp_path):
    rng = random.Random(seed)
    # Multiples of 1/16 are exact in float32, so that improvements of exactly min_delta are among them.
    values = [rng.randint(0, 32) / 16 for _ in range(30)]
    stopping = EarlyStopping("metric", min_delta=min_delta, patience=patience, mode=mode)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=30,
        callbacks=[stopping],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        log_every_n_steps=1,
    )
    trainer.fit(Scripted(values))
    fired = fires(Plateau(patience, min_delta, mode, min_epochs=0), dict(enumerate(values)), 30)
    assert 0 < fired[0] == stopping.stopped_epoch


@pytest.mark.parametrize(
    ("rule", "values", "max_epochs", "expected"),
    [
        # a line of slope 1 over the run stands at exactly 45 degrees, which is not below
        (Slope(window=3, min_epochs=0), [e / 9 for e in range(10)], 10, []),
        (Slope(window=3, min_epochs=0, after_rise=False), [0.9 * e / 9 for e in range(10)], 10, list(range(2, 10))),
        # it never rose at 45 degrees
        (Slope(window=3, min_epochs=0), [0.9 * e / 9 for e in range(10)], 10, []),
        # it rose at 45 degrees from the start to the first two values, and in the middle
        (Slope(window=3, min_epochs=0), [0.12] * 10, 10, []),
        (Slope(window=3, min_epochs=0), [0.23] * 10, 10, [2, 3, 4, 5, 6, 7, 8, 9]),
        (Slope(window=3, min_epochs=0), [0, 0, 0, 0.12, 0.24, 0.26, 0.26, 0.26], 10, [5, 6, 7]),
        # the published rule: the first verdict comes with the fifth value, whether or not the signal ever rose
        (Slope.published(), [0.3] * 10, 10, [4, 5, 6, 7, 8, 9]),
        (Slope.published(), [0.0] * 10, 10, [4, 5, 6, 7, 8, 9]),
        (Slope(), [0.0] * 10, 10, []),
        (Slope(window=2), [0.3] * 60, 60, list(range(5, 60))),
        (Slope(window=2, min_epochs=7), [0.3] * 9, 20, [6, 7, 8]),
        (Slope(window=2, min_epochs=0), [1.0, 0.5, 0.0], 10, [1, 2]),
        (Slope(window=2, max_angle=0, min_epochs=0), [0.1] * 5, 10, []),
        # the fourth epoch is not measured: the window reaches over it, at its true place
        (Slope(window=2, min_epochs=0), [0.0, 0.2, 0.4, NAN, 0.61], 10, [4]),
        (Slope(window=2, min_epochs=0), [0.0, 0.2, 0.4, NAN, 0.65], 10, []),
        (Slope(window=2, min_epochs=0), [0.0, 0.2, 0.2, NAN], 11, [2, 3]),
    ],
)
def test_slope_fires_at(rule, values, max_epochs, expected):
    assert fires(rule, dict(enumerate(values)), max_epochs) == expected


@pytest.mark.parametrize(
    ("rule", "history", "max_epochs", "expected"),
    [
        # eight values of 0 to 7: Q1 = 1.75, Q3 = 5.25, limit -3.5, not below itself
        (LowOutlier(), {**{e: e for e in range(8)}, 8: 100, 9: -3.5}, 100, []),
        (LowOutlier(), {**{e: e for e in range(8)}, 8: 100, 9: -3.6}, 100, [9]),
        # the value before the one that is looked at is left out: it would raise the limit to -2
        (LowOutlier(), {**{e: e for e in range(8)}, 8: -100, 9: -3.6}, 100, [9]),
        (LowOutlier(threshold=0), {**{e: e for e in range(8)}, 8: 0, 9: 1.7}, 100, [9]),
        # only every tenth epoch, and not before a tenth of the run
        (LowOutlier(), {**dict.fromkeys(range(30), 1.0), 8: 0, 10: 0, 19: 0.9}, 30, [19]),
        (LowOutlier(), {**dict.fromkeys(range(30), 1.0), 9: 0, 19: 0}, 200, [19]),
        (LowOutlier(min_epochs=0), {**dict.fromkeys(range(30), 1.0), 9: 0}, 200, [9]),
        (LowOutlier(), {**dict.fromkeys(range(30), 1.0), 9: 0, 19: 0}, 201, []),
        # not measured when it looks: no verdict
        (LowOutlier(), {**dict.fromkeys(range(9), 1.0), 9: NAN}, 20, []),
        (LowOutlier(), {**dict.fromkeys(range(9), 1.0), 9: -INF}, 20, []),
        (LowOutlier(), {9: -5.0}, 20, []),
        # float noise makes no outlier of a constant
        (LowOutlier(every_n_epochs=1, min_epochs=0), dict.fromkeys(range(30), 0.1), 30, []),
    ],
)
def test_low_outlier_fires_at(rule, history, max_epochs, expected):
    assert fires(rule, history, max_epochs) == expected


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        (Plateau(patience=2, min_epochs=0), [3, 2, 2, 2, 1], [3]),
        (Plateau(patience=2, min_epochs=0), [3, 2, NAN, 2, NAN, 2, NAN], [5, 6]),
        (Plateau(patience=2, min_delta=0.5, min_epochs=0), [3, 2.5, 2.4, 2.2, 2.2], [4]),
        (Plateau(patience=1, mode="max", min_epochs=0), [1, 2, 2, 3, 1], [2, 4]),
        (Plateau(patience=0, mode="max", min_epochs=0), [1, 2, 2, 3, 1], [2, 4]),
        (Plateau(patience=2, min_epochs=5), [3, 3, 3, 3, 3, 1], [4]),
        (Plateau(patience=2, min_epochs=0), [NAN, INF, 1, -INF, 1], []),
    ],
)
def test_plateau_fires_at(rule, values, expected):
    assert fires(rule, dict(enumerate(values)), len(values)) == expected


def test_float_noise_does_not_take_a_line_of_exactly_the_limit_below_it():
    for max_epochs in range(5, 120):
        assert fires(Slope(min_epochs=0), {e: e / (max_epochs - 1) for e in range(max_epochs)}, max_epochs) == []
        assert fires(Slope(max_angle=0, min_epochs=0), dict.fromkeys(range(30), max_epochs / 7), max_epochs) == []


def test_low_outlier_first_fires_at_epoch_20_on_the_authors_recorded_curves():
    if not REFERENCE.is_dir():
        pytest.skip("the authors' recorded curves are not beside this checkout")
    for batch in (128, 256):
        with (REFERENCE / f"gradient_confusion_resnet44_cifar10_batch{batch}.csv").open() as file:
            rows = {int(row["epoch"]): float(row["max_cosine_similarity"]) for row in csv.DictReader(file)}
        history = {epoch - 1: value for epoch, value in rows.items() if epoch}
        assert len(history) == 200
        for rule in (LowOutlier(), LowOutlier(min_epochs=0)):
            assert fires(rule, history, 200)[0] + 1 == 20


def test_at_epoch_ends_the_period_when_training_gets_there():
    history = dict.fromkeys(range(8), NAN)
    assert fires(AtEpoch(0), history, 8) == list(range(-1, 8))
    assert fires(AtEpoch(3), history, 8) == list(range(2, 8))
    assert not AtEpoch(1)({}, 1)


def test_never_never_fires():
    assert fires(Never(), random_history(0), 40) == []


@pytest.mark.parametrize("rule", SIGNAL_RULES, ids=repr)
def test_a_rule_that_reads_a_signal_does_not_fire_without_values_or_in_a_run_of_one_epoch(rule):
    eager = replace(rule, min_epochs=0)
    assert not eager({}, 10)
    assert not eager(dict.fromkeys(range(10), NAN), 10)
    assert fires(eager, {0: 1.0}, 1) == []
    assert not any(eager(random_history(seed), 1) for seed in range(30))


@pytest.mark.parametrize("rule", [*SIGNAL_RULES, Worthwhile(0.1, "min"), AtEpoch(7)], ids=repr)
def test_the_order_of_insertion_does_not_matter_and_the_history_stays_as_it_was(rule):
    for seed in range(30):
        history = random_history(seed)
        before = list(history.items())
        assert fires(rule, history, 40) == fires(rule, dict(sorted(history.items())), 40)
        assert repr(list(history.items())) == repr(before)


@pytest.mark.parametrize("rule", [*SIGNAL_RULES, Worthwhile(0.1, "min")], ids=repr)
def test_a_value_that_is_not_finite_counts_like_a_missing_epoch(rule):
    for seed in range(30):
        history = random_history(seed)
        history[max(history)] = 0.1  # training's clock is the largest epoch, measured or not
        cleaned = {e: v for e, v in history.items() if math.isfinite(v)}
        assert rule(history, 40) == rule(cleaned, 40)


@pytest.mark.parametrize("rule", [Slope(2), Plateau(1), Forecast(), Worthwhile(0.1, "max")], ids=repr)
def test_an_epoch_without_a_value_leaves_the_verdict_as_it_was(rule):
    for seed in range(30):
        history = {e: v for e, v in random_history(seed).items() if e < 30}
        assert rule(history, 40) == rule({**history, 30: NAN, 31: INF}, 40)


def test_min_epochs_is_by_default_a_tenth_of_the_run_rounded_up():
    flat = dict.fromkeys(range(40), 0.0)
    firsts = {E: fires(Slope(window=2, after_rise=False), flat, E)[0] + 1 for E in (10, 20, 21, 30, 31, 200)}
    assert firsts == {10: 2, 20: 2, 21: 3, 30: 3, 31: 4, 200: 20}


def test_the_clock_of_min_epochs_is_the_largest_epoch_even_if_it_was_not_measured():
    rule = Slope(window=2, min_epochs=5, after_rise=False)
    assert fires(rule, {0: 0.0, 1: 0.0, 2: NAN, 3: NAN, 4: NAN}, 10) == [4]


@pytest.mark.parametrize(
    ("rule", "values", "max_epochs", "words"),
    [
        (
            Slope(window=2),
            [0.0, 0.2, 0.2 + math.tan(math.radians(38)) / 9],
            10,
            "rose at 38.0 degrees, below 45",
        ),
        (
            Slope(window=2, after_rise=False),
            [0.5, 0.5 - math.tan(math.radians(32.5)) / 9],
            10,
            "fell, with an angle of -32.5 degrees, below 45",
        ),
        (LowOutlier(), [*range(8), 0, -4], 20, "fell to -4, below -3.5 (Q1 - 1.5 IQR of 8 epochs)"),
        (Plateau(2), [3, 0.52, 0.6, 0.7], 9, "did not improve on 0.52 in 2 measurements"),
        (Plateau(1, 0.05, "max", relative=True), [3, 3.1], 9, "did not improve on 3 by more than 5% in 1 measurement"),
        (Plateau(1, 0.1, "max"), [3, 3.05], 9, "did not improve on 3 by more than 0.1 in 1 measurement"),
        (
            Worthwhile(0.02, "max"),
            [0.9 - 0.5 / (e + 1) for e in range(30)],
            100,
            "improved by 0.0159 in the last doubling of the epochs; going on to epoch 59 would bring at most 0.0169, "
            "below min_gain=0.02",
        ),
        (
            Worthwhile(0.5, "min", horizon=20),
            [1 + 0.5 * math.log2(e + 1) for e in range(16)],
            None,
            "got worse by 0.5 in the last doubling of the epochs; going on to epoch 19 would bring nothing, "
            "below min_gain=0.5",
        ),
        (AtEpoch(12), [], 20, "was not used: epoch 12 was set beforehand"),
    ],
)
def test_the_verdict_in_words(rule, values, max_epochs, words):
    history = dict(enumerate(values))
    assert rule(history, max_epochs) or isinstance(rule, AtEpoch)
    assert rule.why(history, max_epochs) == words


@pytest.mark.parametrize(
    ("rule", "values", "max_epochs", "words"),
    [
        (Slope(), [0.0, 0.1], 10, "a verdict takes 5 measured epochs, got 2"),
        (
            Slope(window=2),
            [0.0001, 0.0002, 0.0003],
            11,
            "the signal has not risen steeply so far: its steepest angle was 0.1 degrees, and only the end of a rise "
            "at 45 ends the period",
        ),
        (Slope(window=2), [0.2, 0.4, 0.6], 11, "the signal still rose at 63.4 degrees"),
        (Slope(window=2, min_epochs=9), [0.2, 0.4, 0.4], 11, f"{Slope(window=2, min_epochs=9)} never fired"),
        (Patient(Slope(), 2), [0.0, 0.1], 10, "a verdict takes 5 measured epochs, got 2"),
        (Plateau(2), [3, 2, 1], 3, "the best, 1, was 0 measurements ago, and the patience is 2"),
        (Plateau(2), [NAN], 3, "nothing was measured"),
        (
            Worthwhile(0.01, "max"),
            [0.9 - 0.5 / (e + 1) for e in range(30)],
            30,
            "the metric improved by 0.0159 in the last doubling of the epochs; going on to epoch 59 would bring "
            "at most 0.0169, not below min_gain=0.01",
        ),
        (
            Worthwhile(0.01, "max"),
            [1, 2],
            30,
            "a verdict takes 4 measured epochs in the last half doubling of the epochs",
        ),
        # as of the epoch before the last one: after it nothing is left
        (
            Forecast(mode="max", min_gain=0.001),
            [0.9 - 0.5 / (e + 1) for e in range(30)],
            30,
            "the metric may have 0.3% of its gain so far left, not below 0.1%",
        ),
        (
            Forecast(),
            [1.0] * 20,
            20,
            "a verdict takes a gain so far, and a few measured epochs in the last half doubling of the epochs",
        ),
    ],
)
def test_why_there_was_no_verdict_in_words(rule, values, max_epochs, words):
    history = dict(enumerate(values))
    assert not rule(history, max_epochs)
    assert rule.why_not(history, max_epochs) == words


def test_at_epoch_past_the_end_is_refused_naming_both_numbers():
    AtEpoch(29).check_run(30)
    for epoch in (30, 40):
        with pytest.raises(ValueError, match=rf"epoch={epoch}\).*max_epochs=30"):
            AtEpoch(epoch).check_run(30)


@pytest.mark.parametrize("rule", [*SIGNAL_RULES, Never(), AtEpoch(0)], ids=repr)
def test_the_other_rules_work_in_any_run_that_has_a_last_epoch(rule):
    assert isinstance(rule, Rule)
    assert require_fit(rule, 1) is None


@pytest.mark.parametrize("rule", OPEN_ENDED, ids=repr)
def test_in_a_run_without_a_last_epoch_a_rule_says_what_it_says_in_a_run_of_a_hundred(rule):
    require_fit(rule, None)
    for seed in range(20):
        history = random_history(seed)
        assert fires(rule, history, None) == fires(rule, history, 100)


@pytest.mark.parametrize("rule", [Slope(), Forecast(), Patient(Slope(), 2)], ids=repr)
def test_a_rule_that_needs_the_last_epoch_refuses_a_run_without_one_and_names_rules_that_do_not(rule):
    with pytest.raises(ValueError, match=r"needs a run with a last epoch, and max_epochs=-1 has none: .* Plateau") as e:
        require_fit(rule, None)
    assert str(e.value).startswith(repr(rule))


def test_a_users_own_rule_that_was_written_for_an_int_is_refused_where_there_is_none():
    class Late(Rule):
        def __call__(self, history, max_epochs):
            return len(history) > max_epochs / 2

        def check_run(self, max_epochs):
            if max_epochs < 4:
                raise ValueError("too short")

    require_fit(Late(), 4)
    with pytest.raises(ValueError, match="too short"):
        require_fit(Late(), 3)
    with pytest.raises(ValueError, match="needs a run with a last epoch"):
        require_fit(Late(), None)


def test_a_users_own_rule_says_in_one_line_that_it_needs_no_last_epoch():
    class Third(Rule):
        open_ended = True

        def __call__(self, history, max_epochs):
            return len(history) > 2

    require_fit(Third(), None)
    require_fit(Patient(Third()), None)
    assert fires(Patient(Third()), dict.fromkeys(range(6), 1.0), None) == [3, 4, 5]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Slope(window=1), ValueError, "window must be an int from 2 up, got 1"),
        (lambda: Slope(window=5.0), TypeError, "window must be an int from 2 up, got 5.0"),
        (lambda: Slope(window=True), TypeError, "window .* got True"),
        (lambda: Slope(max_angle=NAN), ValueError, "max_angle .* got nan"),
        (lambda: Slope(max_angle=INF), ValueError, "max_angle .* got inf"),
        (lambda: Slope(max_angle=-90), ValueError, "max_angle .* got -90"),
        (lambda: Slope(max_angle=90.1), ValueError, "max_angle .* got 90.1"),
        (lambda: Slope(max_angle="45"), TypeError, "max_angle .* got '45'"),
        (lambda: Slope(min_epochs=-1), ValueError, "min_epochs must be an int from 0 up, got -1"),
        (lambda: Slope(min_epochs=0.1), TypeError, "min_epochs .* got 0.1"),
        (lambda: Slope(after_rise=1), TypeError, "after_rise must be True or False, got 1"),
        (lambda: LowOutlier(threshold=-0.1), ValueError, "threshold .* got -0.1"),
        (lambda: LowOutlier(threshold=False), TypeError, "threshold .* got False"),
        (lambda: LowOutlier(every_n_epochs=0), ValueError, "every_n_epochs .* got 0"),
        (lambda: LowOutlier(min_epochs=False), TypeError, "min_epochs .* got False"),
        (lambda: Plateau(patience=-1), ValueError, "patience .* got -1"),
        (lambda: Plateau(patience=None), TypeError, "patience .* got None"),
        (lambda: Plateau(min_delta=-0.1), ValueError, "min_delta .* got -0.1"),
        (lambda: Plateau(min_delta=INF), ValueError, "min_delta .* got inf"),
        (lambda: Plateau(mode="lower"), ValueError, "mode .*min.*max.* got 'lower'"),
        (lambda: Plateau(mode=["min"]), ValueError, "mode .* got .'min'."),
        (lambda: Plateau(relative=1), TypeError, "relative must be True or False, got 1"),
        (lambda: Plateau(min_epochs=-3), ValueError, "min_epochs .* got -3"),
        (lambda: Forecast(min_gain=0), ValueError, "min_gain must be a number above 0, got 0"),
        (lambda: Forecast(min_gain=NAN), ValueError, "min_gain .* got nan"),
        (lambda: Forecast(mode=None), ValueError, "mode .* got None"),
        (lambda: Forecast(min_epochs=-1), ValueError, "min_epochs .* got -1"),
        (lambda: Worthwhile(0, "min"), ValueError, "min_gain must be a number above 0, got 0"),
        (lambda: Worthwhile("0.1", "min"), TypeError, "min_gain .* got '0.1'"),
        (lambda: Worthwhile(True, "min"), TypeError, "min_gain .* got True"),
        (lambda: Worthwhile(0.1, "up"), ValueError, "mode .* got 'up'"),
        (lambda: Worthwhile(0.1, "min", 0), ValueError, "horizon must be an int from 1 up, got 0"),
        (lambda: Worthwhile(0.1, "min", 2.0), TypeError, "horizon .* got 2.0"),
        (lambda: AtEpoch(-1), ValueError, "epoch must be an int from 0 up, got -1"),
        (lambda: AtEpoch(2.0), TypeError, "epoch .* got 2.0"),
        (lambda: AtEpoch(True), TypeError, "epoch .* got True"),
    ],
)
def test_a_bad_argument_is_refused_by_its_name_and_value(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("rule", [*SIGNAL_RULES, Worthwhile(0.1, "min"), AtEpoch(3)], ids=repr)
def test_rules_are_frozen_and_equal_by_value(rule):
    assert rule == replace(rule)
    assert hash(rule) == hash(replace(rule))
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        rule.min_epochs = 3
