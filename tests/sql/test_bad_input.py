"""What no function takes: the SQLSTATE it answers with, and that nothing comes of it.

``22023`` for a bad argument, ``RQ103`` for a document that can't be stored, and PostgreSQL's own
code for what it refuses to parse. Each case changes one argument of a call that would succeed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.calls import claim, enqueue, everything, refused, rows, running

BAD_ARGUMENT, NOT_STORABLE = "22023", "RQ103"
MALFORMED, OUT_OF_RANGE, NO_TIME, NO_SUCH_TIME = "22P02", "22003", "22007", "22008"
NO_SUCH_INTERVAL = "22015"
NO_NUL, NO_UTF8, TOO_DEEP = "22P05", "22021", "54001"


class Case(NamedTuple):
    """A call of a function with one bad argument."""

    sqlstate: str
    function: str
    argument: str
    value: Any

    def __str__(self) -> str:
        shown = repr(self.value.obj if isinstance(self.value, Jsonb) else self.value)
        return f"{self.function}({self.argument}={shown[:40]})"


def cases(sqlstate: str, functions: str, argument: str, *values: Any) -> Iterator[Case]:
    """A case for each function and each value."""
    for function in functions.split():
        for value in values:
            yield Case(sqlstate, function, argument, value)


NAMES = [
    *("", " ", "q ", " q", "Queue", "QUEUE", "-a", ".a", "_a", ":a", "a b", "a/b", "a\n", "a\tb"),
    *("é", "e\u0301", "a\u200bb", "\u202ea", "a\ufffe", "名", "a" * 64, "a" * 300_000),
]

DOCUMENTS = {
    r'{"a": "\u0000"}': NO_NUL,
    r'{"\u0000": 1}': NO_NUL,
    r'{"a": "\ud800"}': MALFORMED,
    r'{"a": "\udc00\ud800"}': MALFORMED,
    '{"a": NaN}': MALFORMED,
    '{"a": Infinity}': MALFORMED,
    '{"a": -Infinity}': MALFORMED,
    "": MALFORMED,
    "{": MALFORMED,
    "{'a': 1}": MALFORMED,
    '{"a": 01}': MALFORMED,
    '{"a": 1} x': MALFORMED,
    '{"a": 1e400000}': OUT_OF_RANGE,
    '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}": TOO_DEEP,
    '{"a": ' + "[" * 63 + "1" + "]" * 63 + "}": NOT_STORABLE,
    '{"a": ' + "[" * 5_000 + "]" * 5_000 + "}": NOT_STORABLE,
    '{"a": ' * 64 + "1" + "}" * 64: NOT_STORABLE,
    '{"a": ' + "9" * 5_000 + "}": NOT_STORABLE,
    '{"a": [[1], {"b": 1e309}]}': NOT_STORABLE,
    '{"a": -1e309}': NOT_STORABLE,
    '{"a": 1e5000}': NOT_STORABLE,
    '{"a": 1e131071}': NOT_STORABLE,
    '{"a": 1e-308}': NOT_STORABLE,
    '{"a": -1e-5000}': NOT_STORABLE,
    '{"a": [' + ",".join(["1e131071"] * 9_000) + "]}": NOT_STORABLE,
    '{"a": [' + ",".join(["0e-16383"] * 70) + "]}": NOT_STORABLE,
    '{"a": "' + "x" * 1_048_576 + '"}': NOT_STORABLE,
    '{"' + "x" * 1_048_576 + '": 1}': NOT_STORABLE,
    '{"a": "' + r"\u0001" * 200_000 + '"}': NOT_STORABLE,
}

NOT_OBJECTS = ["null", "1", "true", '"words"', "[]", '[{"a": 1}]']
INSTANTS = [
    "infinity",
    "-infinity",
    "10000-01-01Z",
    "294276-12-31Z",
    "1969-12-31Z",
    "4713-01-01Z BC",
]
LEASES = [None, "0", "-1 second", "24 hours 1 microsecond", "178000000 years", "-178000000 years"]
DELAYS = ["-1 microsecond", "10 years 1 day", "178000000 years", "-178000000 years"]
HOLDERS = "complete fail_with_backoff report_progress extend_lease release"
BATCHES = "complete_many extend_leases"
ALL_BY_ID = f"{HOLDERS} cancel retry get_job"
SOME_ID = "01890000-0000-7000-8000-000000000000"

CASES = [
    *cases(BAD_ARGUMENT, "enqueue", "job_type", None, *NAMES),
    *cases(BAD_ARGUMENT, "enqueue", "queue", None, *NAMES),
    *(Case(state, "enqueue", "payload", text) for text, state in DOCUMENTS.items()),
    *cases(BAD_ARGUMENT, "enqueue", "payload", *NOT_OBJECTS),
    *cases(BAD_ARGUMENT, "enqueue", "priority", None, -32769, 32768, -(2**31), 2**31 - 1),
    *cases(OUT_OF_RANGE, "enqueue", "priority", str(2**31), str(-(2**63))),
    *cases(MALFORMED, "enqueue", "priority", "high", "", "1.5", "0x"),
    *cases(BAD_ARGUMENT, "enqueue", "run_after", *INSTANTS),
    *cases(NO_SUCH_TIME, "enqueue", "run_after", "294277-01-01Z", "4715-01-01Z BC"),
    *cases(NO_TIME, "enqueue", "run_after", "", "soon", "2040-13-45 BCE"),
    *cases(BAD_ARGUMENT, "enqueue", "max_attempts", None, 0, -1, 1001, 2**31 - 1),
    *cases(BAD_ARGUMENT, "enqueue", "timeout_ms", None, 0, -1, 86_400_001, 2**31 - 1),
    *cases(BAD_ARGUMENT, "enqueue", "unique_key", "", "x" * 513, "é" * 257, "x" * 3_000_000),
    *cases(MALFORMED, "enqueue", "workspace_id", "", "acme", "0" * 31, "{" + "0" * 32),
    #
    *cases(BAD_ARGUMENT, "enqueue_many", "jobs", None, "null", "1", '"a"', "{}", '{"jobs": []}'),
    *cases(BAD_ARGUMENT, "enqueue_many", "jobs", "[1]", "[null]", '["sync"]', "[[]]", "[{}]"),
    *cases(BAD_ARGUMENT, "enqueue_many", "jobs", Jsonb([{"job_type": "a"}] * 100_001)),
    *cases(MALFORMED, "enqueue_many", "jobs", "", "[", "[NaN]"),
    *cases(BAD_ARGUMENT, "enqueue_many", "job", {"kind": "a"}, {"Priority": 1}, {"": 1}),
    *cases(BAD_ARGUMENT, "enqueue_many", "job", {"job_type": None}, {"job_type": {"a": 1}}),
    *cases(BAD_ARGUMENT, "enqueue_many", "job", *({"job_type": name} for name in NAMES)),
    *cases(BAD_ARGUMENT, "enqueue_many", "job", *({"queue": name} for name in NAMES)),
    *cases(BAD_ARGUMENT, "enqueue_many", "job", {"priority": 32768}, {"max_attempts": 0}),
    *cases(BAD_ARGUMENT, "enqueue_many", "job", {"timeout_ms": 0}, {"unique_key": ""}),
    *cases(BAD_ARGUMENT, "enqueue_many", "job", *({"run_after": at} for at in INSTANTS)),
    *cases(BAD_ARGUMENT, "enqueue_many", "job", {"payload": []}, {"payload": 1}, {"payload": "a"}),
    *cases(MALFORMED, "enqueue_many", "job", {"priority": "high"}, {"priority": 1.5}),
    *cases(MALFORMED, "enqueue_many", "job", {"priority": True}, {"workspace_id": "acme"}),
    *cases(OUT_OF_RANGE, "enqueue_many", "job", {"priority": 2**31}, {"timeout_ms": 10**30}),
    *cases(NO_TIME, "enqueue_many", "job", {"run_after": "soon"}, {"run_after": ""}),
    *cases(NOT_STORABLE, "enqueue_many", "job", {"payload": {"a": "x" * 1_048_576}}),
    *cases(NOT_STORABLE, "enqueue_many", "job", {"payload": {"a": 10**400}}),
    #
    *cases(BAD_ARGUMENT, "claim_next", "worker", None, "", "x" * 201, "é" * 101),
    *cases(BAD_ARGUMENT, "claim_next", "queues", None, "{}", "{NULL}", "{a,NULL}", "{{a},{b}}"),
    *cases(BAD_ARGUMENT, "claim_next", "queues", ["a"] * 101),
    *cases(BAD_ARGUMENT, "claim_next", "max_jobs", None, 0, -1, 1001, 10**9),
    *cases(BAD_ARGUMENT, "claim_next extend_lease extend_leases", "lease", *LEASES),
    *cases(NO_TIME, "claim_next extend_lease extend_leases", "lease", "soon", ""),
    *cases(NO_SUCH_INTERVAL, "claim_next extend_lease extend_leases", "lease", f"{2**62} seconds"),
    #
    *cases(BAD_ARGUMENT, ALL_BY_ID, "job_id", None),
    *cases(MALFORMED, ALL_BY_ID, "job_id", "", "0", "-1", "acme", SOME_ID[:-1]),
    *cases("RQ001", f"{HOLDERS} cancel retry", "job_id", SOME_ID),
    *cases(BAD_ARGUMENT, HOLDERS, "token", None),
    *cases("RQ101", HOLDERS, "token", 0, -1, -(2**63), 2**63 - 1),
    *cases(OUT_OF_RANGE, HOLDERS, "token", str(2**63)),
    *cases(BAD_ARGUMENT, BATCHES, "job_ids", None, "{NULL}"),
    *cases(BAD_ARGUMENT, BATCHES, "job_ids", "{{" + SOME_ID + "}}", [SOME_ID] * 10_001),
    *cases(MALFORMED, BATCHES, "job_ids", "", "{a}", SOME_ID),
    *cases(BAD_ARGUMENT, BATCHES, "tokens", None, "{}", "{NULL}", "{{1}}", [1, 2]),
    *cases(BAD_ARGUMENT, "complete_many", "results", "{null,null}", "{{null}}"),
    #
    *(Case(state, "complete", "result", text) for text, state in DOCUMENTS.items()),
    *cases(BAD_ARGUMENT, "fail_with_backoff", "retry", None),
    *cases(BAD_ARGUMENT, "fail_with_backoff", "retry_after", *DELAYS),
    *cases(BAD_ARGUMENT, "release", "delay", None, *DELAYS),
    *cases(BAD_ARGUMENT, "report_progress", "current", None, -1, "-0.1", 101, "NaN"),
    *cases(BAD_ARGUMENT, "report_progress", "current", "Infinity", "1e16", "1e131071"),
    *cases(BAD_ARGUMENT, "report_progress", "total", -1, 0, "NaN", "Infinity", "1e16", "1e131071"),
    *cases(MALFORMED, "report_progress", "current", "", "many"),
    #
    *cases(BAD_ARGUMENT, "list_jobs", "status", "", "done", "PENDING", "running "),
    *cases(BAD_ARGUMENT, "list_jobs", "max_jobs", None, 0, -1, 1001, 10**9),
    *cases(BAD_ARGUMENT, "reap_stuck", "max_jobs", None, 0, -1, 100_001),
    *cases(BAD_ARGUMENT, "tick_every", "period", None, "-1 second", "1 day 1 second"),
    *cases(BAD_ARGUMENT, "purge_finished", "max_jobs", None, 0, -1, 10_000_001),
    *cases(BAD_ARGUMENT, "purge_finished", "older_than", None, "-1 second", "1001 years"),
    *cases(BAD_ARGUMENT, "purge_finished", "older_than", "178000000 years", "-178000000 years"),
    *cases(BAD_ARGUMENT, "set_notify", "enabled", None),
    *cases(BAD_ARGUMENT, "confirm_identity", "servers", "{}", "{NULL}", "{{a}}", "{nobody}"),
    *cases(BAD_ARGUMENT, "confirm_identity", "servers", [""] * 101),
]


class Place(NamedTuple):
    """The module's database: a session, a running job, and all that is in the table."""

    session: psycopg.Connection[Any]
    held: Any
    content: list[Any]

    def arguments(self, function: str) -> dict[str, Any]:
        """Returns arguments with which the call would succeed."""
        one = {"job_id": self.held.id, "token": self.held.token}
        many = {"job_ids": [self.held.id], "tokens": [self.held.token]}
        return {
            "enqueue": {"job_type": "sync"},
            "claim_next": {"worker": "w"},
            "fail_with_backoff": {**one, "error": "e"},
            "report_progress": {**one, "current": 1, "total": 100},
            **dict.fromkeys(("complete", "extend_lease", "release"), one),
            **dict.fromkeys(BATCHES.split(), many),
        }.get(function, {})

    def is_undisturbed(self) -> bool:
        """Whether all is as it was, and the bystander can still be claimed."""
        with self.session.transaction(force_rollback=True):
            claimed = claim(self.session, 10)
        unchanged = everything(self.session) == self.content
        return unchanged and [job.job_type for job in claimed] == ["bystander"]


