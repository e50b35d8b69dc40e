"""What was found in a run: the verdicts as cells, the notes that go with them, and a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rich.table import Table

from lightning_critperiod.inspection.coverage import coverage_notes, length_note
from lightning_critperiod.inspection.run import Run
from lightning_critperiod.inspection.verdict import Verdict, as_record, drawn
from lightning_critperiod.recipe import Recipe
from lightning_critperiod.report import html
from lightning_critperiod.report.plotting import as_svg, samples_figure, signal_figure
from lightning_critperiod.report.words import percent


@dataclass(frozen=True)
class Findings:
    """What an inspection found.

    Args:
        title: Of table and page.
        run: That was looked at.
        verdicts: One a row.
        recipe: That would have been followed.
        max_epochs: Length of the run.
        samples: n; None counts in passes over the data.
    """

    title: str
    run: Run
    verdicts: Sequence[Verdict]
    recipe: Recipe
    max_epochs: int
    samples: int | None

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """Header and one line a verdict."""
        unit = "passes" if self.samples is None else "samples"
        return [
            ("signal", "rule", "verdict", "because it", unit, f"full recipe's {unit}", "saved"),
            *(self._line(verdict) for verdict in self.verdicts),
        ]

    def _line(self, verdict: Verdict) -> tuple[str, ...]:
        end, finished = verdict.end_epoch, self.run.logs.epochs
        said = f"not over in {finished} epochs" if end is None else "over before epoch 0"
        full = drawn(self.recipe, None, self.max_epochs, self.samples)
        ours = drawn(self.recipe, end, self.max_epochs, self.samples)
        known = end is not None or finished == self.max_epochs
        costs = (self._amount(ours) if known else "-", self._amount(full), percent(1 - ours / full) if known else "-")
        said = f"over after epoch {end - 1}" if end else said
        return verdict.signal.replace("_", " "), str(verdict.rule), said, verdict.why, *costs

    def _amount(self, value: float) -> str:
        return f"{value:,.1f}" if self.samples is None else f"{value:,.0f}"

    @property
    def notes(self) -> list[str]:
        """What a reader must know before believing it."""
        found = list(self.run.logs.notes)
        logs = self.run.logs
        if self.run.max_epochs is None and self.max_epochs == logs.epochs:
            found.append(length_note(logs.logged, self.max_epochs))
        found += coverage_notes({verdict.signal: verdict.history for verdict in self.verdicts}, logs.epochs)
        changed = self.run.changed
        if changed is not None:
            found.append(
                f"From epoch {changed} on this run drew another volume: what was logged after that is not what the "
                "full recipe would have shown."
            )
        if self.samples is None:
            found.append("Samples are counted in passes over the data; --samples says how many there are in one.")
        return [
            *found,
            "What is saved is samples drawn, by arithmetic. What it would have cost in accuracy no log can say.",
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
        parts += [html.section("Before believing it", html.bullets(self.notes)), html.figure_grid(self._figures())]
        return html.document(self.title, parts)

    def _figures(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for verdict in self.verdicts:
            record = as_record(verdict, self.recipe, self.max_epochs, self.samples)
            for name, figure in (("signal", signal_figure(record)), ("samples", samples_figure(record))):
                if figure is not None:
                    caption = f"{name}, {verdict.signal.replace('_', ' ')}, {verdict.rule}"
                    found[caption[0].upper() + caption[1:]] = as_svg(figure, f"figure{len(found) + 1}")
        return found
