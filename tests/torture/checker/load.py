"""Brings the histories into the database, where the checks read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from torture.checker.facts import Facts
from torture.history import Operation, operations

_HERE = Path(__file__).parent
_CHUNK = 5000

# All is read as a whole, and joined by hashing or sorting, however few rows the planner expects.
_SETTINGS: tuple[LiteralString, ...] = (
    "work_mem = '256MB'",
    "jit = off",
    "enable_nestloop = off",
    "cursor_tuple_fraction = 1",
)
_UNREAD = frozenset({"worker", "queue", "queues", "lease", "priority", "alone", "created"})
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def load(db: psycopg.Connection[Any], folder: Path, facts: Facts) -> None:
    """Makes the tables of the schema ``verdict`` anew."""
    for setting in _SETTINGS:
        db.execute(f"set {setting}")
    db.execute((_HERE / "tables.sql").read_bytes())
    db.execute(
        "insert into verdict.run (clock_jumps, drained) values (%s, %s)",
        [facts.clock_jumps, facts.drained],
    )
    with (
        db.cursor() as cursor,
        cursor.copy(
            "copy verdict.op (p, op, f, t0, t1, type, job, key, token, code, value) from stdin"
        ) as copy,
    ):
        for chunk in _chunks(operations(folder)):
            copy.write(chunk)
    db.execute((_HERE / "derive.sql").read_bytes())


def _chunks(of: Iterator[Operation]) -> Iterator[str]:
    lines: list[str] = []
    for operation in of:
        lines.append(_line(operation))
        if len(lines) == _CHUNK:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _line(o: Operation) -> str:
    fields = (o.p, o.op, o.f, o.t0, o.t1, o.type, o.job, o.key, o.token, o.code)
    value = {name: o.value[name] for name in o.value if name not in _UNREAD}
    return "\t".join(map(_text, (*fields, json.dumps(value) if value else None))) + "\n"


def _text(value: str | int | None) -> str:
    if value is None:
        return "\\N"
    return value.translate(_ESCAPES) if isinstance(value, str) else str(value)
