"""What a process did to the queue, as lines of JSON that survive its being killed.

Each process appends to a file of its own. An operation is two lines: ``invoke`` is written before
the first statement is sent, and ``ok``, ``fail`` or ``info`` once it is known how it ended. An
``invoke`` that no other line answers was cut off, and ended like ``info``: nobody knows how.

    history = History.open(folder, "producer-3")
    with history.call("enqueue", key=key, unique_key="u7") as call:
        call.reply(job=queue.enqueue("effect", payload={"key": key}, unique_key="u7"))
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import psycopg

Outcome = Literal["ok", "fail", "info"]
Fields = Mapping[str, Any]

ROLLBACK = "rollback"
"""The code of what its own process undid."""

_OF_ONE = frozenset({"job", "key", "token", "code"})
_OF_ALL = frozenset({"p", "seq", "t_mono", "f", "type", "op", "items"})
_NAMED = (*sorted(_OF_ONE), "items")


def outcome_of(error: BaseException) -> Outcome:
    """Whether an error says that nothing was changed (``fail``) or leaves it open (``info``).

    What the server says of a statement is certain, unless it was about to go (classes 08 and 57).
    Without an SQLSTATE either the connection broke or the client refused to send; what comes from
    elsewhere leaves the worst open.
    """
    code = getattr(error, "sqlstate", None)
    if code is not None:
        return "info" if code[:2] in ("08", "57") or code == "40003" else "fail"
    refused_here = isinstance(error, psycopg.DataError | psycopg.ProgrammingError)
    return "fail" if refused_here else "info"


class Call:
    """An operation under way: what is replied is written when it ends."""

    def __init__(self) -> None:
        """Knows of no reply yet."""
        self.outcome: Outcome = "ok"
        self.told: dict[str, Any] = {}

    def reply(self, **told: Any) -> None:
        """Adds to what the last line will say: job, key, token, code, items, or any value."""
        self.told.update(told)

    def undone(self) -> None:
        """Says that the process itself rolls back what it did."""
        self.outcome = "fail"
        self.told["code"] = ROLLBACK


class History:
    """The file of one process; several threads or tasks may write to it."""

    def __init__(self, file: int, process: str) -> None:
        """Writes to a file that is open already; `open` is the usual way."""
        self._file = file
        self._process = process
        self._numbers = itertools.count()

    @classmethod
    def open(cls, folder: Path, process: str) -> Self:
        """Opens the file of a process, whose name no other one in the folder has."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        return cls(os.open(folder / f"{process}.jsonl", flags, 0o644), process)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        """Returns the history itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the file."""
        self.close()

    def invoke(self, f: str, **fields: Any) -> int:
        """Writes that an operation begins; returns the number by which it is answered."""
        return self._write(f, "invoke", None, fields)

    def answer(self, op: int, f: str, outcome: Outcome, **fields: Any) -> None:
        """Writes how it ended."""
        self._write(f, outcome, op, fields)

    def note(self, f: str, **fields: Any) -> None:
        """Writes what is over at once and cannot fail: a fault that was injected, say."""
        self._write(f, "ok", None, fields)

    @contextmanager
    def call(self, f: str, **fields: Any) -> Iterator[Call]:
        """Writes both lines of an operation, and goes by the error for its outcome."""
        op = self.invoke(f, **fields)
        call = Call()
        try:
            yield call
        except BaseException as error:
            code = getattr(error, "sqlstate", None) or type(error).__name__
            self.answer(op, f, outcome_of(error), **{**call.told, "code": code})
            raise
        self.answer(op, f, call.outcome, **call.told)

    def _write(self, f: str, kind: str, op: int | None, fields: Fields) -> int:
        seq = next(self._numbers)
        line: dict[str, Any] = {
            "p": self._process,
            "seq": seq,
            "t_mono": time.monotonic_ns(),
            "f": f,
            "type": kind,
        }
        if op is not None:
            line["op"] = op
        line |= {name: fields[name] for name in _NAMED if fields.get(name) is not None}
        if value := {name: fields[name] for name in fields if name not in _NAMED}:
            line["value"] = value
        # One write a line: a line is there as a whole or, if the process is killed, perhaps not.
        os.write(self._file, json.dumps(line, default=_plain).encode() + b"\n")
        return seq


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on one job: an operation on many is many of these.

    Attributes:
        p: the process.
        op: the operation's number within the process; shared by the jobs of a batch.
        f: what was done: the name of a function of the queue, or one of the history's own.
        t0: when it began, in nanoseconds of the machine's monotonic clock.
        t1: when it ended; None when that is not known.
        type: how it ended.
        job: the job, where it is known.
        key: what the producer called the job before it had an id.
        token: the token that was named or given.
        code: the SQLSTATE, or what a batch function said about the job.
        value: what else was said, at the beginning and at the end.
    """

    p: str
    op: int
    f: str
    t0: int
    t1: int | None
    type: Outcome
    job: str | None = None
    key: str | None = None
    token: int | None = None
    code: str | None = None
    value: Fields = field(default_factory=dict)


def operations(folder: Path) -> Iterator[Operation]:
    """Reads all histories of a folder, one file after the other, in the order of the answers."""
    for file in sorted(folder.glob("*.jsonl")):
        yield from _operations_of(_lines(file))


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):  # else its process was killed while writing it
                yield json.loads(line)


def _operations_of(lines: Iterable[dict[str, Any]]) -> Iterator[Operation]:
    open_ones: dict[int, dict[str, Any]] = {}
    for line in lines:
        if line["type"] == "invoke":
            open_ones[line["seq"]] = line
        else:
            begin = open_ones.pop(line["op"]) if "op" in line else line
            yield from _explode(begin, line)
    for line in open_ones.values():
        yield from _explode(line, {"type": "info", "code": "cut off"})


def _explode(begin: Fields, end: Fields) -> Iterator[Operation]:
    asked, told = begin.get("items"), end.get("items") if end is not begin else None
    nothing: Fields = {}
    if asked is None:
        for item in told or [nothing]:
            yield _operation(begin, end, (begin, end, item))
        return
    if told is None:
        answers: Sequence[Fields] = [nothing] * len(asked)
    elif all("job" in item for item in asked):
        by_job = {item["job"]: item for item in told}
        answers = [by_job.get(item["job"], nothing) for item in asked]
    else:
        answers = told
    for item, answer in zip(asked, answers, strict=True):
        yield _operation(begin, end, (begin, end, item, answer))


def _operation(begin: Fields, end: Fields, said: Iterable[Fields]) -> Operation:
    """Puts together what was said of one job; what was said last counts."""
    named: dict[str, Any] = {}
    value: dict[str, Any] = {}
    for fields in said:
        for name, content in fields.items():
            if name in _OF_ONE:
                named[name] = content
            elif name == "value":
                value |= content
            elif name not in _OF_ALL:
                value[name] = content
    return Operation(
        begin["p"],
        begin["seq"],
        begin["f"],
        begin["t_mono"],
        end.get("t_mono"),
        end["type"],
        **named,
        value=value,
    )


def _plain(value: object) -> str | float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, datetime) else str(value)
