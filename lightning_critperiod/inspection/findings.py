"""What was found in a run: the verdicts as cells, the notes that go with them, and a page."""

from dataclasses import dataclass
from html import escape

from rich.table import Table

from lightning_critperiod.inspection.coverage import coverage_notes, length_note
from lightning_critperiod.inspection.logs import TIME
from lightning_critperiod.inspection.question import Answer
from lightning_critperiod.inspection.run import Run
from lightning_critperiod.inspection.verdict import Plan, Verdict, as_record, recipe_note
from lightning_critperiod.inspection.worth import decay_note, seconds_of_epochs, worth_notes
from lightning_critperiod.report import html
from lightning_critperiod.report.caveats import CAVEATS
from lightning_critperiod.report.plotting import as_svg, samples_figure, signal_figure
from lightning_critperiod.report.words import percent

GOING_ON = "Was going on worth it?"


@dataclass(frozen=True)
class Findings:
    """What an inspection found.

    Args:
        name: The name of the run, as the user gave it.
        run: The run that was looked at.
        answer: The answer of the rules.
        plan: What would have been drawn.
        price_per_hour: Price of the machine per hour; None if not given.
    """

    name: str
    run: Run
    answer: Answer
    plan: Plan
    price_per_hour: float | None = None

    @property
    def title(self) -> str:
        """Of table and page."""
        return f"What each rule would have saved in {self.name}"

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """Header and one line a verdict."""
        unit = "passes" if self.plan.samples is None else "samples"
        return [
            ("signal", "rule", "verdict", "because it", unit, f"full recipe's {unit}", "saved"),
            *(self._line(verdict) for verdict in self.answer.verdicts),
        ]

    def _line(self, verdict: Verdict) -> tuple[str, ...]:
        end, finished = verdict.end_epoch, self.run.logs.epochs
        said = f"not over in {finished} epochs" if end is None else "over before epoch 0"
        full, ours = self.plan.drawn(None), self.plan.drawn(end)
        known = end is not None or finished == self.plan.max_epochs
        costs = (self._amount(ours) if known else "-", self._amount(full), percent(1 - ours / full) if known else "-")
        said = f"over after epoch {end - 1}" if end else said
        return verdict.signal.replace("_", " "), str(verdict.rule), said, verdict.why, *costs

    def _amount(self, value: float) -> str:
        return f"{value:,.1f}" if self.plan.samples is None else f"{value:,.0f}"

    @property
    def going_on(self) -> list[str]:
        """Whether going on was worth it, by each metric, and whether the learning rate had decayed."""
        logs = self.run.logs
        measured = self.run.seconds
        whole = measured.keys() >= set(range(logs.epochs))
        seconds = measured if whole else seconds_of_epochs(logs.values.get(TIME, {}), logs.epochs)
        said = worth_notes(self.answer.worths, logs.epochs, seconds, self.price_per_hour)
        return [*said, decay_note(logs.rates)] if said else []

    @property
    def notes(self) -> list[str]:
        """What a reader must know to judge it."""
        logs = self.run.logs
        found = [*logs.notes, *self.answer.notes, recipe_note(self.plan.recipe)]
        if self.run.max_epochs is None and self.plan.max_epochs == logs.epochs:
            found.append(length_note(logs.logged, logs.epochs))
        found += coverage_notes({verdict.signal: verdict.history for verdict in self.answer.verdicts}, logs.epochs)
        changed = self.run.changed
        if changed is not None:
            found.append(
                f"From epoch {changed} on this run drew another volume: what was logged after that is not what the "
                "full recipe would have shown."
            )
        if self.plan.samples is None:
            found.append("Samples are counted in passes over the data; --samples says how many there are in one.")
        return [
            *found,
            "What is saved is samples drawn, by arithmetic. No log can say what that would have cost in accuracy.",
        ]

    @property
    def table(self) -> Table:
        """The verdicts for a terminal."""
        head, *lines = self.cells
        result = Table(title=self.title)
        for index, name in enumerate(head):
            result.add_column(name, justify="left" if index < 4 else "right", overflow="fold")
        for line in lines:
            result.add_row(*line)
        return result

    @property
    def page(self) -> str:
        """The same with the figures, as a page of HTML."""
        head, *lines = self.cells
        parts = [f"<h1>{escape(self.title)}</h1>", html.table(head, lines, text=4)]
        if self.going_on:
            parts.append(html.section(GOING_ON, html.bullets(self.going_on)))
        parts += [html.section(CAVEATS, html.bullets(self.notes)), html.figure_grid(self._figures())]
        return html.document(self.title, parts)

    def _figures(self) -> dict[str, str]:
        found: dict[str, str] = {}
        worths = [worth.verdict for worth in self.answer.worths if worth.verdict is not None]
        for verdict in [*self.answer.verdicts, *worths]:
            record = as_record(verdict, self.plan)
            samples = None if verdict in worths else samples_figure(record)
            for name, figure in (("signal", signal_figure(record)), ("samples", samples)):
                if figure is not None:
                    caption = f"{name}, {verdict.signal.replace('_', ' ')}, {verdict.rule}"
                    found[caption[0].upper() + caption[1:]] = as_svg(figure, f"figure{len(found) + 1}")
        return found
