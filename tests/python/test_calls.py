"""The calls, the methods and the row types are those of the database's catalogue."""

from __future__ import annotations

import inspect
import re
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_type_hints
from uuid import UUID

import psycopg
import pytest

from rowqueue import AsyncQueue, Queue, calls
from rowqueue.calls import Call
from rowqueue.errors import InvalidArgument, NotStorable, RowqueueError
from rowqueue.jobs import ClaimedJob, Enqueued, JobRow, NewJob, Outcome, QueueHealth
from rowqueue.jsontext import JsonText

ID = UUID("01890000-0000-7000-8000-000000000001")

untyped: Any = calls
"""The calls as who does not check types sees them."""

FUNCTIONS = [getattr(calls, name) for name in calls.__all__ if name != "Call"]

CATALOGUE = """
    select
        p.oid, p.proname as name, p.proargnames as names, p.pronargs as count,
        p.pronargdefaults as defaults
    from pg_proc as p
    where p.pronamespace = 'rowqueue'::regnamespace and p.prokind = 'f' and p.proname !~ '^_'
"""

DEFAULTS = """
    select p.proargnames[n] as name, format_type(p.proargtypes[n - 1], null) as type,
        pg_get_function_arg_default(p.oid, n) as expression
    from pg_proc as p, generate_series(1, p.pronargs) as n
    where p.oid = %s
"""


def methods(kind: type) -> dict[str, Any]:
    return {
        name: method
        for name, method in inspect.getmembers(kind, callable)
        if not name.startswith("_") and name != "close"
    }


def documented_arguments(function: Any) -> dict[str, str]:
    section = re.search(r"^Args:\n((?:    .*\n)+)", inspect.getdoc(function) or "", re.MULTILINE)
    entries = re.split(r"^    (\w+): ", section[1] if section else "", flags=re.MULTILINE)[1:]
    return {
        name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)
    }


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
def test_a_queue_has_a_method_for_every_function_with_its_arguments_in_order(
    db: psycopg.Connection[Any], kind: type
) -> None:
    in_database = {
        row.name: [
            (name, position >= row.count - row.defaults)
            for position, name in enumerate((row.names or [])[: row.count])
        ]
        for row in db.execute(CATALOGUE)
    }
    in_python = {}
    for name, method in methods(kind).items():
        _, *parameters = inspect.signature(method).parameters.values()
        for position, parameter in enumerate(parameters):
            is_first = position == 0
            assert (parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD) == is_first
            assert parameter.default in (inspect.Parameter.empty, None)
        in_python[name] = [(p.name, p.default is None) for p in parameters]
    assert in_python == in_database


def test_the_methods_are_coroutines_where_they_should_be() -> None:
    assert not any(inspect.iscoroutinefunction(method) for method in methods(Queue).values())
    assert all(inspect.iscoroutinefunction(method) for method in methods(AsyncQueue).values())


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_docstring_has_its_parts(function: Any) -> None:
    text = inspect.getdoc(function) or ""
    summary, _, rest = text.partition("\n\n")
    assert summary.endswith(".")
    assert "\n" not in summary
    assert list(documented_arguments(function)) == list(inspect.signature(function).parameters)
    assert re.search(r"^Returns:\n    ", rest, re.MULTILINE)
    assert re.search(rf"^SQL: rowqueue\.{function.__name__}, .+\Z", rest, re.MULTILINE)


def test_the_documented_defaults_are_those_of_the_functions(db: psycopg.Connection[Any]) -> None:
    for function in db.execute(CATALOGUE).fetchall():
        documented = documented_arguments(getattr(Queue, function.name))
        for argument in db.execute(DEFAULTS, [function.oid]).fetchall():
            default = re.search(r"\(default: (.*?)\)", documented[argument.name])
            where = (function.name, argument.name)
            if argument.expression is None or argument.expression.startswith("NULL"):
                assert default is None, where
            else:
                assert default, where
                same = f"select %s::{argument.type} = ({argument.expression}) as same"
                row = db.execute(same, [default[1]]).fetchone()
                assert row is not None, where
                assert row.same, where


