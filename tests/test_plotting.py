import itertools
import re
from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from example_record import SIGNAL, record, with_epochs
from matplotlib.colors import to_hex

from lightning_critperiod.record import Metrics
from lightning_critperiod.report.colors import LIGHT
from lightning_critperiod.report.plotting import (
    as_svg,
    budget_figure,
    costs_figure,
    course_figure,
    figures,
    learning_rate_figure,
    metrics_figures,
    samples_figure,
    signal_figure,
    svgs,
)


def texts(figure):
    return {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()}


def test_every_axis_is_labelled():
    for caption, figure in figures(record()).items():
        for panel in figure.axes:
            assert panel.get_xlabel(), caption
            assert panel.get_ylabel() or caption == "Time by phase"


def test_the_signal_is_drawn_with_the_line_that_the_rule_fitted():
    panel = signal_figure(record()).axes[0]
    curve, fitted = panel.lines[:2]
    assert list(curve.get_ydata()) == SIGNAL
    slope, intercept = np.polyfit([1, 2, 3], SIGNAL[1:4], 1)  # window 3, over after epoch 3
    assert fitted.get_ydata() == pytest.approx(intercept + slope * np.asarray(fitted.get_xdata()))


def test_the_verdict_is_marked_between_the_epochs_that_it_separates():
    figure = signal_figure(record())
    assert figure.axes[0].lines[2].get_xdata() == [3.5, 3.5]
    assert "over after epoch 3" in texts(figure)
    undecided = record(decision={"end_epoch": None})
    assert not any("over after" in text for text in texts(signal_figure(undecided)))


def test_epochs_before_and_from_the_verdict_have_two_colours():
    dots = signal_figure(record()).axes[0].collections[0]
    colors = [to_hex(color) for color in dots.get_facecolors()]
    assert colors == [LIGHT["blue"]] * 3 + [LIGHT["sky"]] * 5


def test_every_line_that_the_record_holds_is_drawn_under_its_name():
    lines = {"Q1": [[0, 0.1], [5, 0.1]], "fitted curve": [[0, 0.0], [1, 0.3], [2, 0.4]]}
    figure = signal_figure(record(decision={"lines": lines}))
    drawn = [np.column_stack(line.get_data()).tolist() for line in figure.axes[0].lines]
    assert all(line in drawn for line in lines.values())
    assert set(lines) <= texts(figure)


def test_what_the_rule_went_by_is_drawn_by_epoch():
    course = {"at most to come": [[0, 9.0], [1, 0.3], [2, 0.2], [3, 0.1]], "worth going on": [[0, 0.2], [3, 0.2]]}
    figure = course_figure(record(decision={"course": course}))
    drawn = [np.column_stack(line.get_data()).tolist() for line in figure.axes[0].lines]
    assert all(line in drawn for line in course.values())
    assert set(course) <= texts(figure)
    assert figure.axes[0].get_ylim()[1] < 1  # the first epochs do not make the rest a flat line
    assert course_figure(record()) is None


def test_what_was_spent_is_drawn_in_percent_of_the_budget():
    spent = {
        "limits": {"kwh": 5.0, "hours": 2.0},
        "spent": {"kwh": [[0, 1.0], [1, 4.0]], "hours": [[0, 1.0], [1, 1.5]]},
    }
    figure = budget_figure(record(decision=spent))
    assert [list(line.get_ydata()) for line in figure.axes[0].lines[:2]] == [[20, 80], [50, 75]]
    assert {"of 5 kWh", "of 2 hours"} <= texts(figure)
    assert budget_figure(record()) is None


def test_a_record_without_lines_draws_none():
    assert len(signal_figure(record(decision={"lines": {}})).axes[0].lines) == 2


def test_an_epoch_without_a_value_is_left_out():
    def lose(epoch):
        epoch["signal"] = None if epoch["epoch"] == 2 else epoch["signal"]

    assert list(signal_figure(with_epochs(lose)).axes[0].lines[0].get_xdata()) == [0, 1, 3, 4, 5, 6, 7]


