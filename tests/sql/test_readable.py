"""What enqueue accepts, a worker can read; and no accepted job keeps another from being claimed."""

from __future__ import annotations

from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings

from input.documents import DOCUMENTS, PAYLOADS
from input.reading import read
from support.calls import NOBODY, claim, enqueue, job, refused, rows, running

# However slow the machine is.
EXAMPLES = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
REFUSALS = {"RQ103", "22P02", "22P05", "22003", "54001"}


def verdict(session: psycopg.Connection[Any], function: str, **arguments: Any) -> str:
    """Calls a function; returns ``accepted``, or the SQLSTATE with which it refused."""
    try:
        with session.transaction():
            rows(session, function, **arguments)
    except psycopg.Error as error:
        return error.sqlstate or "?"
    return "accepted"


def texts(session: psycopg.Connection[Any], column: str) -> list[str]:
    """Returns a column of all jobs as PostgreSQL writes it out."""
    found = session.execute(f"select {column}::text as text from rowqueue.jobs order by id")
    return [row.text for row in found if row.text is not None]


@given(payload=PAYLOADS)
@settings(EXAMPLES, max_examples=100)
def test_what_enqueue_accepts_can_be_claimed_and_decoded(shared_db, shared_clock, payload):
    with shared_db.transaction(force_rollback=True):
        said = verdict(shared_db, "enqueue", job_type="odd", payload=payload)
        assert said in {"accepted", *REFUSALS}
        many = f'[{{"job_type": "odd", "payload": {payload}}}]'
        assert verdict(shared_db, "enqueue_many", jobs=many) == said
        enqueue(shared_db, "bystander")
        claimed = [held.job_type for held in claim(shared_db, 10)]
        assert claimed == (["odd", "odd"] if said == "accepted" else []) + ["bystander"]
        for text in texts(shared_db, "payload"):
            read(text)


@given(result=DOCUMENTS)
@settings(EXAMPLES, max_examples=50)
def test_what_complete_accepts_can_be_read_as_a_result(shared_db, shared_clock, result):
    with shared_db.transaction(force_rollback=True):
        held = running(shared_db)
        given = {"job_id": held.id, "token": held.token, "result": result}
        said = verdict(shared_db, "complete", **given)
        assert said in {"accepted", *REFUSALS}
        assert job(shared_db, held.id).status == ("completed" if said == "accepted" else "running")
        for text in texts(shared_db, "result"):
            read(text)


def test_a_document_that_a_table_keeps_compressed_is_measured_as_it_is(tx):
    tx.execute("create temporary table odd (doc jsonb)")
    tx.execute(
        "insert into odd select jsonb_build_object('a', jsonb_agg('0e-16383'::jsonb))"
        " from generate_series(1, 1000)"
    )
    with refused(tx, "RQ103"):
        tx.execute("select rowqueue.enqueue('sync', doc) from odd")
    held = running(tx)
    with refused(tx, "RQ103"):
        tx.execute("select rowqueue.complete(%s, %s, doc) from odd", [held.id, held.token])


def test_a_document_that_is_allowed_may_come_from_a_table_that_keeps_it_compressed(tx):
    tx.execute("create temporary table long (doc jsonb)")
    tx.execute("insert into long values (jsonb_build_object('a', repeat('x', 1000000)))")
    tx.execute("select rowqueue.enqueue('sync', doc) from long")
    [held] = claim(tx)
    assert held.payload == {"a": "x" * 1_000_000}


def test_odd_characters_come_back_as_they_went_in(tx):
    payload = {"\u202e": "\ufffe\uffff", "é": "e\u0301", "\u200b": "\x01\x1b\x7f", "": "😀"}
    enqueue(tx, payload=payload)
    assert claim(tx)[0].payload == payload


def test_of_keys_given_twice_the_last_wins(tx):
    enqueue(tx, payload='{"a": 1, "a": 2}')
    assert claim(tx)[0].payload == {"a": 2}


def test_what_postgres_makes_of_nan_is_a_word(tx):
    """to_jsonb turns what JSON can't hold into a string: that is PostgreSQL's way."""
    tx.execute("select rowqueue.enqueue('sync', jsonb_build_object('a', 'NaN'::float8))")
    assert claim(tx)[0].payload == {"a": "NaN"}


def test_ids_may_be_written_in_every_way_that_postgres_reads(tx):
    held = running(tx)
    for text in (held.id.hex, str(held.id).upper(), f"{{{held.id}}}"):
        assert rows(tx, "get_job", job_id=text)[0].id == held.id


def test_arrays_may_begin_at_any_index(tx):
    held = running(tx)
    ids, tokens = f"[5:6]={{{held.id},{NOBODY}}}", f"[0:1]={{{held.token},1}}"
    outcomes = rows(tx, "extend_leases", job_ids=ids, tokens=tokens)
    assert {row.id: row.outcome for row in outcomes} == {held.id: "extended", NOBODY: "lost"}
    outcomes = rows(tx, "complete_many", job_ids=ids, tokens=tokens, results="[7:8]={1,2}")
    assert {row.id: row.outcome for row in outcomes} == {held.id: "completed", NOBODY: "lost"}
    enqueue(tx, queue="a")
    assert len(claim(tx, queues="[3:4]={a,b}")) == 1