@pytest.mark.parametrize(
    ("kind", "sql_type"),
    [(ClaimedJob, "claimed_job"), (JobRow, "job"), (QueueHealth, "queue_health")],
)
def test_a_row_type_has_the_fields_of_its_sql_type(
    db: psycopg.Connection[Any], kind: Any, sql_type: str
) -> None:
    columns = [
        (row.attname, "text" if row.type == "jsonb" else row.type)
        for row in db.execute(
            "select attname, format_type(atttypid, null) as type from pg_attribute"
            " where attrelid = %s::regclass and attnum > 0 order by attnum",
            [f"rowqueue.{sql_type}"],
        )
    ]
    hints = get_type_hints(kind)
    python = [
        (
            field.name.removesuffix("_json"),
            SQL_TYPES[str(hints[field.name]).removesuffix(" | None")],
        )
        for field in fields(kind)
    ]
    assert [name for name, _ in python] == [name for name, _ in columns]
    for (name, allowed), (_, actual) in zip(python, columns, strict=True):
        assert actual in allowed, name


SQL_TYPES = {
    "<class 'uuid.UUID'>": {"uuid"},
    "uuid.UUID": {"uuid"},
    "<class 'str'>": {"text"},
    "str": {"text"},
    "<class 'int'>": {"integer", "bigint"},
    "<class 'bool'>": {"boolean"},
    "<class 'datetime.datetime'>": {"timestamp with time zone"},
    "datetime.datetime": {"timestamp with time zone"},
    "decimal.Decimal": {"numeric"},
    "datetime.timedelta": {"interval"},
}


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (Enqueued, "enqueue_many"),
        (Outcome, "complete_many"),
        (Outcome, "extend_leases"),
        (Outcome, "reap_stuck"),
    ],
)
def test_a_row_type_has_the_columns_that_its_functions_return(
    db: psycopg.Connection[Any], kind: Any, function: str
) -> None:
    row = next(row for row in db.execute(CATALOGUE).fetchall() if row.name == function)
    assert [field.name for field in fields(kind)] == row.names[row.count :]


def test_a_new_job_has_the_arguments_of_enqueue() -> None:
    assert list(NewJob.__annotations__) == list(inspect.signature(calls.enqueue).parameters)
    assert NewJob.__required_keys__ == {"job_type"}


def test_an_argument_left_out_is_left_to_sql() -> None:
    assert calls.enqueue("sync").sql == "select rowqueue.enqueue(job_type => %(job_type)s::text)"
    call = calls.enqueue("sync", priority=0, queue=None)
    assert call.sql.endswith("(job_type => %(job_type)s::text, priority => %(priority)s::integer)")
    assert call.params == {"job_type": "sync", "priority": 0}


def test_the_jobs_of_enqueue_many_are_sent_as_one_json_text() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    jobs: list[NewJob] = [
        {"job_type": "a", "payload": {"n": 1}, "workspace_id": ID, "run_after": at},
        {"job_type": "b", "queue": None},
    ]
    assert calls.enqueue_many(iter(jobs)).params == {
        "jobs": '[{"job_type":"a","payload":{"n":1},'
        f'"workspace_id":"{ID}","run_after":"2026-01-02T03:04:05+00:00"}},{{"job_type":"b"}}]'
    }


def test_texts_for_people_never_make_a_call_fail() -> None:
    call = calls.fail_with_backoff(ID, token=1, error="a\0b\ud800" + "é" * 100_000)
    error = str(call.params["error"])
    assert error.startswith("ab?é")
    assert len(error.encode()) >= 8192
    assert len(error) <= 8192


