import html
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from example_record import as_json, record
from rich.console import Console

from lightning_critperiod.record import load
from lightning_critperiod.report import caveats, headline, save, savings
from lightning_critperiod.report.page import page
from lightning_critperiod.report.plotting import svgs
from lightning_critperiod.report.summary import print_summary
from lightning_critperiod.report.words import percent

NAMES = {"report.json", "report.md", "report.html"}


def leave(folder, **changes):
    run = record(**changes)
    save(run, folder)
    return run


def test_what_was_saved_is_what_is_loaded_from_folder_or_file(tmp_path):
    run = leave(tmp_path / "run")
    assert load(tmp_path / "run") == load(tmp_path / "run" / "report.json") == run
    assert {path.name for path in (tmp_path / "run").iterdir()} == NAMES


def test_a_record_that_cannot_be_written_leaves_what_was_there(tmp_path):
    leave(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="JSON"):
        save(record(metrics={"validation": {"val_loss": float("nan")}}), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_full_disk_leaves_no_half_a_file(tmp_path, monkeypatch):
    leave(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.chmod", full)
    with pytest.raises(OSError, match="no space"):
        leave(tmp_path, status="interrupted")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "damaged: expected JSON"),
        ('{"format": 1, "epochs": [', "damaged: expected JSON"),
        ("\udcff", "damaged: expected JSON"),
        ("[]", "not the report of a run"),
        ('{"a": 1}', "no 'format'"),
        ('{"format": 0}', "format 0, this version of lightning-critperiod reads 1 to 2"),
        ('{"format": 3}', "format 3, this version of lightning-critperiod reads 1 to 2"),
        ('{"format": 1, "status": "completed"}', "damaged: it has no 'run', 'decision'"),
        (json.dumps(as_json(epochs=[{"epoch": 0, "samples": "many"}])), r"epochs\[0\].samples must be int, got 'many'"),
        (json.dumps(as_json(epochs=[{"samples": 3}])), r"epochs\[0\] has no 'epoch'"),
        (json.dumps(as_json(epochs=3)), "epochs must be a list, got 3"),
        (json.dumps(as_json(status="lost")), "status must be one of 'running', 'completed', 'interrupted', got 'lost'"),
        (json.dumps(as_json(run={"steps": True})), "run.steps must be int, got True"),
        (json.dumps(as_json(decision={"full_volume": {"pruning_ratio": 2}})), "pruning_ratio must be"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, text, error):
    file = tmp_path / "report.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=error) as raised:
        load(tmp_path)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_report_is_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"report\.json does not exist"):
        load(tmp_path)


def test_savings_are_relative_to_the_projection_with_its_interval():
    saving = savings(record())
    assert saving["seconds"].saved == 5
    assert saving["seconds"].fraction == pytest.approx(1 - 25 / 30)
    assert saving["seconds"].interval == pytest.approx((1 - 25 / 28, 1 - 25 / 32))
    assert saving["energy_kwh"].low == pytest.approx(0.6 * 28 / 30)
    assert saving["samples"].fraction == pytest.approx(0.25)
    assert saving["samples"].interval is None


def test_what_was_not_measured_is_not_saved():
    run = record(measured={"energy_kwh": None, "co2_kg": None, "money": None, "samples": None})
    assert [name for name, saving in savings(run).items() if saving.measured is not None] == ["seconds"]
    assert [saving.fraction for saving in savings(run).values()] == [pytest.approx(1 - 25 / 30), *[None] * 4]
    assert savings(record(measured=None)) == {}
    assert savings(record(projected=None))["seconds"].fraction is None


def text_of(run):
    text = io.StringIO()
    print_summary(Console(width=200, file=text), run, None)
    return text.getvalue()


def test_the_table_has_every_cost_beside_its_projection_then_the_metrics():
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text_of(record()).splitlines() if "│" in line]
    assert lines == [
        ["time", "25.0 s", "30.0 [28.0, 32.0] s", "16.7%"],
        ["energy", "0.5 kWh", "0.6 [0.56, 0.64] kWh", "16.7%"],
        ["CO2-equivalent", "0.2 kg", "0.24 [0.224, 0.256] kg", "16.7%"],
        ["money", "0.1 EUR", "0.12 [0.112, 0.128] EUR", "16.7%"],
        ["samples drawn", "1,800", "2,400", "25.0%"],
        ["val_loss", "0.125", "", ""],
        ["val_acc", "0.7", "", ""],
        ["test_acc", "0.68", "", ""],
    ]


