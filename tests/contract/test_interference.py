"""What needs no right at all: settings, notifications, locks, and names left in ``public``."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.pq import Format

from contract.attempts import CALLS, act_as
from rowqueue import Worker, schema
from support.calls import (
    claim_one,
    enqueue,
    job,
    rows,
    running,
    stored,
    value,
)

HIDDEN = "invoice-4711"

# What any user may set in a session of their own, and what might change how a function's body is
# read, planned or carried out.
SETTINGS = {
    "plpgsql.extra_errors": "all",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "datestyle": "German",
    "intervalstyle": "iso_8601",
    "timezone": "Australia/Lord_Howe",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "quote_all_identifiers": "on",
    "row_security": "off",
    "default_transaction_deferrable": "on",
    "enable_indexscan": "off",
    "enable_indexonlyscan": "off",
    "enable_nestloop": "off",
    "enable_tidscan": "off",
    "enable_material": "off",
    "enable_partition_pruning": "off",
    "join_collapse_limit": "1",
    "geqo_threshold": "2",
    "cursor_tuple_fraction": "0",
    "constraint_exclusion": "off",
    "parallel_setup_cost": "0",
    "min_parallel_table_scan_size": "0",
    "work_mem": "64",
    "debug_parallel_query": "on",
}


class BinaryCursor(psycopg.Cursor[Any]):
    """Reads times, whatever their style is."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.format = Format.BINARY


def diagnostics(session: psycopg.Connection, function: str, arguments: dict[str, Any]) -> str:
    """Makes a call and undoes it; returns all that the server says of its error, if it is one."""
    try:
        with session.transaction(force_rollback=True):
            rows(session, function, **arguments)
    except psycopg.Error as error:
        return str([getattr(error.diag, name) for name in dir(error.diag) if name[0] != "_"])
    return ""


def forge(session: psycopg.Connection) -> None:
    """Sets all that this server knows of them."""
    for name, setting in SETTINGS.items():
        known = session.execute("select current_setting(%s, true)", [name]).fetchone()[0]
        if known is not None or "." in name:
            session.execute("select set_config(%s, %s, false)", [name, setting])


def life(session: psycopg.Connection) -> list[object]:
    """A life of each kind, from enqueue to purge: what a caller learns of it."""
    seen: list[object] = []
    for ending in ("complete", "fail_with_backoff", "release", "cancel"):
        queue = uuid4().hex
        given = {"payload": {"a": 1.5, "b": ["ü", None]}, "unique_key": queue, "queue": queue}
        job_id = enqueue(session, ending, **given, run_after=None)
        assert enqueue(session, ending, **given) == job_id
        held = claim_one(session, queues=[queue])
        mine = {"job_id": held.id, "token": held.token}
        rows(session, "report_progress", **mine, current="0.5", total=2, message="half")
        rows(session, "extend_lease", **mine, lease="90 seconds")
        if ending == "cancel":
            seen += [value(session, "cancel", job_id=held.id, reason=why) for why in ("a", "b")]
        elif ending == "fail_with_backoff":
            seen.append(value(session, ending, **mine, error="no"))
        else:
            rows(session, ending, **mine)
        after = job(session, held.id)
        seen.append((after.status, after.attempts, after.payload, after.progress, after.error))
        seen.append(after.run_after - after.created_at)
    rows(session, "tick")
    return seen


def test_no_setting_of_a_session_changes_what_a_call_does(dsn, clock, db):
    lives = []
    for forged in (False, True):
        with psycopg.connect(
            dsn, autocommit=True, row_factory=db.row_factory, cursor_factory=BinaryCursor
        ) as session:
            db.execute("grant select on public.test_clock to rowqueue_admin")
            if forged:
                forge(session)
            act_as(session, "rowqueue_admin")
            lives.append(life(session))
            clock.advance(days=400)
            purged = [value(session, "purge_finished", older_than="300 days") for _ in range(2)]
            lives[-1] += [purged, rows(session, "list_jobs", status="completed")]
    plain, under_settings = lives
    assert under_settings == plain


@pytest.mark.parametrize("role", ["producer", "worker"])
def test_no_error_shows_what_is_in_another_ones_job(tx, role):
    held = running(
        tx,
        "sync",
        payload={"a": HIDDEN},
        unique_key=HIDDEN,
        workspace_id="11111111-1111-1111-1111-111111111111",
    )
    rows(tx, "fail_with_backoff", job_id=held.id, token=held.token, error=HIDDEN, retry=False)
    enqueue(tx, unique_key=HIDDEN, workspace_id="11111111-1111-1111-1111-111111111111")
    assert stored(tx, held.id).error == HIDDEN
    act_as(tx, f"rowqueue_{role}")
    raised = 0
    for function, arguments in CALLS.items():
        given = {
            name: held.id if name == "job_id" else argument for name, argument in arguments.items()
        }
        if said := diagnostics(tx, function, given):
            raised += 1
            assert HIDDEN not in said, function
    assert raised > 5


def test_a_key_taken_by_another_workspace_is_free_in_this_one(tx):
    theirs = enqueue(tx, unique_key="k", workspace_id="11111111-1111-1111-1111-111111111111")
    ours = enqueue(tx, unique_key="k", workspace_id="22222222-2222-2222-2222-222222222222")
    assert len({theirs, ours, enqueue(tx, unique_key="k")}) == 3


def test_forged_notifications_neither_give_nor_take_a_job(db, dsn, connect):
    """LISTEN and NOTIFY have no access list: they are a hint, and carry nothing."""
    db.execute("drop role if exists rowqueue_test_spy")
    db.execute("create role rowqueue_test_spy")
    try:
        spy = connect()
        act_as(spy, "rowqueue_test_spy")
        spy.execute("listen rowqueue")
        rows(db, "mark_idle")
        enqueue(db, payload={"a": HIDDEN}, unique_key=HIDDEN)
        heard = list(spy.notifies(timeout=0.5))
        assert [note.payload for note in heard] == [""]
        for junk in ("'", "x" * 7999, '{"queue": "default"}', str(uuid4())):
            spy.execute("select pg_notify('rowqueue', %s)", [junk])
        worker, done = Worker(dsn), []
        worker.handler("sync")(lambda job: done.append(job.payload))
        worker.run(burst=True)
        assert done == [{"a": HIDDEN}]
    finally:
        spy.close()
        db.execute("drop role rowqueue_test_spy")


def test_no_function_takes_an_advisory_lock_which_anyone_could_hold_for_ever(shared_db):
    found = shared_db.execute(
        "select proname from pg_proc where pronamespace = 'rowqueue'::regnamespace"
        " and prosrc ~ 'advisory'"
    )
    assert found.fetchall() == []


def test_an_installation_runs_nothing_that_others_left_in_public(empty_dsn):
    """Where others may create in ``public``, as in every cluster that was once older than 15."""
    with psycopg.connect(empty_dsn, autocommit=True) as session:
        session.execute(
            """
            create function public.caught() returns text language plpgsql as $$
            begin raise exception 'ran as %', current_user using errcode = 'HJ001'; end $$;
            create function public.format(text, text) returns text language sql
            as 'select public.caught()';
            create function public.format(text, text, text) returns text language sql
            as 'select public.caught()';
            create function public.format(text, name, text) returns text language sql
            as 'select public.caught()';
            """
        )
        session.execute("set search_path = public")
        session.execute(schema.render().encode())
        assert session.execute("show search_path").fetchone() == ("public",)
        session.execute("set search_path = public, pg_catalog")
        with pytest.raises(psycopg.Error, match="ran as"):  # the trap does catch
            session.execute("do $$ begin perform format('%s', 'a'::text); end $$")
