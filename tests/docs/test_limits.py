"""Each limit in docs/limits.md is tried: its last value is taken, the next one refused."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from docs.markdown import ROOT

PAGE = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (22023|RQ103|cut|rounded) \|$", re.MULTILINE)
LIMITS = {row[1]: row[3] for row in ROW.finditer(PAGE)}

ENQUEUE = "select rowqueue.enqueue('sync', {})"
NEST = "(repeat('{\"a\":', DEPTH) || '1' || repeat('}', DEPTH))::jsonb"
DAY = "interval '1 day'"
DECADE = "interval '10 years'"

# For each limit: a call, and for {} in it values that are within the limit and beyond it.
REFUSED: dict[str, tuple[str, list[str], list[str]]] = {
    "`queue`, `job_type`": (
        "select rowqueue.enqueue(name, queue => name) from cast({} as text) as name",
        ["'a'", "'0_.:-'", "repeat('a', 63)"],
        ["''", "repeat('a', 64)", "'A'", "'_a'", "'a b'"],
    ),
    "`payload`: kind": (ENQUEUE, ["'{}'"], ["'[]'", "'1'", "'null'"]),
    "`payload`: size": (
        "select rowqueue.enqueue('sync', jsonb_build_object('a', {}))",
        ["repeat('x', 1048000)"],
        ["repeat('x', 1048576)", "array_fill(0, '{400000}')"],
    ),
    "`payload`: depth": (
        ENQUEUE,
        [NEST.replace("DEPTH", "63")],
        [NEST.replace("DEPTH", "64")],
    ),
    "`payload`: numbers": (
        "select rowqueue.enqueue('sync', jsonb_build_object('a', {}::numeric))",
        ["0", "1e308", "-1e308", "1e-307", "-1e-307"],
        ["1.1e308", "-1.1e308", "9e-308", "-9e-308"],
    ),
    "`priority`": (
        ENQUEUE.replace("{}", "priority => {}"),
        ["-32768", "32767"],
        ["-32769", "32768"],
    ),
    "`run_after`": (
        ENQUEUE.replace("{}", "run_after => {}"),
        ["'1970-01-01 00:00+00'", f"now() + {DECADE} - {DAY}"],
        ["'1969-12-30'", f"now() + {DECADE} + {DAY}", "'infinity'"],
    ),
    "`max_attempts`": (ENQUEUE.replace("{}", "max_attempts => {}"), ["1", "1000"], ["0", "1001"]),
    "`timeout_ms`": (
        ENQUEUE.replace("{}", "timeout_ms => {}"),
        ["1", "86400000"],
        ["0", "86400001"],
    ),
    "`unique_key`": (
        ENQUEUE.replace("{}", "unique_key => {}"),
        ["'a'", "repeat('a', 512)"],
        ["''", "repeat('a', 513)", "repeat('é', 257)"],
    ),
    "`result`": (
        "select rowqueue.complete(id, token, {}) from running",
        ["'[1]'", NEST.replace("DEPTH", "63")],
        [NEST.replace("DEPTH", "64"), "to_jsonb(repeat('x', 1048576))"],
    ),
    "`current`, `total`": (
        "select rowqueue.report_progress(id, token, {}) from running",
        ["0", "1e15", "1, 1", "1e15, 1e15"],
        ["-1", "1e15 + 1", "1, -1", "1, 1e15 + 1", "2, 1"],
    ),
    "`enqueue_many`: jobs": (
        "select count(*) from rowqueue.enqueue_many(array_to_json(array_fill("
        "jsonb_build_object('job_type', 'sync'), array[{}]))::jsonb)",
        ["1000"],
        ["100001"],
    ),
    "`claim_next`: `worker`": (
        "select rowqueue.claim_next({})",
        ["'a'", "repeat('a', 200)"],
        ["''", "repeat('a', 201)", "repeat('é', 101)"],
    ),
    "`claim_next`: `queues`": (
        "select rowqueue.claim_next('a', {}::text[])",
        ["array['a']", "array_fill('a'::text, '{100}')"],
        ["'{}'", "array_fill('a'::text, '{101}')"],
    ),
    "`claim_next`: `max_jobs`": (
        "select rowqueue.claim_next('a', max_jobs => {})",
        ["1", "1000"],
        ["0", "1001"],
    ),
    "`complete_many`: ids": (
        "select rowqueue.complete_many(array_fill(id, n), array_fill(token, n))"
        " from running, cast('{{}}' as int[]) as n",
        ["10000"],
        ["10001"],
    ),
    "`extend_leases`: ids": (
        "select rowqueue.extend_leases(array_fill(id, n), array_fill(token, n))"
        " from running, cast('{{}}' as int[]) as n",
        ["10000"],
        ["10001"],
    ),
    "`lease`": (
        "select rowqueue.extend_lease(id, token, lease), rowqueue.claim_next('a', lease => lease)"
        " from running, cast({} as interval) as lease",
        ["'1 second'", DAY],
        ["'0'", "'-1 s'", f"{DAY} + interval '1 ms'"],
    ),
    "`fail_with_backoff`: `retry_after`": (
        "select rowqueue.fail_with_backoff(id, token, 'e', retry_after => {}) from running",
        ["'0'", DECADE],
        ["'-1 s'", f"{DECADE} + {DAY}"],
    ),
    "`release`: `delay`": (
        "select rowqueue.release(id, token, {}) from running",
        ["'0'", DECADE],
        ["'-1 s'", f"{DECADE} + {DAY}"],
    ),
    "`reap_stuck`: `max_jobs`": (
        "select rowqueue.reap_stuck({})",
        ["1", "100000"],
        ["0", "100001"],
    ),
    "`list_jobs`: `max_jobs`": (
        "select rowqueue.list_jobs(max_jobs => {})",
        ["1", "1000"],
        ["0", "1001"],
    ),
    "`purge_finished`: `older_than`": (
        "select rowqueue.purge_finished({})",
        ["'0'", "'1000 years'"],
        ["'-1 s'", "'1001 years'"],
    ),
    "`purge_finished`: `max_jobs`": (
        "select rowqueue.purge_finished(max_jobs => {})",
        ["1", "10000000"],
        ["0", "10000001"],
    ),
}

# A call that is given too much, the query that shows what is kept of it, and that.
KEPT: dict[str, tuple[str, str, object]] = {
    "`error` and `last_error`": (
        "select rowqueue.fail_with_backoff(id, token, repeat('é', 8192)) from running",
        "select octet_length(last_error) from rowqueue.job",
        8192,
    ),
    "`reason` of a cancellation": (
        "select rowqueue.cancel(rowqueue.enqueue('sync'), repeat('é', 1024))",
        "select octet_length(error) from rowqueue.job where status = 'cancelled'",
        1024,
    ),
    "decimals of `current`, `total`": (
        "select rowqueue.report_progress(id, token, 1.23456789, 2.00000001) from running",
        "select progress ->> 'current' from rowqueue.job",
        "1.234568",
    ),
    "`message`": (
        "select rowqueue.report_progress(id, token, 0, message => repeat('é', 1024)) from running",
        "select octet_length(progress ->> 'message') from rowqueue.job",
        1024,
    ),
}


@pytest.fixture
def running(db: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """The session, with a running job in the temporary table ``running``."""
    db.execute("select rowqueue.enqueue('sync', queue => 'own')")
    db.execute("create temp table running as select * from rowqueue.claim_next('w', '{own}')")
    return db


def test_every_limit_in_the_page_is_tried_here() -> None:
    assert set(LIMITS) == set(REFUSED) | set(KEPT)


def attempt(session: psycopg.Connection[Any], call: str, value: str) -> str | None:
    """Calls it, undoes what that did, and returns the SQLSTATE, if there was an error."""
    try:
        with session.transaction(force_rollback=True):
            session.execute(call.replace("{}", value).encode())
    except psycopg.Error as error:
        return error.sqlstate
    return None


def test_what_is_within_a_limit_is_taken(running: psycopg.Connection[Any]) -> None:
    for limit, (call, within, _) in REFUSED.items():
        assert [attempt(running, call, value) for value in within] == [None] * len(within), limit


def test_what_is_beyond_a_limit_is_refused(running: psycopg.Connection[Any]) -> None:
    for limit, (call, _, beyond) in REFUSED.items():
        refusals = [attempt(running, call, value) for value in beyond]
        assert refusals == [LIMITS[limit]] * len(beyond), limit


def test_what_is_beyond_a_limit_is_cut(running: psycopg.Connection[Any]) -> None:
    for limit, (call, look, kept) in KEPT.items():
        with running.transaction(force_rollback=True):
            running.execute(call.encode())
            assert running.execute(look.encode()).fetchone() == (kept,), limit


def test_backoff_is_as_the_page_says(running: psycopg.Connection[Any]) -> None:
    for attempts, seconds in ((1, 2), (2, 4), (16, 65536), (17, 86400), (999, 86400)):
        with running.transaction(force_rollback=True):
            running.execute(
                "update rowqueue.jobs set attempts = %s, max_attempts = 1000", [attempts]
            )
            running.execute("select rowqueue.fail_with_backoff(id, token, 'e') from running")
            delay = running.execute(
                "select round(extract(epoch from run_after - clock_timestamp())) from rowqueue.job"
            )
            assert delay.fetchone() == (seconds,)