def test_a_run_without_a_projection_has_no_columns_of_dashes(tmp_path):
    run = leave(tmp_path, decision=None, projected=None)
    lines = [line for line in text_of(run).splitlines() if "│" in line]
    assert [cell.strip() for cell in lines[0].split("│")[1:-1]] == ["time", "25.0 s"]
    page = (tmp_path / "report.html").read_text()
    assert "| time | 25.0 s |\n" in (tmp_path / "report.md").read_text()
    assert "<dt>Took</dt><dd><b>25.0 s</b>8 of 8 epochs done</dd>" in page
    assert "not over" not in page
    assert "projected full recipe" not in page


def found(run, text):
    return [caveat for caveat in caveats(run) if text in caveat]


def test_the_caveats_are_those_that_apply_to_the_run():
    run = record()
    assert found(run, "seed 7")
    assert found(run, "5 epochs that had the full recipe")
    assert found(run, "time x power")
    assert not found(run, "test set")
    assert not found(run, "validation metric")
    assert not found(run, "interrupted")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"metrics": {"test": {}}}, "No separate test set"),
        ({"decision": {"signal": "val_loss"}}, "read the validation metric val_loss"),
        (
            {"status": "interrupted", "error": "KeyboardInterrupt"},
            "interrupted after 8 of 8 epochs (KeyboardInterrupt)",
        ),
        ({"projected": {"seconds_low": None, "seconds_high": None}}, "Too few epochs"),
        ({"measured": None}, "no CostMonitor"),
        ({"measured": {"energy_kwh": None, "money": None}}, "Energy was not measured"),
        ({"run": {"seed": None}}, "an unknown seed"),
    ],
)
def test_a_caveat_is_there_when_it_applies(changes, text):
    assert found(record(**changes), text)


def test_nothing_is_called_projected_where_every_epoch_had_the_full_volume():
    run = record(projected={"epochs_projected": 0})
    epochs = tuple(replace(epoch, volume=run.decision.full_volume) for epoch in run.epochs)
    assert found(replace(run, epochs=epochs), "Every epoch drew the full recipe")
    assert not found(run, "Every epoch drew the full recipe")


GPU, RAPL = "measured by the graphics card's energy counter (NVML or AMD SMI)", "measured by RAPL"
TDP, RAM = "estimated: 8 W (TDP) scaled by processor load", "estimated: constant power by memory size"


@pytest.mark.parametrize(
    ("obtained", "said"),
    [
        ({"cpu": TDP, "ram": RAM, "gpu": "no graphics card found"}, "No part of the energy was measured by a counter"),
        ({"cpu": TDP, "ram": RAM, "gpu": GPU}, "of gpu was measured by a counter, that of cpu and ram is estimated"),
        ({"cpu": RAPL, "ram": RAM, "gpu": GPU}, "of cpu and gpu was measured by a counter, that of ram is estimated"),
        ({"cpu": RAPL, "gpu": GPU}, None),
    ],
)
def test_estimated_energy_is_called_so_part_by_part(obtained, said):
    """Energy = time x constant is no result of its own; a counter's reading is one."""
    run = record(measured={"obtained": obtained})
    energy = found(run, "time x power")
    assert (len(energy), not found(run, "by a counter")) == ((0, True) if said is None else (1, False))
    assert said is None or said in energy[0]
    assert said is None or "independent of time" in energy[0]


def test_a_meter_that_failed_is_no_estimate():
    run = record(measured={"energy_kwh": None, "co2_kg": None, "money": None})
    assert not found(run, "time x power")
    assert found(run, "Energy was not measured")


METRIC = {"signal": "val_loss"}


