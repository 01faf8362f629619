"""Printing: tables for people, JSON for programs, and no surprises from what jobs contain."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rowqueue.text import clean

_ENDLESS = 100_000


def console() -> Console:
    """Returns a console on stdout; where that is no terminal, lines are as long as they are."""
    out = Console(highlight=False, markup=False, emoji=False)
    return out if out.is_terminal else Console(width=_ENDLESS, highlight=False, markup=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints rows in columns. The first one is never cut, and the last one takes what is left."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        last = number == len(columns) - 1
        table.add_column(column, no_wrap=True, overflow="ellipsis" if last else "fold")
    for row in rows:
        table.add_row(*(Text(clean(readable(value))) for value in row))
    lines = console()
    with lines.capture() as capture:
        lines.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def readable(value: object) -> str:
    """Returns a value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().isoformat(" ", "seconds")
    if isinstance(value, timedelta):
        return str(timedelta(seconds=round(value.total_seconds())))
    return str(value)


def print_json(value: object) -> None:
    """Prints a value as one line of JSON, in plain ASCII."""
    click.echo(json.dumps(value, default=_plain))


def as_dict(row: Any) -> dict[str, object]:
    """Returns a row dataclass under the names of its SQL columns, with JSON columns decoded."""
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return {
        name.removesuffix("_json"): _decoded(value) if name.endswith("_json") else value
        for name, value in values.items()
    }


def _decoded(text: str | None) -> object:
    """Decodes JSON; what Python cannot decode stays the text that it is."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text


def _plain(value: object) -> object:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return float(value)
        case _:
            raise TypeError(f"not JSON: {value!r}")
