import io
import json
import statistics
import time
from importlib.metadata import version

import lightning.pytorch as L
import pytest
import torch
from rich.console import Console
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod import (
    Cooldown,
    CostMonitor,
    CriticalPeriodCallback,
    EarlyCooldown,
    Guard,
    MonitoredMetric,
    Phased,
    costs,
)
from lightning_critperiod.recipe import Recipe, Volume
from lightning_critperiod.record import Record, Span, load
from lightning_critperiod.report import RunRecorder, savings
from lightning_critperiod.rules import AtEpoch, Never

SAMPLES, EPOCHS = 40, 8
RECIPE = Recipe(during=Volume(augmentation_multiplier=3), after=Volume(), annealing_fraction=0.25)


class Net(L.LightningModule):
    def __init__(self, fail_in=None, error=RuntimeError):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)
        self.fail_in, self.error = fail_in, error

    def loss(self, batch):
        return torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])

    def fail(self, where):
        if self.fail_in == where and self.current_epoch == 4:
            raise self.error("lights out")

    def training_step(self, batch, batch_idx):
        self.fail("training")
        return self.loss(batch)

    def validation_step(self, batch, batch_idx):
        self.fail("validation")
        self.log("val_loss", self.loss(batch))

    def test_step(self, batch, batch_idx):
        self.log("test_loss", self.loss(batch))

    def configure_optimizers(self):
        if self.fail_in == "configure_optimizers":
            raise self.error("lights out")
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader():
    return DataLoader(TensorDataset(torch.randn(SAMPLES, 4), torch.arange(SAMPLES) % 2), batch_size=4)


def fit(folder, *callbacks, net=None, **options):
    """Fit and hand back the trainer."""
    trainer = L.Trainer(
        default_root_dir=folder,
        callbacks=list(callbacks),
        **{
            "max_epochs": EPOCHS,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "accelerator": "cpu",
            **options,
        },
    )
    trainer.fit(net or Net(), loader(), loader())
    return trainer


def run(folder, *callbacks, **options):
    """Fit with a recorder and hand back (recorder, trainer)."""
    recorder = RunRecorder(show=False)
    return recorder, fit(folder, *callbacks, recorder, **options)


def switched(**options):
    return CriticalPeriodCallback(rule=AtEpoch(3), recipe=RECIPE, **options)


def test_the_record_tells_what_every_epoch_drew_and_in_which_phase(tmp_path):
    callback = switched()
    run(tmp_path, callback, CostMonitor())
    record = load(tmp_path)
    # annealing starts at 3 + ceil(5 x 0.75) = 7
    assert [epoch.samples for epoch in record.epochs] == [120] * 3 + [40] * 4 + [120]
    assert [epoch.phase for epoch in record.epochs] == ["during"] * 3 + ["after"] * 4 + ["annealing"]
    assert [record.decision.is_over(epoch.epoch) for epoch in record.epochs] == [False] * 2 + [True] * 6
    assert record.history == pytest.approx(callback.history)
    assert record.epochs[4].volume == Volume()
    assert record.decision.end_epoch == 3
    assert record.decision.reason == callback.reason
    assert record.status == "completed"


def test_the_full_recipe_is_projected_from_the_epochs_that_had_it(tmp_path):
    callback, monitor = switched(), CostMonitor()
    run(tmp_path, callback, monitor)
    record = load(tmp_path)
    assert record.measured.samples == 640
    assert record.projected.samples == 120 * EPOCHS
    assert record.projected.epochs_projected == 4
    assert record.measured.seconds_by_phase["detector"] == pytest.approx(callback.detector_seconds)
    assert "detector" not in record.projected.seconds_by_phase
    rates = sorted(monitor.epochs[e].seconds["training"] / 120 for e in (1, 2, 7))
    spent = sum(monitor.epochs[e].seconds["training"] for e in (0, 1, 2, 7))
    assert record.projected.seconds_by_phase["training"] == pytest.approx(spent + 4 * 120 * rates[1])
    assert record.projected.seconds_low < record.projected.seconds < record.projected.seconds_high
    share = record.projected.seconds / record.measured.seconds
    for quantity in ("energy_kwh", "co2_kg", "money"):
        assert getattr(record.projected, quantity) == pytest.approx(getattr(record.measured, quantity) * share)