@pytest.mark.parametrize(
    ("decision", "metrics", "applies"),
    [
        (METRIC, {}, True),
        (METRIC, {"test": {}}, True),
        (METRIC, {"validation": {}, "test": {}}, True),  # no CostMonitor collected them
        ({"signal": "layer_rotation"}, {}, False),
        ({"signal": "train_loss"}, {}, False),
        ({**METRIC, "end_epoch": None}, {}, False),  # it never fired, so that nothing was chosen by it
        ({**METRIC, "observe_only": True}, {}, False),  # nothing was changed
    ],
)
def test_that_the_decision_read_the_validation_data_is_said_where_it_favours_them(decision, metrics, applies):
    run = record(decision=decision, metrics=metrics)
    assert bool(found(run, "favour it")) == applies


@pytest.mark.parametrize(
    ("validation", "test", "said"),
    [
        ({"val_acc": 0.7}, {"test_acc": 0.6}, None),
        ({"val_acc": 0.7}, {}, "the metrics are those of the validation data"),
        ({}, {}, "no metric is known at all"),
    ],
)
def test_a_missing_test_set_is_said_where_none_was_evaluated(validation, test, said):
    run = record(metrics={"validation": validation, "test": test})
    assert [said in text for text in found(run, "No separate test set")] == ([] if said is None else [True])


ALMOST = {"seconds_low": 30.0, "seconds_high": 30.0}


@pytest.mark.parametrize(
    ("projected", "is_projected", "has_interval"),
    [
        ({}, True, True),
        ({"seconds_low": None, "seconds_high": None}, True, False),
        ({"epochs_projected": 0, **ALMOST}, False, False),
        (None, False, False),
    ],
)
def test_the_baseline_is_called_projected_and_its_interval_the_runs_own(
    tmp_path, projected, is_projected, has_interval
):
    """Wherever the interval is: the bullets, both pages, the terminal, the number on top, the figure."""
    run = leave(tmp_path, projected=projected)
    assert bool(found(run, "projected, not measured")) == is_projected
    own = "within this run"
    assert bool(found(run, own)) == has_interval
    markdown, shown = (tmp_path / "report.md").read_text(), html.unescape((tmp_path / "report.html").read_text())
    assert markdown.partition("## What to keep")[0].count(own) == has_interval  # below the table
    above, _, below = shown.partition("What to keep in mind")
    assert above.count(own) == 2 * has_interval  # on top, below the table
    assert below.count(own) == 2 * has_interval  # a bullet, the figure's axis
    assert ("[28.0, 32.0]" in text_of(run)) == has_interval
    assert (own in " ".join(text_of(run).split())) == has_interval


OBSERVED = {"observe_only": True}
OTHER = {"samples": 900, "seconds": 13.0, "seconds_low": 12.0, "seconds_high": 14.0, "basis": "so"}


def test_what_an_observed_run_would_have_cost_is_called_projected():
    run = record(decision=OBSERVED, projected={"epochs_projected": 0, **ALMOST})
    assert not found(run, "projected, not measured")
    run = record(decision=OBSERVED, projected={"epochs_projected": 0, **ALMOST}, observed=OTHER)
    assert found(run, "What the recipe would have cost is projected, not measured: so.")
    assert "The 95% interval covers only the noise within this run" in headline(run)
    assert "48.0%" in page(run, {})  # 1 - 13 / 25, on top
    assert "44.0% to 52.0% by the noise within this run" in html.unescape(page(run, {}))
    unsure = {**OTHER, "seconds_low": None, "seconds_high": None}
    assert "95%" not in headline(record(decision=OBSERVED, observed=unsure))


def test_the_report_says_at_which_prices_and_on_which_grid(tmp_path):
    leave(tmp_path, measured={"price_per_hour": 2.5, "region": "vermont", "country_iso_code": "USA"})
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert "0.2 EUR per kWh + 2.5 EUR per hour" in text
        assert "grid of USA, vermont" in text


def test_the_headline_is_the_decision():
    assert headline(record()).startswith("Critical period over after epoch 3: layer rotation")
    assert "nothing was decided" in headline(record(decision=None))
    run = record(decision=OBSERVED, observed=OTHER)
    assert "900 samples in place of 1,800, and taken 13.0 [12.0, 14.0] s in place of 25.0 s (projected)" in headline(
        run
    )


