"""A call of one SQL function: its text, its parameters, and what to make of its rows. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, LiteralString, TypeVar, cast

from psycopg.rows import BaseRowFactory, args_row, scalar_row, tuple_row

from rowqueue.calls._arguments import in_named_notation
from rowqueue.jobs import ClaimedJob, Enqueued, Finding, JobRow, Outcome, QueueHealth

Result = TypeVar("Result")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """What to execute, and how its answer becomes a Python value.

    Attributes:
        sql: the statement, with psycopg's named placeholders.
        params: the placeholders' values.
        row_factory: makes a Python value of each row.
        shape: makes the call's result of all rows.
    """

    sql: LiteralString
    params: Mapping[str, object]
    row_factory: BaseRowFactory[Any]
    shape: Callable[[Sequence[Any]], Result]


def nothing(function: LiteralString, arguments: Mapping[str, object]) -> Call[None]:
    """Calls a function that returns void."""
    sql: LiteralString = f"select from {function}({in_named_notation(arguments)})"
    return Call(sql, arguments, tuple_row, lambda _: None)


def value(
    kind: type[Result], function: LiteralString, arguments: Mapping[str, object]
) -> Call[Result]:
    """Calls a function that returns one value; `kind` is what psycopg makes of it."""
    sql: LiteralString = f"select {function}({in_named_notation(arguments)})"
    return Call(sql, arguments, scalar_row, lambda found: found[0])


def maybe(
    kind: type[Result], function: LiteralString, arguments: Mapping[str, object]
) -> Call[Result | None]:
    """Calls a function that returns one value or null."""
    return cast("Call[Result | None]", value(kind, function, arguments))


def rows(
    kind: type[Row], function: LiteralString, arguments: Mapping[str, object]
) -> Call[list[Row]]:
    """Calls a function that returns rows; `kind` is a dataclass with their columns."""
    return Call(_select(kind, function, arguments), arguments, args_row(kind), list)


def row(
    kind: type[Row], function: LiteralString, arguments: Mapping[str, object]
) -> Call[Row | None]:
    """Calls a function that returns one row or none."""
    return Call(
        _select(kind, function, arguments),
        arguments,
        args_row(kind),
        lambda found: found[0] if found else None,
    )


def _select(
    kind: type[object], function: LiteralString, arguments: Mapping[str, object]
) -> LiteralString:
    return f"select {_COLUMNS[kind]} from {function}({in_named_notation(arguments)})"


def _column(field: str) -> str:
    return f"{field.removesuffix('_json')}::text" if field.endswith("_json") else field


# Each row's columns by name, for the SQL types may grow; JSON as the text that it is.
_COLUMNS: dict[type[object], LiteralString] = {
    kind: ", ".join(_column(field.name) for field in fields(kind))
    for kind in (ClaimedJob, Enqueued, Finding, JobRow, Outcome, QueueHealth)
}