def test_a_run_that_never_switched_is_projected_to_itself_without_the_detector(tmp_path):
    run(tmp_path, CriticalPeriodCallback(rule=Never(), recipe=RECIPE), CostMonitor(), max_epochs=2)
    record = load(tmp_path)
    measured = record.measured.seconds_by_phase
    without = sum(seconds for phase, seconds in measured.items() if phase != "detector")
    assert record.projected.samples == record.measured.samples == 240
    assert record.projected.seconds == pytest.approx(without)
    assert record.projected.epochs_projected == 0


def test_a_run_without_the_full_recipe_says_what_it_is_projected_from(tmp_path):
    callback = CriticalPeriodCallback(rule=AtEpoch(0), recipe=Recipe(Volume(3.0), Volume(pruning_ratio=0.5), 0.0))
    run(tmp_path, callback, CostMonitor(), max_epochs=3)
    record = load(tmp_path)
    assert record.measured.samples == 3 * 20
    assert record.projected.samples == 3 * 120
    assert "none had the full recipe" in record.projected.basis


def test_an_observed_run_says_what_would_have_happened(tmp_path):
    own = Recipe(after=Volume(pruning_ratio=0.5), annealing_fraction=0.25)
    callback = CriticalPeriodCallback(rule=AtEpoch(3), recipe=own, observe_only=True)
    recorder, _ = run(tmp_path, callback, CostMonitor())
    record = load(tmp_path)
    assert record.measured.samples == record.projected.samples == 40 * EPOCHS
    assert record.observed.samples == 40 * 4 + 20 * 4
    assert record.observed.seconds < record.measured.seconds
    assert "would have drawn 240 samples in place of 320" in (tmp_path / "report.md").read_text()
    assert "would have drawn" in shown(recorder)


def test_the_baseline_without_our_callback_is_reported_too(tmp_path):
    recorder, _ = run(tmp_path, CostMonitor(), max_epochs=2)
    record = load(tmp_path)
    assert record.decision is record.projected is None
    assert record.measured.samples == 80
    assert "nothing was decided" in shown(recorder)


def test_a_run_without_a_cost_monitor_is_reported_too(tmp_path):
    recorder, _ = run(tmp_path, switched())
    record = load(tmp_path)
    assert record.measured is record.projected is None
    assert len(record.epochs) == EPOCHS
    assert "after epoch 2" in shown(recorder)
    assert "CostMonitor" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("where", ["training", "validation", "configure_optimizers"])
@pytest.mark.parametrize(("error", "raised"), [(RuntimeError, RuntimeError), (KeyboardInterrupt, SystemExit)])
def test_a_run_that_dies_leaves_the_report_of_what_it_did(tmp_path, where, error, raised):
    callbacks = switched(), CostMonitor()
    with pytest.raises(raised, match=r"lights out|1"):
        run(tmp_path, *callbacks, net=Net(where, error))
    record = load(tmp_path)
    assert record.status == "interrupted"
    assert record.error == f"{error.__name__}: lights out"
    # The batch that the run died in was drawn.
    assert record.measured.samples == {"training": 400, "validation": 440, "configure_optimizers": 0}[where]
    assert (
        f"interrupted after {0 if where == 'configure_optimizers' else 4} of 8" in (tmp_path / "report.md").read_text()
    )
    assert callbacks[1].costs.seconds == record.measured.seconds


