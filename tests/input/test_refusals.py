"""What cannot be stored is refused at once, however it is made; and bytes that are no text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.calls import claim, enqueue, refused, rows, running, value

MOST_MS, SLACK, MUCH_TOO_LONG = 50, 4, 1e9

# As much as fits into 1 MiB of what is dear to look at, and at its end what cannot be stored; and
# numbers of a few bytes with thousands of digits.
DEAR = {
    "ones": ("1", 60_000, "1e309"),
    "zeros": ("0", 80_000, "1e309"),
    "negatives": ("-7.51", 60_000, "-1e309"),
    "clocks": ("1700000000000", 50_000, "1e-400"),
    "words": ('"x"', 150_000, "1e309"),
    "empty arrays": ("[]", 100_000, "1e309"),
    "nested arrays": ("[" * 50 + "]" * 50, 2_400, "1e309"),
    "objects": ('{"k":1}', 30_000, "1e309"),
    "deep at the end": ("[]", 100_000, "[" * 63 + "]" * 63),
    "huge": ("1e131071", 9_000, "1"),
    "tiny": ("1e-16383", 60_000, "1"),
    "zeros with decimals": ("0e-16383", 60_000, "1"),
    "zeros with decimals and ones": ("0e-16383,1", 40_000, "1"),
    "300 digits": ("1e300", 50_000, "1"),
    "a long text": ('"' + "x" * 1_000 + '"', 1_100, "1"),
    "escapes": (r'"\u0001"', 150_000, "1"),
}


def busy_ms(session: psycopg.Connection[Any]) -> float:
    """How long the session's server process has been at work, whoever else wants the machine."""
    try:
        ran, *_ = Path(f"/proc/{session.info.backend_pid}/schedstat").read_text().split()
    except OSError:  # not Linux, or not on this machine
        return 1000 * time.monotonic()
    return int(ran) / 1e6


def document(what: str) -> str:
    item, times, last = DEAR[what]
    return '{"a": [' + f"{item}," * times + last + "]}"


def refusal_ms(session: psycopg.Connection[Any], text: str) -> float:
    """How long enqueue takes to refuse a document, beyond what PostgreSQL takes to parse it."""
    began = busy_ms(session)
    session.execute("select pg_column_size(%s::jsonb)", [text])
    parsed = busy_ms(session)
    with refused(session, "RQ103"):
        enqueue(session, payload=text)
    return busy_ms(session) - parsed - (parsed - began)


@pytest.mark.parametrize("what", DEAR)
def test_a_document_that_cannot_be_stored_is_refused_within_50_ms(tx, what):
    """Several times that where the machine is busy: what is dear without care takes seconds."""
    text = document(what)
    took = MUCH_TOO_LONG
    for _ in range(5):
        took = min(took, refusal_ms(tx, text))
        if took < MOST_MS:
            break
    assert took < SLACK * MOST_MS


@pytest.mark.parametrize("what", ["ones", "deep at the end", "zeros with decimals"])
def test_as_a_result_it_is_refused_and_among_others_it_fails_its_own_job(tx, what):
    text = document(what)
    one, two = running(tx), running(tx)
    with refused(tx, "RQ103"):
        rows(tx, "complete", job_id=one.id, token=one.token, result=text)
    given = {"job_ids": [one.id, two.id], "tokens": [one.token, two.token]}
    outcomes = rows(tx, "complete_many", **given, results=[text, "1"])
    assert {row.id: row.outcome for row in outcomes} == {one.id: "lost", two.id: "completed"}


def test_among_many_jobs_the_message_says_which_it_is(tx):
    jobs = '[{"job_type": "a"}, {"job_type": "b", "payload": ' + document("ones") + "}]"
    with refused(tx, "RQ103") as caught:
        rows(tx, "enqueue_many", jobs=jobs)
    assert "jobs[2].payload" in caught.value.diag.message_primary


@pytest.mark.parametrize("function", ["claim_next", "extend_lease", "fail_with_backoff", "release"])
@pytest.mark.parametrize("endless", ["infinity", "-infinity"])
def test_no_interval_is_endless(tx, function, endless):
    """PostgreSQL 17 and later can write one down; older ones refuse the word."""
    held = running(tx)
    mine = {"job_id": held.id, "token": held.token}
    arguments = {
        "claim_next": {"worker": "w", "lease": endless},
        "extend_lease": {**mine, "lease": endless},
        "fail_with_backoff": {**mine, "error": "e", "retry_after": endless},
        "release": {**mine, "delay": endless},
    }[function]
    with refused(tx, "22023" if tx.info.server_version >= 170_000 else "22007"):
        rows(tx, function, **arguments)


# Any bytes, but for the NUL that ends a text on the wire; some that no UTF-8 has among them.
NO_TEXT = st.builds(
    lambda before, odd, after: before + odd + after,
    st.binary(max_size=20).map(lambda text: text.replace(b"\0", b"")),
    st.sampled_from([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xfe"]),
    st.binary(max_size=20).map(lambda text: text.replace(b"\0", b"")),
)


@given(text=NO_TEXT, argument=st.sampled_from(["job_type", "payload", "unique_key", "queue"]))
@settings(deadline=None, database=None, max_examples=100)
def test_bytes_that_are_no_text_are_refused_on_the_wire_and_the_session_lives(
    shared_db, shared_clock, text, argument
):
    wire = shared_db.pgconn
    call = f"select rowqueue.enqueue(job_type => 'sync', {argument} => $1)"
    if argument == "job_type":
        call = "select rowqueue.enqueue(job_type => $1)"
    result = wire.exec_params(call.encode(), [text])
    assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"22021"
    with shared_db.transaction(force_rollback=True):
        assert claim(shared_db) == []
        enqueue(shared_db)
        assert len(claim(shared_db)) == 1
        assert value(shared_db, "version")
