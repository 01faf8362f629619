"""The arguments of the SQL functions: what each is called, its SQL type, how a value becomes one.

A name means the same in every function that has it, so one list serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString, NoReturn
from uuid import UUID

from rowqueue.errors import InvalidArgument, NotStorable
from rowqueue.jsontext import encode

_MAX_NOTE = 8192
"""Characters of a free text that are sent; the database keeps no more bytes than that."""


def given(**arguments: object) -> dict[str, object]:
    """Returns the arguments that a caller must give, as psycopg takes them.

    Raises:
        TypeError: one of them is of another type than it should be.
        InvalidArgument: one of them cannot be right, whatever the database says.
        NotStorable: JSON cannot hold it.
    """
    return {name: _ARGUMENTS[name].convert(name, value) for name, value in arguments.items()}


def optional(**arguments: object) -> dict[str, object]:
    """Returns the other arguments, without those that are None: there SQL's default applies."""
    return given(**{name: value for name, value in arguments.items() if value is not None})


def in_named_notation(names: Iterable[str]) -> LiteralString:
    """Returns an argument list such as ``job_id => %(job_id)s::uuid, token => …``."""
    return ", ".join(_ARGUMENTS[name].sql for name in names)


def new_job(name: str, job: object) -> dict[str, object]:
    """Returns one job of ``enqueue_many`` as JSON can hold it: with texts for id and instant."""
    if not isinstance(job, Mapping):
        _refuse(name, "a mapping with the arguments of enqueue", job)
    fields = {key: value for key, value in job.items() if value is not None}
    if "workspace_id" in fields:
        fields["workspace_id"] = str(_uuid(f"{name}.workspace_id", fields["workspace_id"]))
    if "run_after" in fields:
        fields["run_after"] = _instant(f"{name}.run_after", fields["run_after"]).isoformat()
    return fields


def _refuse(name: str, wanted: str, value: object) -> NoReturn:
    raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}: {value!r:.80}")


def _text(name: str, value: object) -> str:
    return value if isinstance(value, str) else _refuse(name, "a str", value)


def _note(name: str, value: object) -> str:
    """A text for people, without what Postgres cannot store: it must never make a call fail."""
    text = _text(name, value)[:_MAX_NOTE]
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _boolean(name: str, value: object) -> bool:
    return value if isinstance(value, bool) else _refuse(name, "a bool", value)


def _integer(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    _refuse(name, "an int", value)


def _number(name: str, value: object) -> int | float | Decimal:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value
    _refuse(name, "a number", value)


def _duration(name: str, value: object) -> timedelta:
    return value if isinstance(value, timedelta) else _refuse(name, "a timedelta", value)


def _instant(name: str, value: object) -> datetime:
    if not isinstance(value, datetime):
        _refuse(name, "a datetime", value)
    if value.utcoffset() is None:
        raise InvalidArgument(f"{name} has no time zone; one from datetime.now(timezone.utc) has")
    return value


def _uuid(name: str, value: object) -> UUID:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(_text(name, value))
    except ValueError:
        raise InvalidArgument(f"{name} is not a UUID: {value!r:.80}") from None


def _array(convert: Callable[[str, Any], object]) -> Callable[[str, object], list[object]]:
    def convert_each(name: str, value: object) -> list[object]:
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            _refuse(name, "a list", value)
        return [convert(f"{name}[{n}]", item) for n, item in enumerate(value)]

    return convert_each


def _document(name: str, value: object) -> str | None:
    return None if value is None else encode(name, value)


def _jobs(name: str, value: object) -> str:
    """The jobs of ``enqueue_many``, numbered from 1 as its messages and its rows number them."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        _refuse(name, "a list of mappings", value)
    jobs = [new_job(f"{name}[{n}]", job) for n, job in enumerate(value, start=1)]
    try:
        return encode(name, jobs)  # all at once: that is twice as fast as one by one
    except NotStorable:
        each = (encode(f"{name}[{n}]", job) for n, job in enumerate(jobs, start=1))
        return f"[{','.join(each)}]"


class _Argument:
    """One argument: how SQL names and types it, and what turns a value into a parameter."""

    def __init__(
        self, name: LiteralString, sql_type: LiteralString, convert: Callable[[str, Any], object]
    ) -> None:
        # psycopg writes an array of numbers or ids several times faster as binary than as text.
        form: LiteralString = "b" if sql_type in ("bigint[]", "uuid[]") else "s"
        self.name = name
        self.sql: LiteralString = f"{name} => %({name}){form}::{sql_type}"
        self.convert = convert


_ARGUMENTS = {
    argument.name: argument
    for argument in (
        _Argument("before", "uuid", _uuid),
        _Argument("current", "numeric", _number),
        _Argument("delay", "interval", _duration),
        _Argument("enabled", "boolean", _boolean),
        _Argument("error", "text", _note),
        _Argument("job_id", "uuid", _uuid),
        _Argument("job_ids", "uuid[]", _array(_uuid)),
        _Argument("job_type", "text", _text),
        _Argument("jobs", "jsonb", _jobs),
        _Argument("lease", "interval", _duration),
        _Argument("max_attempts", "integer", _integer),
        _Argument("max_jobs", "integer", _integer),
        _Argument("message", "text", _note),
        _Argument("older_than", "interval", _duration),
        _Argument("period", "interval", _duration),
        _Argument("payload", "jsonb", _document),
        _Argument("priority", "integer", _integer),
        _Argument("queue", "text", _text),
        _Argument("queues", "text[]", _array(_text)),
        _Argument("reason", "text", _note),
        _Argument("result", "jsonb", _document),
        _Argument("results", "jsonb[]", _array(_document)),
        _Argument("retry", "boolean", _boolean),
        _Argument("retry_after", "interval", _duration),
        _Argument("run_after", "timestamptz", _instant),
        _Argument("servers", "text[]", _array(_text)),
        _Argument("status", "text", _text),
        _Argument("timeout_ms", "integer", _integer),
        _Argument("token", "bigint", _integer),
        _Argument("tokens", "bigint[]", _array(_integer)),
        _Argument("total", "numeric", _number),
        _Argument("unique_key", "text", _text),
        _Argument("worker", "text", _text),
        _Argument("workspace_id", "uuid", _uuid),
    )
}