def test_an_epoch_that_was_cut_short_is_projected_in_proportion(tmp_path):
    class Stop(L.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if (trainer.current_epoch, batch_idx) == (4, 5):
                raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        run(tmp_path, switched(), CostMonitor(), Stop())
    record = load(tmp_path)
    assert record.epochs[4].samples == 20
    assert record.projected.samples == 120 * 4 + 60


def test_a_killed_process_leaves_a_report_that_says_that_it_was_running(tmp_path):
    class Look(L.Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 1:
                self.seen = load(tmp_path)

    look = Look()
    run(tmp_path, look, CostMonitor(), max_epochs=2)
    assert look.seen.status == "running"
    assert look.seen.measured.samples == SAMPLES
    assert load(tmp_path).status == "completed"


def test_the_test_adds_its_metrics(tmp_path):
    recorder, trainer = run(tmp_path, CostMonitor(), max_epochs=1)
    assert load(tmp_path).metrics.test == {}
    result = trainer.test(trainer.model, loader(), verbose=False)
    record = load(tmp_path)
    assert record.metrics.test == pytest.approx(result[0])
    assert set(record.metrics.validation) == {"val_loss"}
    assert "test_loss" in shown(recorder)


def test_a_failing_test_leaves_the_report_of_the_training(tmp_path):
    class Fails(Net):
        def test_step(self, batch, batch_idx):
            raise RuntimeError("bad test")

    _, trainer = run(tmp_path, CostMonitor(), net=Fails(), max_epochs=1)
    with pytest.raises(RuntimeError, match="bad test"):
        trainer.test(trainer.model, loader(), verbose=False)
    assert load(tmp_path).status == "completed"


def test_a_resumed_run_reports_all_its_sessions(tmp_path):
    class Save(L.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            if trainer.current_epoch == 3:
                trainer.save_checkpoint(tmp_path / "half.ckpt")

    run(tmp_path, switched(), CostMonitor(), Save())
    trainer = L.Trainer(
        default_root_dir=tmp_path / "resumed",
        callbacks=[switched(), CostMonitor(), RunRecorder(show=False)],
        max_epochs=EPOCHS,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    trainer.fit(Net(), loader(), loader(), ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    once, resumed = load(tmp_path), load(tmp_path / "resumed")
    for key in ("epoch", "samples", "batches", "volume", "phase"):
        assert [getattr(epoch, key) for epoch in resumed.epochs] == [getattr(epoch, key) for epoch in once.epochs]
    assert resumed.measured.samples == once.measured.samples
    assert resumed.projected.samples == once.projected.samples


def test_a_fast_dev_run_leaves_no_report(tmp_path):
    recorder, _ = run(tmp_path, CostMonitor(), fast_dev_run=True)
    assert recorder.record is None
    assert not list(tmp_path.rglob("report*"))


def test_the_report_lies_in_the_loggers_folder(tmp_path):
    logger = L.loggers.CSVLogger(tmp_path)
    run(tmp_path, CostMonitor(), max_epochs=1, logger=logger, log_every_n_steps=1)
    assert load(logger.log_dir).status == "completed"


def test_the_table_shows_every_cost_beside_the_projection(tmp_path):
    recorder, _ = run(tmp_path, switched(), CostMonitor(currency="EUR"))
    text = shown(recorder)
    saving = savings(load(tmp_path))["samples"]
    assert saving.fraction == pytest.approx(1 - 640 / 960)
    for words in ("time", "kWh", "kg", "EUR", "640", "960", "33.3%", "projected full recipe", "val_loss"):
        assert words in text


def shown(recorder):
    text = io.StringIO()
    recorder.show_on(Console(file=text, width=200))
    return text.getvalue()


def test_the_record_is_the_same_before_and_after_the_file(tmp_path):
    recorder, _ = run(tmp_path, switched(), CostMonitor())
    assert Record.from_json(json.loads(json.dumps(recorder.record.to_json()))) == recorder.record == load(tmp_path)


def test_a_run_of_one_epoch_is_reported(tmp_path):
    recorder, _ = run(tmp_path, CriticalPeriodCallback(), CostMonitor(), max_epochs=1)
    assert "not over" in shown(recorder)
    assert load(tmp_path).projected.epochs_projected == 0


def test_a_report_that_cannot_be_written_does_not_end_the_training(tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    callback = switched()
    with pytest.warns(UserWarning, match="report of the run was not written") as warned:
        recorder, trainer = run(blocked, callback, CostMonitor())
    said = [str(w.message) for w in warned if "not written" in str(w.message)]
    assert [text.rpartition(". ")[2] for text in said] == ["Training goes on.", "The training is not affected."]
    assert trainer.state.finished
    assert len(callback.history) == EPOCHS
    assert recorder.record.status == "completed"
    assert blocked.read_text() == "a file where the folder should be"


def test_a_report_that_cannot_be_written_does_not_hide_why_the_run_died(tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="not written"), pytest.raises(RuntimeError, match="lights out"):
        run(blocked, switched(), CostMonitor(), net=Net("training"))


REPORT = {"report.html", "report.md", "report.json"}


def test_a_cost_monitor_is_enough_for_the_report_and_the_table(tmp_path, capsys):
    monitor, callback = CostMonitor(), switched()
    fit(tmp_path, monitor, callback)
    assert {path.name for path in tmp_path.iterdir()} == REPORT
    record = load(tmp_path)
    assert (record.status, record.measured.samples, record.decision.end_epoch) == ("completed", 640, 3)
    assert record == monitor.recorder.record
    out = capsys.readouterr().out
    assert out.count("projected full recipe") == 1
    assert f"Report: {tmp_path}" in out
    assert callback.reason[1:] in out


@pytest.mark.parametrize("first", [True, False])
def test_a_recorder_that_is_listed_takes_the_place_of_the_monitors_own(tmp_path, capsys, first):
    monitor, recorder = CostMonitor(), RunRecorder(config="of my own")
    fit(tmp_path, *((recorder, monitor) if first else (monitor, recorder)), max_epochs=1)
    assert monitor.recorder is None
    assert load(tmp_path).config == "of my own"
    assert capsys.readouterr().out.count("samples drawn") == 1


@pytest.mark.parametrize(("write", "show"), [(True, False), (False, True), (False, False)])
def test_files_and_table_can_be_switched_off(tmp_path, capsys, write, show):
    recorder = RunRecorder(write=write, show=show)
    trainer = fit(tmp_path, CostMonitor(), recorder, max_epochs=1)
    trainer.test(trainer.model, loader(), verbose=False)
    out = capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == (REPORT if write else set())
    assert ("samples drawn" in out, "Report:" in out) == (show, False)
    assert recorder.record.measured.samples == SAMPLES


@pytest.mark.parametrize("argument", ["write", "show"])
def test_a_switch_that_is_no_bool_is_refused(argument):
    with pytest.raises(TypeError, match=f"{argument} must be True or False, got 'no'"):
        RunRecorder(**{argument: "no"})


def test_the_monitor_that_only_measures_leaves_nothing(tmp_path, capsys):
    fit(tmp_path, costs.CostMeter(), max_epochs=1)
    assert list(tmp_path.iterdir()) == []
    assert "samples drawn" not in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint")
def test_a_checkpoint_of_either_monitor_is_resumed_by_the_other(tmp_path):
    trainer = fit(tmp_path, costs.CostMeter(), max_epochs=1, enable_checkpointing=True)
    resumed = L.Trainer(
        default_root_dir=tmp_path, callbacks=[CostMonitor()], max_epochs=2, logger=False, enable_checkpointing=False
    )
    resumed.fit(Net(), loader(), loader(), ckpt_path=trainer.checkpoint_callback.best_model_path, weights_only=True)
    assert load(tmp_path).measured.samples == 2 * SAMPLES


def test_a_run_without_an_end_of_its_own_is_reported(tmp_path):
    monitor = CostMonitor()
    fit(tmp_path, monitor, max_epochs=-1, max_steps=25)
    record = load(tmp_path)
    assert (record.run.max_epochs, record.run.steps, record.run.epochs_done) == (None, 25, 3)
    assert "3 epochs" in shown(monitor.recorder)


def test_a_run_that_no_rule_can_judge_had_a_warning_of_ours_for_its_reason_and_no_report(tmp_path):
    class Enough(L.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.should_stop = trainer.current_epoch == 2

    observer = CriticalPeriodCallback()
    with pytest.warns(UserWarning, match="is measured, but the rule is not asked") as said:
        fit(tmp_path, observer, CostMonitor(), Enough(), max_epochs=-1)
    assert not [str(warning.message) for warning in said if "failed" in str(warning.message)]
    assert observer.reason.startswith("critical period not judged in 3 epochs: Slope(")
    assert load(tmp_path).decision.reason == observer.reason
    assert not load(tmp_path).decision.lines


@pytest.mark.skipif(version("matplotlib").startswith("3.8."), reason="matplotlib 3.8 draws half a character as a box")
def test_pages_that_cannot_be_drawn_cost_neither_the_training_nor_the_record(tmp_path):
    class Odd(Net):
        def validation_step(self, batch, batch_idx):
            self.log("val_\ud800", self.loss(batch))  # half a character, which no font draws

    with pytest.warns(UserWarning, match=r"pages of the report were not drawn .* The training is not affected"):
        trainer = fit(tmp_path, CostMonitor(), net=Odd(), max_epochs=1)
    assert trainer.state.finished
    assert {path.name for path in tmp_path.iterdir()} == {"report.json"}
    assert list(load(tmp_path).metrics.validation) == ["val_\ud800"]


def test_the_report_is_about_the_callback_that_drives_and_lists_those_that_observe(tmp_path):
    observers = [
        CriticalPeriodCallback(rule=AtEpoch(1), observe_only=True),
        CriticalPeriodCallback(signal=MonitoredMetric("val_loss"), rule=Never(), observe_only=True),
    ]
    run(tmp_path, observers[0], switched(), CostMonitor(), observers[1])
    record = load(tmp_path)
    assert (record.decision.observe_only, record.decision.end_epoch) == (False, 3)
    assert [epoch.phase for epoch in record.epochs] == ["during"] * 3 + ["after"] * 4 + ["annealing"]
    assert [(o.signal, o.rule, o.end_epoch) for o in record.observers] == [
        ("layer_rotation", "AtEpoch(epoch=1)", 1),
        ("val_loss", "Never()", None),
    ]
    text = (tmp_path / "report.md").read_text()
    assert text.splitlines()[2].startswith("Critical period over after epoch 2")
    assert "layer_rotation, AtEpoch(epoch=1): critical period over after epoch 0" in text
    assert "val_loss, Never(): critical period not over in 8 epochs" in text


def test_a_run_that_is_only_observed_is_in_its_first_phase_to_the_end(tmp_path):
    run(tmp_path, switched(observe_only=True), CostMonitor())
    record = load(tmp_path)
    assert {epoch.phase for epoch in record.epochs} == {"during"}
    assert record.decision.phases == (Span("during", 0, EPOCHS - 1),)
    assert record.observed.epochs_projected == 4


@pytest.mark.filterwarnings("ignore:limit_train_batches=5 cuts every epoch")
@pytest.mark.parametrize("rule", [AtEpoch(2), AtEpoch(0)], ids=str)
def test_a_cap_in_batches_that_both_volumes_reach_saves_nothing_and_says_so(tmp_path, rule):
    callback = CriticalPeriodCallback(rule=rule, recipe=Recipe(after=Volume(pruning_ratio=0.3)))
    run(tmp_path, callback, CostMonitor(), limit_train_batches=5)
    record, text = load(tmp_path), (tmp_path / "report.md").read_text()
    assert record.projected.samples == record.measured.samples == 20 * EPOCHS
    assert "Every epoch drew the full recipe" not in text
    assert f"From epoch {rule.epoch} on another volume applied, but every epoch drew as many samples" in text
    assert "limit_train_batches=5 caps both" in text


def test_a_cooldown_that_ended_the_run_early_counts_the_epochs_that_it_left_out_as_saved(tmp_path):
    recipe = Recipe(after=Volume(), annealing_fraction=0, cooldown=Cooldown(fraction=0.5, min_epochs=2))
    recorder, _ = run(tmp_path, CriticalPeriodCallback(rule=AtEpoch(3), recipe=recipe), CostMonitor(), max_epochs=12)
    record = load(tmp_path)
    assert (record.run.max_epochs, record.run.epochs_done) == (12, 5)
    assert (record.decision.cooldown_epoch, record.decision.last_epoch) == (3, 4)
    assert record.decision.phases == (Span("during", 0, 2), Span("cooldown", 3, 4))
    assert [epoch.settings["cooldown"] for epoch in record.epochs[:4]] == [1, 1, 1, 1]
    assert (record.projected.epochs_left_out, record.projected.epochs_projected) == (7, 0)
    assert record.projected.samples == 12 * SAMPLES
    measured = record.measured.seconds_by_phase
    rate = statistics.median(epoch.seconds["training"] for epoch in record.epochs[1:])
    assert record.projected.seconds_by_phase["training"] == pytest.approx(measured["training"] + 7 * rate)
    mean = statistics.fmean(epoch.seconds["validation"] for epoch in record.epochs)
    assert record.projected.seconds_by_phase["validation"] == pytest.approx(measured["validation"] + 7 * mean)
    said = " ".join(shown(recorder).split())
    assert (
        "The run ended after 5 of at most 12 epochs: layer rotation was not used: epoch 3 was set beforehand." in said
    )


def test_the_report_of_an_early_cooldown_says_with_which_weights_it_ended(tmp_path):
    callback = EarlyCooldown("val_loss", mode="min", min_gain=100.0)  # no gain is worth it
    run(tmp_path, callback, CostMonitor(), max_epochs=60)
    record = load(tmp_path)
    assert record.run.max_epochs == 60
    assert record.decision.last_epoch == record.run.epochs_done - 1 < 59
    assert record.decision.final_weights == callback.final_weights != ""
    averaged, raw = (f"{callback.final_values[weights]:.4g}" for weights in ("averaged", "raw"))
    said = f"The model has the {callback.final_weights} weights: val_loss was {averaged} averaged, {raw} raw."
    assert said in (tmp_path / "report.md").read_text()
    assert record.decision.final_values == callback.final_values
    assert (record.epochs[-1].phase, record.measured.samples) == ("cooldown", record.run.epochs_done * SAMPLES)
    assert {len(line) for line in record.decision.course.values()} == {2, record.decision.end_epoch - 10}


@pytest.mark.parametrize("raw", [True, False])
def test_the_table_had_the_averaged_metric_of_a_model_that_was_left_with_its_raw_weights(tmp_path, raw):
    """Its last validation of an epoch sees the averaged weights, the one after it the raw ones."""

    class Prefers(Net):
        def validation_step(self, batch, batch_idx):
            epoch = self.trainer.fit_loop.epoch_progress.current.processed
            sees_raw = torch.equal(self.layer.weight, self.trained) if epoch else False
            self.log("val_acc", 0.7 if sees_raw == raw else 0.6)
            self.log("weight", self.layer.weight.sum())

        def on_train_batch_end(self, *_):
            self.trained = self.layer.weight.detach().clone()

    net, callback = Prefers(), EarlyCooldown("val_acc", mode="max")
    recorder, _ = run(tmp_path, callback, CostMonitor(), net=net, max_epochs=5)
    kept = "raw" if raw else "averaged"
    record = load(tmp_path)
    assert (callback.final_weights, record.metrics.validation["val_acc"]) == (kept, pytest.approx(0.7))
    assert record.metrics.validation["weight"] == pytest.approx(net.layer.weight.sum().item(), abs=1e-6)
    text, page = ((tmp_path / f"report.{kind}").read_text() for kind in ("md", "html"))
    assert f"| val_acc ({kept} weights) | 0.7 |" in text
    assert f"val_acc ({kept} weights), one run" in page
    other = "averaged" if raw else "raw"
    assert record.decision.final_values == {kept: pytest.approx(0.7), other: pytest.approx(0.6)}
    assert f"val_acc ({kept} weights)" in shown(recorder)


def test_a_step_that_became_cheaper_counts_as_saved_though_as_much_was_drawn(tmp_path):
    class Slow(Net):
        pause = 0.01

        def training_step(self, batch, batch_idx):
            time.sleep(self.pause)
            return super().training_step(batch, batch_idx)

    recipe = Recipe(after=Volume(), annealing_fraction=0, changes=[Phased("pause", after=0.0)])
    callback = CriticalPeriodCallback(rule=AtEpoch(4), recipe=recipe)
    run(tmp_path, callback, CostMonitor(), net=Slow())
    record = load(tmp_path)
    assert [epoch.settings for epoch in record.epochs] == [{"phased/pause": 0.01}] * 4 + [{"phased/pause": 0.0}] * 4
    assert record.decision.recipe.changes == {"phased/pause": "during 0.01, after 0.0"}
    assert record.projected.samples == record.measured.samples == EPOCHS * SAMPLES
    assert record.projected.epochs_projected == 4
    during = [epoch.seconds["training"] for epoch in record.epochs[:4]]
    expected = sum(during) + 4 * statistics.median(during[1:])  # the first holds the warm-up
    assert record.projected.seconds_by_phase["training"] == pytest.approx(expected)


def test_what_a_guard_took_back_is_the_first_phase_again(tmp_path):
    class Drops(Net):
        def validation_step(self, batch, batch_idx):
            self.log("val_acc", 0.9 if self.current_epoch < 3 else 0.1)

    guard = Guard("val_acc", max_drop=0.1, mode="max")
    recorder, _ = run(tmp_path, switched(guard=guard), CostMonitor(), net=Drops())
    record = load(tmp_path)
    assert record.decision.back_epoch == 4
    assert [epoch.phase for epoch in record.epochs] == ["during"] * 3 + ["after"] + ["during"] * 4
    assert record.projected.epochs_projected == 1
    assert record.decision.guard_reason[1:] in shown(recorder)


@pytest.mark.slow
def test_a_record_is_there_after_a_fit_in_spawned_processes(tmp_path):
    monitor = CostMonitor()
    fit(tmp_path, monitor, strategy="ddp_spawn", devices=2, max_epochs=2)
    assert monitor.recorder.record == load(tmp_path)
    assert monitor.recorder.folder == tmp_path


@pytest.mark.parametrize(("error", "told"), [(RuntimeError, False), (KeyboardInterrupt, True)])
def test_a_run_that_is_stopped_by_hand_still_says_what_it_cost(tmp_path, capsys, error, told):
    with pytest.raises((RuntimeError, SystemExit)):
        fit(tmp_path, CostMonitor(), net=Net("training", error))
    assert load(tmp_path).status == "interrupted"
    assert ("samples drawn" in capsys.readouterr().out) == told