def test_flops_are_drawn_where_a_sample_cost_more_in_one_epoch_than_in_another():
    def of_size(large):
        def change(epoch):
            epoch["flops"] = epoch["samples"] * (4e9 if epoch["epoch"] >= large else 1e9)

        return with_epochs(change)

    growing, equal = of_size(large=6), of_size(large=0)
    bars = samples_figure(growing).axes[1].containers[0]
    assert [bar.get_height() for bar in bars] == [3e11] * 4 + [1e11] * 2 + [4e11, 12e11]
    spent = metrics_figures(growing)["val_acc"].axes[0]
    assert spent.get_xlabel() == "training FLOPs"
    assert max(spent.lines[-1].get_xdata()) <= 30e11
    assert len(samples_figure(equal).axes) == 1
    assert metrics_figures(equal)["val_acc"].axes[0].get_xlabel() == "samples drawn"


def test_the_bars_are_the_samples_and_the_phases_are_named():
    figure = samples_figure(record())
    assert [bar.get_height() for bar in figure.axes[0].containers[0]] == [300] * 4 + [100] * 3 + [300]
    assert {"during", "after", "annealing"} <= texts(figure)


def shades(panel):
    """(left, right) of every shaded part."""
    spans = [patch for patch in panel.patches if patch.get_zorder() == 0]
    # A polygon in matplotlib 3.8, a rectangle today.
    across = [span.get_path().transformed(span.get_patch_transform()).vertices[:, 0] for span in spans]
    return [(x.min(), x.max()) for x in across]


def in_phases(phases):
    def put(epoch):
        epoch["phase"] = phases[epoch["epoch"]]

    return with_epochs(put)


def test_the_phases_are_shaded_in_every_figure_of_epochs():
    run = record()  # after from epoch 4, annealing in epoch 7
    for figure in (signal_figure(run), samples_figure(run), learning_rate_figure(run)):
        assert shades(figure.axes[0]) == [(3.5, 6.5), (6.5, 7.5)]
        assert {"during", "after", "annealing"} <= texts(figure)
    over_samples, over_seconds = metrics_figures(run)["val_loss"].axes
    assert shades(over_samples) == [(1200, 1500), (1500, 1800)]
    assert shades(over_seconds) == [(14, 18.5), (18.5, 22)]


def test_the_cooldown_is_shaded_and_named():
    run = in_phases(["during"] * 5 + ["cooldown"] * 3)
    figure = learning_rate_figure(run)
    assert shades(figure.axes[0]) == [(4.5, 7.5)]
    assert "cooldown" in texts(figure)


def test_a_run_of_one_phase_has_no_shade():
    figure = samples_figure(in_phases(["during"] * 8))
    assert shades(figure.axes[0]) == []
    assert "during" not in texts(figure)


@pytest.mark.parametrize("phases", [["during"] * 7 + ["after"], ["during"] * 3 + ["after"] * 4 + ["cooldown"]])
def test_the_names_of_the_phases_lie_within_the_figure_and_do_not_cover_each_other(phases):
    figure = samples_figure(in_phases(phases))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text() in phases]
    assert len(boxes) == len(set(phases))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)


def test_the_name_of_a_phase_is_left_out_where_it_would_cover_the_next_one():
    phases = ["during"] * 6 + ["after", "annealing"]
    figure = samples_figure(in_phases(phases))
    figure.draw_without_rendering()
    boxes = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts if text.get_text() in phases}
    assert set(boxes) == {"during", "annealing"}
    assert not boxes["during"].overlaps(boxes["annealing"])


def test_a_first_epoch_that_took_nearly_all_of_the_time_does_not_squeeze_the_figure(recwarn):
    """The name of its phase was far to the left of the panel, which made room for it until nothing was left."""
    epochs = [
        replace(epoch, seconds={"training": 100.0 if epoch.epoch == 0 else 0.01}) for epoch in record().epochs[:2]
    ]
    run = replace(record(decision={"end_epoch": 1}), epochs=(epochs[0], replace(epochs[1], phase="after")))
    as_svg(figures(run)["val_loss, over what was spent"], "figure1")
    assert [str(warning.message) for warning in recwarn.list] == []