def test_json_text_is_sent_as_it_is() -> None:
    assert untyped.enqueue("a", payload=JsonText("[1e5]")).params["payload"] == "[1e5]"
    call = calls.complete_many([ID, ID], tokens=[1, 2], results=[JsonText("1"), None])
    assert call.params["results"] == ["1", None]


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: untyped.enqueue(1), TypeError, "job_type must be a str, not int: 1"),
        (lambda: untyped.enqueue(None), TypeError, "job_type must be a str, not NoneType"),
        (lambda: untyped.enqueue("a", priority="1"), TypeError, "priority must be an int, not str"),
        (lambda: untyped.enqueue("a", priority=True), TypeError, "priority must be an int"),
        (lambda: untyped.enqueue("a", run_after="now"), TypeError, "run_after must be a datetime"),
        (
            lambda: untyped.enqueue("a", run_after=datetime(2026, 1, 1)),  # noqa: DTZ001 the point
            InvalidArgument,
            "run_after has no time zone",
        ),
        (
            lambda: untyped.enqueue("a", workspace_id="x"),
            InvalidArgument,
            "workspace_id is not a UU",
        ),
        (lambda: untyped.enqueue("a", payload={"n": {1}}), NotStorable, "payload.n is of type set"),
        (lambda: untyped.enqueue_many({"job_type": "a"}), TypeError, "jobs must be a list"),
        (lambda: untyped.enqueue_many(["a"]), TypeError, r"jobs\[1\] must be a mapping"),
        (
            lambda: untyped.enqueue_many([{"job_type": "a"}, {"payload": {"n": float("nan")}}]),
            NotStorable,
            r"jobs\[2\].payload.n is nan",
        ),
        (
            lambda: untyped.enqueue_many([{"job_type": "a", "workspace_id": "?"}]),
            InvalidArgument,
            r"jobs\[1\].workspace_id is not a UUID: '\?'",
        ),
        (lambda: untyped.claim_next("w", queues="default"), TypeError, "queues must be a list"),
        (
            lambda: untyped.claim_next("w", lease=60),
            TypeError,
            "lease must be a timedelta, not int",
        ),
        (lambda: untyped.get_job(7), TypeError, "job_id must be a str, not int"),
        (lambda: untyped.complete(ID, token=None), TypeError, "token must be an int"),
        (
            lambda: untyped.complete_many([ID], tokens=["1"]),
            TypeError,
            r"tokens\[0\] must be an int",
        ),
        (
            lambda: untyped.report_progress(ID, token=1, current="1"),
            TypeError,
            "current must be a nu",
        ),
        (lambda: untyped.set_notify(1), TypeError, "enabled must be a bool"),
    ],
)
def test_a_wrong_argument_is_named(make: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^{message}"):
        make()


EVERY_CALL: list[Call[Any]] = [
    calls.enqueue(
        "sync",
        payload={"n": 1},
        workspace_id=str(ID),
        priority=-1,
        run_after=datetime.now(UTC),
        max_attempts=1,
        timeout_ms=1000,
        unique_key="k",
        queue="q",
    ),
    calls.enqueue_many([]),
    calls.enqueue_many([{"job_type": "a"}]),
    calls.claim_next("w", queues=["q", "r"], max_jobs=2, lease=timedelta(seconds=5)),
    calls.claim_next("w", queues=[]),
    calls.mark_idle(),
    calls.report_progress(ID, token=1, current=Decimal("0.5"), total=2.5, message="m"),
    calls.extend_lease(ID, token=1, lease=timedelta(seconds=5)),
    calls.extend_leases([ID, str(ID)], tokens=[1, 2**40], lease=timedelta(seconds=5)),
    calls.extend_leases([], tokens=[]),
    calls.complete(ID, token=1, result=[1]),
    calls.complete_many([ID, ID], tokens=[1, 2], results=[None, {"a": 1}]),
    calls.complete_many([ID], tokens=[1], results=[None]),
    calls.complete_many([], tokens=[], results=[]),
    calls.fail_with_backoff(ID, token=1, error="e", retry=False, retry_after=timedelta(seconds=1)),
    calls.release(ID, token=1, delay=timedelta(0)),
    calls.cancel(ID, reason="r"),
    calls.retry(ID),
    calls.reap_stuck(1),
    calls.tick(),
    calls.purge_finished(timedelta(days=1), max_jobs=1),
    calls.set_notify(True),
    calls.grant_roles(),
    calls.get_job(ID),
    calls.list_jobs(ID, status="failed", job_type="sync", max_jobs=1, before=ID),
    calls.health(),
    calls.version(),
]


@pytest.mark.parametrize("call", EVERY_CALL, ids=lambda call: call.sql[:40])
@pytest.mark.parametrize("binary", [False, True])
def test_postgres_resolves_every_argument(
    db: psycopg.Connection[Any], call: Call[Any], binary: bool
) -> None:
    sql = call.sql.replace(")s::", ")b::") if binary else call.sql
    with suppress(RowqueueError, InvalidArgument):
        db.execute(sql, call.params)


def test_every_call_is_tried_above() -> None:
    tried = {match[1] for call in EVERY_CALL if (match := re.search(r"rowqueue\.(\w+)", call.sql))}
    assert tried == {function.__name__ for function in FUNCTIONS}