def test_nothing_is_a_plain_zero():
    assert [percent(value) for value in (None, -0.0001, 0.0, 0.25, -0.25)] == ["-", "0.0%", "0.0%", "25.0%", "-25.0%"]


class Page(HTMLParser):
    """Collects what a browser would fetch or run, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.links, self.scripts, self.open, self.ids = [], 0, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in {"src", "href", "xlink:href", "action"}]
        self.ids += [value for name, value in attributes if name == "id"]
        self.scripts += tag == "script" or any(name.startswith("on") for name, _ in attributes)
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in {"meta", "link", "br"}:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_self_contained_well_formed_and_escaped(tmp_path):
    leave(tmp_path)
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.scripts == 0
    assert page.open == []
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert not re.search(r"url\((?!#|\"#)|@import", text)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "model: &lt;Net&gt; &amp; co" in text
    assert text.count("<svg") == len(svgs(record()))


def test_the_markdown_table_survives_a_bar_in_a_cell(tmp_path):
    leave(tmp_path, metrics={"validation": {"a|b": 1.0}})
    assert "| a\\|b | 1 |  |  |" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    "changes",
    [
        {"decision": None, "projected": None},
        {"measured": None, "projected": None},
        {"epochs": []},
        {"metrics": {"validation": {}, "test": {}}},
        {"metrics": {"validation": {"val_loss": None}}},
        {"projected": {"seconds_low": None, "seconds_high": None}},
        {"decision": {"end_epoch": None, "reason": ""}},
        {"decision": {"end_epoch": 0}},
        {"config": None},
    ],
)
def test_a_record_with_something_missing_is_a_whole_report(tmp_path, changes):
    run = leave(tmp_path, **changes)
    assert {path.name for path in tmp_path.iterdir()} == NAMES
    assert Page((tmp_path / "report.html").read_text()).open == []
    assert load(tmp_path) == run


def test_the_json_is_plain(tmp_path):
    leave(tmp_path)
    json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)


COOLED = {"end_epoch": 4, "cooldown_epoch": 4, "last_epoch": 7}


def test_a_run_that_a_cooldown_ended_says_after_how_many_of_the_planned_epochs():
    run = record(decision=COOLED, run={"max_epochs": 40}, projected={"epochs_left_out": 32})
    said = "The run ended after 8 of at most 40 epochs: layer rotation rose at 40.0 degrees, below 45. "
    assert headline(run) == f"{said}Left out, and counted as saved: 32 planned epochs."
    assert not found(run, "Every epoch drew")
    assert "The run ended after 8 epochs: " in headline(record(decision=COOLED, run={"max_epochs": None}))
    for changes in ({"run": {"max_epochs": 8}}, {"run": {"epochs_done": 6}}):
        assert "The run ended" not in headline(record(decision=COOLED, **changes))
    averaged = record(decision={**COOLED, "final_weights": "averaged"})
    assert headline(averaged).endswith("The model has the averaged weights.")


def test_a_run_with_the_extra_epoch_of_weight_averaging_had_nine_of_eight_epochs(tmp_path):
    run = leave(tmp_path, run={"epochs_done": 9})
    assert "9 epochs (8 planned)" in text_of(run)
    assert "9 of 8" not in (tmp_path / "report.html").read_text()


def test_a_reason_without_a_colon_is_said_whole():
    run = record(decision={**COOLED, "reason": "the rule fired"}, run={"max_epochs": 40})
    assert headline(run).startswith("The run ended after 8 of at most 40 epochs: the rule fired.")


def test_a_run_that_a_budget_ended_says_so_and_not_that_the_rule_fired(tmp_path):
    because = "cooldown of 2 epochs after epoch 5: in time for the budget of 3 hours"
    reason = f"critical period not over in 8 epochs: Never() never fired; {because}"
    cooled = {"end_epoch": None, "cooldown_epoch": 6, "last_epoch": 7, "reason": reason, "cooldown_reason": because}
    run = record(decision=cooled, run={"max_epochs": 40})
    assert headline(run) == (
        "The run ended after 8 of at most 40 epochs: in time for the budget of 3 hours. Critical period not over in 8 "
        f"epochs: Never() never fired. C{because[1:]}."
    )
    save(run, tmp_path)
    assert f"<b>after epoch 5</b>{because}" in (tmp_path / "report.html").read_text()


def test_a_run_in_which_nothing_was_left_out_shows_what_it_took_not_that_it_saved_less_than_nothing(tmp_path):
    leave(tmp_path, projected={"epochs_projected": 0, "epochs_left_out": 0})
    numbers = (tmp_path / "report.html").read_text().partition('class="numbers"')[2].partition("</dl>")[0]
    assert "Took" in numbers
    assert "Saved" not in numbers


def test_a_guard_that_took_the_changes_back_says_why():
    run = record(decision={"back_epoch": 6, "guard_reason": "changes taken back after epoch 5: val_acc fell by 0.2"})
    assert "below 45. Changes taken back after epoch 5: val_acc fell by 0.2." in headline(run)


def test_a_run_without_a_last_epoch_is_not_said_to_be_one_of_minus_one(tmp_path):
    run = leave(tmp_path, run={"max_epochs": None}, status="interrupted")
    assert "interrupted after 8 epochs" in found(run, "interrupted")[0]
    assert "8 epochs" in text_of(run)
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert "no last epoch" in text
        assert "of None" not in text


ASSUMED = ("country_iso_code", "price_per_kwh")


def test_what_nobody_gave_is_called_assumed_where_it_is_used(tmp_path):
    run = leave(tmp_path, measured={"assumed": ASSUMED})
    note = (
        "Assumed, because not given: the grid of DEU for CO2 and 0.2 EUR per kWh for money. To give your own: "
        "CostMonitor(country_iso_code=..., price_per_kwh=...)."
    )
    assert note in " ".join(text_of(run).split())
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert text.count(note) == 1
        assert "grid of DEU (assumed)" in text
        assert "0.2 EUR per kWh (assumed) + 0 EUR per hour" in text


def test_what_was_given_is_not_called_assumed(tmp_path):
    run = leave(tmp_path)
    assert "ssumed" not in text_of(run) + (tmp_path / "report.md").read_text()


def test_what_was_not_measured_says_so_in_its_row():
    run = record(measured={"energy_kwh": None, "co2_kg": None, "samples": None})
    rows = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in text_of(run).splitlines() if "│" in line}
    assert [rows[name] for name in ("energy", "CO2-equivalent", "samples drawn")] == ["not measured"] * 3
    assert rows["money"] == "0.1 EUR"
    assert found(run, "Batches were counted, not samples")
    assert found(run, "CO2 is unknown, and money covers only the machine's hours")
    assert found(record(measured={"energy_kwh": None, "money": None}), "CO2 is unknown, and so is money")


def test_counted_operations_have_a_row():
    run = record(measured={"flops": 1.5e15}, projected={"flops": 2e15})
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text_of(run).splitlines() if "│" in line]
    assert ["training FLOPs", "1.5e+15", "2e+15", "25.0%"] in rows


def test_square_brackets_in_a_name_are_no_markup():
    assert "val_[red]" in text_of(record(metrics={"validation": {"val_[red]": 1.0}}))


def test_a_report_names_no_file_of_the_project_and_no_result_of_another_machine(tmp_path):
    leave(tmp_path, decision=OBSERVED, observed=OTHER)
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert "docs/" not in text
        assert "12 of 20" not in text


def test_the_figures_of_the_page_show_what_the_record_says(tmp_path):
    leave(tmp_path)
    text = (tmp_path / "report.html").read_text()
    figures = dict(zip(re.findall("<figcaption>(.*?)<", text), text.split("<figcaption>")[1:], strict=True))
    assert list(figures) == list(svgs(record()))
    assert "over after epoch 3" in figures["Signal and verdict, by epoch"]
    assert "annealing" in figures["Samples drawn, by epoch"]
    assert "training 18.0 s" in figures["Time by phase"]