def test_samples_that_were_not_counted_are_drawn_as_batches():
    def lose(epoch):
        epoch["samples"] = None

    run = with_epochs(lose)
    figure = samples_figure(run)
    assert [bar.get_height() for bar in figure.axes[0].containers[0]] == [30] * 4 + [10] * 3 + [30]
    assert figure.axes[0].get_ylabel() == "batches"
    assert metrics_figures(run)["val_loss"].axes[0].get_xlabel() == "batches"


def test_a_metric_of_averaged_weights_is_named_so():
    averaged = record(decision={"final_weights": "raw"})  # with which the run ended
    assert "averaged" in texts(metrics_figures(averaged)["val_acc"])
    assert "averaged" not in texts(metrics_figures(record())["val_acc"])


def test_the_metric_of_the_raw_weights_is_a_point_at_the_end_of_that_of_the_averaged_ones():
    values = {"averaged": 0.9, "raw": 0.8}
    run = record(decision={"signal": "val_acc", "final_weights": "averaged", "final_values": values})
    drawn = metrics_figures(run)
    points = [line for line in drawn["val_acc"].axes[0].lines if list(line.get_ydata()) == [0.8]]
    assert [list(line.get_xdata()) for line in points] == [[1800]]
    assert {"raw", "averaged"} <= set(texts(drawn["val_acc"]))
    assert "raw" not in texts(drawn["val_loss"])


@pytest.mark.parametrize("name", ["val_$\\frac$", "val_$cost", "val_[red]"])
def test_the_name_of_a_metric_is_no_formula(name):
    def put(epoch):
        epoch["metrics"] = {name: 1.0}

    run = replace(with_epochs(put), metrics=Metrics({name: 1.0}))
    assert name in svgs(run)[f"{name}, over what was spent"]


def test_metrics_are_drawn_over_samples_and_over_seconds():
    drawn = metrics_figures(record())
    assert list(drawn) == ["val_loss", "val_acc"]
    over_samples, over_seconds = drawn["val_loss"].axes
    train, val = over_samples.lines[:2]
    assert list(val.get_xdata()) == [300, 600, 900, 1200, 1300, 1400, 1500, 1800]
    assert list(val.get_ydata()) == [1 / e for e in range(1, 9)]
    assert list(train.get_ydata()) == [2 / e for e in range(1, 9)]
    assert list(over_seconds.lines[1].get_xdata()) == [3.5, 7, 10.5, 14, 15.5, 17, 18.5, 22]
    assert over_samples.lines[2].get_xdata() == [1200, 1200]
    assert over_samples.get_xlabel() == "samples drawn"
    assert over_seconds.get_xlabel() == "seconds"


def test_an_observed_run_did_not_switch():
    run = record(decision={"observe_only": True})
    for figure in (learning_rate_figure(run), metrics_figures(run)["val_loss"]):
        assert "would have switched" in texts(figure)
        assert "switch" not in texts(figure)
    assert "switch" in texts(learning_rate_figure(record()))


@pytest.mark.parametrize(("train", "val"), [(0.51, 0.5), (0.5, 0.51), (0.5, 0.5), (0.2, 0.9)])
def test_the_labels_of_the_curves_do_not_cover_each_other(train, val):
    def end(epoch):
        if epoch["epoch"] == 7:
            epoch["metrics"] |= {"train_loss": train, "val_loss": val}

    figure = metrics_figures(with_epochs(end))["val_loss"]
    figure.draw_without_rendering()
    heights = {"train": train, "val": val}
    for panel in figure.axes:
        ends = {text.get_text(): text.get_window_extent() for text in panel.texts if text.get_text() in heights}
        assert set(ends) == set(heights)
        for one, other in itertools.combinations(heights, 2):
            assert not ends[one].overlaps(ends[other])
            if heights[one] != heights[other]:
                assert (ends[one].y0 > ends[other].y0) == (heights[one] > heights[other])


