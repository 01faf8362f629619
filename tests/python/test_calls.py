"""The calls: what they send, and what they refuse to send."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from rowqueue import calls
from rowqueue.calls import Call
from rowqueue.errors import InvalidArgument, NotStorable, RowqueueError
from rowqueue.jobs import NewJob
from rowqueue.jsontext import JsonText

ID = UUID("01890000-0000-7000-8000-000000000001")

untyped: Any = calls
"""The calls as who does not check types sees them."""

FUNCTIONS = [getattr(calls, name) for name in calls.__all__ if name != "Call"]


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
    calls.tick_every(timedelta(seconds=1)),
    calls.purge_finished(timedelta(days=1), max_jobs=1),
    calls.set_notify(True),
    calls.grant_roles(),
    calls.confirm_identity(),
    calls.confirm_identity(["one"]),
    calls.get_job(ID),
    calls.list_jobs(ID, status="failed", job_type="sync", max_jobs=1, before=ID),
    calls.health(),
    calls.doctor(),
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
