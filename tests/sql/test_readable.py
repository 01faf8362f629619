"""What enqueue accepts, a worker can read; and no accepted job keeps another from being claimed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.calls import NOBODY, claim, enqueue, job, refused, rows, running

# However slow the machine is.
EXAMPLES = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
REFUSALS = {"RQ103", "22P02", "22P05", "22003", "54001"}


def digits(longest: int) -> st.SearchStrategy[str]:
    """A digit, many times: enough of a number for what can go wrong with its size."""
    return st.builds(lambda digit, length: digit * length, st.sampled_from("19"), lengths(longest))


def lengths(longest: int) -> st.SearchStrategy[int]:
    return st.one_of(st.integers(1, 9), st.integers(1, longest))


NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.builds("{}{}".format, st.sampled_from(["", "-"]), digits(6000)),
    st.builds("{}.{}".format, digits(400), digits(6000)),
    st.builds(
        "{}e{}".format,
        st.sampled_from(["0", "-0", "1", "-1", "1.5", "9.999"]),
        st.one_of(st.integers(-330, 330), st.integers(-16_400, 131_100)),
    ),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "1e400000", "01", "+1", "0x1F", "1_000"]),
)

STRINGS = st.one_of(
    st.text().map(json.dumps),
    st.text().map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(
        [
            r'"\u0000"',
            r'"\ud800"',
            r'"\udc00\ud800"',
            r'"\ud83d\ude00"',
            r'"\uFFFE\uFFFF"',
            '"\u202e\u200b\ufffe"',
            r'"\x41"',
        ]
    ),
)

DOCUMENTS = st.recursive(
    st.one_of(NUMBERS, STRINGS, st.sampled_from(["null", "true", "false"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]"),
        st.lists(st.tuples(STRINGS, inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f"{key}:{item}" for key, item in pairs) + "}"
        ),
        st.builds(
            lambda depth, item: "[" * depth + item + "]" * depth,
            st.one_of(st.integers(1, 70), st.integers(1, 3000)),
            inner,
        ),
    ),
    max_leaves=12,
)

PAYLOADS = st.builds('{{"a": {}, {}: {}}}'.format, DOCUMENTS, STRINGS, DOCUMENTS)


def verdict(session: psycopg.Connection[Any], function: str, **arguments: Any) -> str:
    """Calls a function; returns ``accepted``, or the SQLSTATE with which it refused."""
    try:
        with session.transaction():
            rows(session, function, **arguments)
    except psycopg.Error as error:
        return error.sqlstate or "?"
    return "accepted"


def numbers(value: Any) -> Iterator[int | float]:
    """Yields every number in a decoded document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield value


def read(text: str) -> Any:
    """Decodes a document as the worker does, and checks that nothing in it is lost or useless."""
    decoded = json.loads(text)
    assert all(math.isfinite(number) for number in numbers(decoded))
    json.dumps(decoded, ensure_ascii=False, allow_nan=False).encode()
    assert len(text.encode()) <= 1_048_576
    return decoded


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