def test_an_epoch_without_the_metric_is_a_gap_in_time_not_in_the_curve():
    def lose(epoch):
        epoch["metrics"] = {} if epoch["epoch"] == 1 else epoch["metrics"]

    assert list(metrics_figures(with_epochs(lose))["val_acc"].axes[0].lines[0].get_xdata()) == [
        300,
        900,
        1200,
        1300,
        1400,
        1500,
        1800,
    ]


def test_the_learning_rate_is_drawn():
    line = learning_rate_figure(record()).axes[0].lines[0]
    assert line.get_ydata() == pytest.approx([0.1 * (8 - e) for e in range(8)])


def test_the_phases_add_up_to_the_totals():
    panel = costs_figure(record()).axes[0]
    ends = {0: 0.0, 1: 0.0}
    for bar in panel.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        assert bar.get_x() == pytest.approx(ends[row])
        ends[row] += bar.get_width()
    assert ends == pytest.approx({1: 25.0, 0: 30.0})
    assert [label.get_text() for label in panel.get_yticklabels()] == ["projected\nfull recipe", "measured"]


def test_the_projection_has_its_interval():
    panel = costs_figure(record()).axes[0]
    (segment,) = panel.containers[-1].lines[2][0].get_segments()
    assert segment[:, 0] == pytest.approx([28, 32])
    without = costs_figure(record(projected={"seconds_low": None, "seconds_high": None}))
    assert "ErrorbarContainer" not in {type(container).__name__ for container in without.axes[0].containers}


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"decision": None, "projected": None}, "Signal and verdict, by epoch"),
        ({"measured": None}, "Time by phase"),
        ({"metrics": {"validation": {}}}, "val_loss, over what was spent"),
        ({"epochs": []}, "Samples drawn, by epoch"),
    ],
)
def test_a_figure_without_data_is_left_out_and_the_others_stay(changes, missing):
    drawn = figures(record(**changes))
    assert missing not in drawn
    assert drawn


def test_a_run_of_one_epoch_is_drawn():
    run = record(decision={"end_epoch": None, "reason": ""})
    assert "val_loss, over what was spent" in svgs(replace(run, epochs=run.epochs[:1]))


def test_all_colours_of_a_page_follow_its_theme():
    for svg in svgs(record()).values():
        assert "var(--blue)" in svg
        assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= {"#000000", "#ffffff"}
        assert not re.search(r"(?:fill|stroke): #(?:000000|ffffff)(?!.*opacity: 0)", svg)


def test_equal_records_give_equal_drawings():
    assert svgs(record()) == svgs(record())
    assert as_svg(samples_figure(record()), "a") != as_svg(samples_figure(record()), "b")


def test_drawing_leaves_matplotlibs_settings_and_open_figures_alone():
    before = dict(mpl.rcParams)
    svgs(record())
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_a_run_of_less_than_a_second_has_a_time_axis_that_is_not_all_zeros():
    short = replace(record(), epochs=[replace(epoch, seconds={"training": 0.05}) for epoch in record().epochs])
    _, over_seconds = metrics_figures(short)["val_loss"].axes
    numbers = over_seconds.xaxis.get_major_formatter().format_ticks(over_seconds.get_xticks())
    assert "0.1" in numbers
    assert len(set(numbers)) == len(numbers)


def test_a_very_long_name_of_a_metric_leaves_room_for_its_curve():
    name = "validation/" + "a" * 60
    epochs = [replace(epoch, metrics={name: 0.1 * epoch.epoch}) for epoch in record().epochs]
    figure = metrics_figures(replace(record(), metrics=Metrics({name: 0.7}), epochs=epochs))[name]
    as_svg(figure, "figure")  # a warning is an error
    assert all(panel.get_position().width > 0.3 for panel in figure.axes)