@pytest.fixture
def place(settled) -> Iterator[Place]:
    """The module's database, in a transaction, so that no case can spoil the next one."""
    with settled.session.transaction(force_rollback=True):
        yield settled


@pytest.fixture(scope="module")
def settled(shared_db, shared_clock) -> Place:
    """A running job, a bystander that waits, and a job of each other status."""
    for how in ("complete", "fail_with_backoff", "cancel"):
        held = running(shared_db)
        given = {"job_id": held.id, "token": held.token}
        if how == "complete":
            rows(shared_db, how, **given)
        elif how == "fail_with_backoff":
            rows(shared_db, how, error="e", retry=False, **given)
        else:
            for _ in range(2):
                rows(shared_db, how, job_id=held.id)
    enqueue(shared_db, "bystander")
    held = running(shared_db)
    return Place(shared_db, held, everything(shared_db))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_argument_is_refused_and_nothing_comes_of_it(place, case):
    arguments = place.arguments(case.function)
    if case.argument == "job":
        arguments = {"jobs": Jsonb([{"job_type": "sync"}, {"job_type": "sync", **case.value}])}
    else:
        arguments = {**arguments, case.argument: case.value}
    with refused(place.session, case.sqlstate) as caught:
        rows(place.session, case.function, **arguments)
    assert place.is_undisturbed()
    if case.sqlstate == BAD_ARGUMENT:
        place_of_error = "jobs" if case.argument == "job" else case.argument
        assert place_of_error.removesuffix("s") in caught.value.diag.message_primary


@pytest.mark.parametrize("text", [b"\xc0\x80", b"\xed\xa0\x80", b"\xff", b"\xf5\x80\x80\x80"])
@pytest.mark.parametrize("argument", [b"payload", b"unique_key", b"queue"])
def test_bytes_that_are_no_utf8_are_refused_and_nothing_comes_of_it(place, argument, text):
    quoted = b'{"a": "' + text + b'"}' if argument == b"payload" else text
    with refused(place.session, NO_UTF8):
        place.session.execute(
            b"select rowqueue.enqueue('sync', " + argument + b" => '" + quoted + b"')"
        )
    assert place.is_undisturbed()


def test_every_function_that_can_be_refused_has_its_cases(shared_db):
    """A new function is in this list too: it fails until it is, or takes no arguments."""
    found = shared_db.execute(
        "select proname from pg_proc where pronamespace = 'rowqueue'::regnamespace"
        " and proname !~ '^_' and pronargs > 0"
    )
    assert {row.proname for row in found} == {case.function for case in CASES}
