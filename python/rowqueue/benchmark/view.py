"""What is seen of a run: a table that fills on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rowqueue.benchmark.figures import Figure, Measure, Unit

_FIGURE_WIDTH = 11
_BAR_WIDTH = 20
_DRAWN_A_SECOND = 5


class View(Protocol):
    """Shows a run that is under way."""

    def say(self, text: str) -> None:
        """Shows a sentence."""

    def begin(self, measure: Measure) -> None:
        """Shows what is being measured."""

    def progress(self, share: float) -> None:
        """Shows how far that is, 0 to 1."""

    def figure(self, figure: Figure) -> None:
        """Shows what a measure has come to, so far or for good."""


@contextmanager
def open_view(console: Console, *, silent: bool) -> Iterator[View]:
    """Yields the view that suits a console."""
    if silent:
        yield Silence()
    elif console.is_terminal:
        table = Filling(console)
        with Live(get_renderable=table.drawn, console=console, refresh_per_second=_DRAWN_A_SECOND):
            yield table
            table.done()
    else:
        lines = Lines(console)
        yield lines
        lines.done()


@contextmanager
def ragged(console: Console) -> Iterator[None]:
    """Prints what the block prints, without the blanks that fill up its lines."""
    with console.capture() as printed:
        yield
    for line in printed.get().splitlines():
        console.file.write(f"{line.rstrip()}\n")


class Silence:
    """Shows nothing."""

    def say(self, text: str) -> None:
        """Does nothing."""

    def begin(self, measure: Measure) -> None:
        """Does nothing."""

    def progress(self, share: float) -> None:
        """Does nothing."""

    def figure(self, figure: Figure) -> None:
        """Does nothing."""


class Lines:
    """Prints a line when something begins, and one for each measure at the end."""

    def __init__(self, console: Console) -> None:
        """Prints on a console."""
        self._console = console
        self._began = monotonic()
        self._begun: set[Measure] = set()
        self._figures: dict[Measure, Figure] = {}

    def say(self, text: str) -> None:
        """Prints a sentence."""
        self._console.print(text, soft_wrap=True)

    def begin(self, measure: Measure) -> None:
        """Prints what is measured, the first time."""
        if measure not in self._begun:
            self._begun.add(measure)
            at = monotonic() - self._began
            self.say(f"{at:5.1f} s  measuring {measure.subject}, {measure.manner}")

    def progress(self, share: float) -> None:
        """Does nothing: lines stay."""

    def figure(self, figure: Figure) -> None:
        """Keeps a figure for the end."""
        self._figures[figure.measure] = figure

    def done(self) -> None:
        """Prints the table."""
        with ragged(self._console):
            self._console.print(table_of(self._figures))


class Filling:
    """Keeps the table on a terminal: what is done, what is under way, what is to come."""

    def __init__(self, console: Console) -> None:
        """Draws on a terminal."""
        self._console = console
        self._figures: dict[Measure, Figure] = {}
        self._now: Measure | None = None
        self._share = 0.0

    def say(self, text: str) -> None:
        """Prints a sentence above the table."""
        self._console.print(text)

    def begin(self, measure: Measure) -> None:
        """Moves the bar."""
        self._now = measure
        self._share = 0.0

    def progress(self, share: float) -> None:
        """Fills the bar."""
        self._share = min(share, 1.0)

    def figure(self, figure: Figure) -> None:
        """Fills in a row."""
        self._figures[figure.measure] = figure

    def done(self) -> None:
        """Takes the bar away."""
        self._now = None

    def drawn(self) -> RenderableType:
        """Returns the table as it is now."""
        bar = ProgressBar(1.0, self._share, width=_BAR_WIDTH)
        return Group(Text(), table_of(self._figures, self._now, bar))


def table_of(
    figures: dict[Measure, Figure],
    under_way: Measure | None = None,
    bar: RenderableType = "",
) -> Table:
    """Returns the measures in a table: figures, the bar, or nothing yet."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, justify="right", min_width=_FIGURE_WIDTH)
    table.add_column(no_wrap=True, min_width=_BAR_WIDTH)
    for measure in Measure:
        figure = figures.get(measure)
        active = measure is under_way
        subject = Text(f"  {measure.subject}", "" if figure or active else "dim")
        main, spread = (Text(), Text()) if figure is None else _cells(figure)
        table.add_row(subject, _manner(measure, figure), main, bar if active else spread)
    return table


def _manner(measure: Measure, figure: Figure | None) -> str:
    if figure is not None and figure.rate is not None:
        return f"{figure.rate:.0f} jobs a second"
    return measure.manner


def _cells(figure: Figure) -> tuple[Text, Text]:
    """Returns the figure itself, and how far it varies."""
    unit = figure.measure.unit
    if figure.measure is Measure.PICKUP:
        p95, p99 = (_number(figure.percentile(percent), unit) for percent in (95, 99))
        rest = f"p95 {p95}, p99 {p99}"
    else:
        least, most = min(figure.samples), max(figure.samples)
        rest = f"{_number(least, unit)} to {_number(most, unit)}"
    main = Text(f"{_number(figure.median, unit)} {unit.value}", "bold")
    return main, Text(rest, "dim")


def _number(value: float, unit: Unit) -> str:
    """Returns a number with as many digits as mean something."""
    if unit is Unit.RATE:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
