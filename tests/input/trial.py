"""Calls tried in the database itself: many at a time, each in a savepoint, with its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Json

from input.hostile import HostileCall, public_functions
from input.reading import claim_all, list_all
from input.values import Known
from support.calls import enqueue, rows, running
from support.clock import Clock

ACCEPTED = "00000"
TRIAL = """
create function public.try(statements json)
returns table (code text, message text, ms float8)
language plpgsql as $$
declare
    v_statement text;
    v_began timestamptz;
begin
    for v_statement in select * from json_array_elements_text(statements) loop
        v_began := clock_timestamp();
        code := '00000';
        message := null;
        begin
            execute v_statement;
        exception when others or query_canceled or assert_failure then
            get stacked diagnostics code = returned_sqlstate, message = message_text;
        end;
        ms := 1000 * extract(epoch from clock_timestamp() - v_began);
        return next;
    end loop;
end $$"""

# A value in enqueue_many that is not of its type: its comment says so.
NOT_OF_ITS_TYPE = {"22P02", "22003", "22007", "22008", "22015"}


class Answer(NamedTuple):
    """What a call came to: its SQLSTATE, the message, and how long it took."""

    sqlstate: str
    message: str | None
    ms: float


@dataclass
class Tally:
    """What all calls of a run came to."""

    calls: int = 0
    jobs_read: int = 0
    states: Counter[str] = field(default_factory=Counter)
    slowest_refusal: tuple[float, str] = (0.0, "")

    def add(self, call: HostileCall, answer: Answer) -> None:
        """Counts an answer."""
        self.calls += 1
        self.states[answer.sqlstate] += 1
        if answer.sqlstate != ACCEPTED:
            self.slowest_refusal = max(self.slowest_refusal, (answer.ms, str(call)[:200]))

    def __add__(self, other: Tally) -> Tally:
        """Two runs as one."""
        return Tally(
            self.calls + other.calls,
            self.jobs_read + other.jobs_read,
            self.states + other.states,
            max(self.slowest_refusal, other.slowest_refusal),
        )

    def report(self, seconds: float) -> str:
        """Returns it as lines for people."""
        ms, call = self.slowest_refusal
        return "\n".join(
            [
                f"{self.calls:,} calls in {seconds:.0f} s, {self.calls / seconds:,.0f} a second",
                *(f"  {number:9,} {state}" for state, number in self.states.most_common()),
                f"{self.jobs_read:,} jobs read; the slowest refusal took {ms:.0f} ms: {call}",
            ]
        )


class Trial:
    """A database with a job in every state, and calls that are made there and undone."""

    def __init__(self, session: psycopg.Connection[Any], clock: Clock) -> None:
        """Takes over a database of its own, whose clock the test owns."""
        self._session = session
        self._clock = clock
        self.tally = Tally()
        session.execute(TRIAL)
        rows(session, "tick")  # its partitions: no call need make them
        listed = session.execute("select code from rowqueue.error_codes")
        self._codes = {ACCEPTED, *(code for (code,) in listed)}
        self.functions = public_functions(session)
        self.known = settle(session)

    def make(self, batch: Sequence[HostileCall]) -> None:
        """Makes the calls, reads what they left, and undoes all.

        Raises:
            AssertionError: a call answered with a code that is not documented, or something that
                was accepted cannot be read, or keeps another job from being claimed.
        """
        with self._session.transaction(force_rollback=True):
            answers = self._try([str(call) for call in batch])
            for call, answer in zip(batch, answers, strict=True):
                self.tally.add(call, answer)
            self._check_codes(batch, answers)
            self._read_all()

    def _try(self, statements: Sequence[str]) -> list[Answer]:
        found = self._session.execute("select * from public.try(%s)", [Json(statements)])
        return [Answer(*row) for row in found]

    def _check_codes(self, batch: Sequence[HostileCall], answers: Sequence[Answer]) -> None:
        """A code that is not in the list must be what an argument by itself is refused with."""
        odd = [pair for pair in zip(batch, answers, strict=True) if not self._documents(*pair)]
        casts = [(call, answer, cast) for call, answer in odd for cast in call.casts()]
        explained = {
            id(call)
            for (call, answer, _), own in zip(
                casts, self._try([cast for *_, cast in casts]), strict=True
            )
            if own.sqlstate == answer.sqlstate
        }
        for call, answer in odd:
            assert id(call) in explained, f"{answer.sqlstate} {answer.message}: {call}"

    def _documents(self, call: HostileCall, answer: Answer) -> bool:
        many = call.function.name == "enqueue_many"
        return answer.sqlstate in self._codes or (many and answer.sqlstate in NOT_OF_ITS_TYPE)

    def _read_all(self) -> None:
        bystander = enqueue(self._session, "bystander", priority=-32768)
        list_all(self._session)
        self._clock.advance(days=366 * 11)  # whatever was put off is due
        claimed = claim_all(self._session)
        self.tally.jobs_read += list_all(self._session)
        assert bystander in {job.id for job in claimed}
        left = "select id, queue from rowqueue.jobs where status = 'pending'"
        assert self._session.execute(left).fetchall() == []


def settle(session: psycopg.Connection[Any]) -> Known:
    """Leaves a job of each status, and two that run."""
    held = [running(session) for _ in range(5)]
    completed, failed, cancelled, *_ = ({"job_id": job.id, "token": job.token} for job in held)
    rows(session, "complete", **completed, result="1")
    rows(session, "fail_with_backoff", **failed, error="e", retry=False)
    for _ in range(2):
        rows(session, "cancel", job_id=cancelled["job_id"])
    waiting = enqueue(session, queue="default", unique_key="a")
    ids = [str(job.id) for job in held] + [str(waiting)]
    return Known(ids, [str(job.token) for job in held])
