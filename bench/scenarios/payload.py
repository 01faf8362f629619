"""How much WAL a job writes in its life, by the size of its payload."""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bench.harness.results import Measure
from bench.harness.rounds import alternate
from bench.harness.scenario import Bars, Bench, Scenario
from bench.harness.server import Server
from bench.harness.system import System
from bench.scenarios.flow import scalar

Session = psycopg.Connection[Any]
Claim = tuple[uuid.UUID, int]

# Bytes of the payload, jobs, and how many go into one call.
_CASES = {
    "100 B, 1 a call": (100, 5_000, 1),
    "100 B, 100 a call": (100, 50_000, 100),
    "5 kB, 1 a call": (5_000, 2_000, 1),
    "5 kB, 100 a call": (5_000, 10_000, 100),
    "100 kB, 1 a call": (100_000, 500, 1),
    "100 kB, 20 a call": (100_000, 1_000, 20),
}

_RECORD = re.compile(r"^(\S+)\s+(\d+) \([ \d.]+\)\s+(\d+) \([ \d.]+\)\s+(\d+) \([ \d.]+\)")


def _run(bench: Bench) -> None:
    def measure(system: System, case: str) -> dict[str, Any]:
        size, jobs, batch = _CASES[case]
        jobs = min(jobs, bench.options.jobs or jobs)
        with bench.server.database(system) as dsn, bench.server.connect(dsn) as session:
            return _live_through(bench.server, session, size, jobs, batch)

    alternate(bench, list(_CASES), measure)


def _live_through(
    server: Server, session: Session, size: int, jobs: int, batch: int
) -> dict[str, Any]:
    # The first change of a page after a checkpoint writes all of it. The tenth that goes first gets
    # most of that out of the way; what is left of it is shown as "full pages".
    session.execute("checkpoint")
    _complete(
        session, _claim(session, _enqueue(session, size, max(batch, jobs // 10), batch), batch)
    )
    phases = _Phases(server, session)
    with phases.phase("enqueue"):
        _enqueue(session, size, jobs, batch)
    with phases.phase("claim"):
        claims = _claim(session, jobs, batch)
    with phases.phase("complete"):
        _complete(session, claims)
    done, stored = _completed(session, sum(map(len, claims)))
    written = {name: count / jobs for name, count in phases.written.items()}
    total = sum(written.values())
    values = {"WAL": total, **written, "stored": stored, "WAL ÷ stored": total / stored}
    if phases.records:
        values["full pages"] = sum(one["full pages"] for one in phases.all_records()) / jobs
    return {
        "jobs": jobs,
        "values": values,
        "void": "" if done else "not every job was claimed and completed once",
        "extra": {"records": phases.records},
    }


class _Phases:
    """The WAL of one phase after the other."""

    def __init__(self, server: Server, session: Session) -> None:
        self._session = session
        self._folder = scalar(session, "show data_directory")
        self._waldump = shutil.which(server.program("pg_waldump"))
        self.written: dict[str, int] = {}
        self.records: dict[str, dict[str, dict[str, int]]] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = self._position()
        yield
        end = self._position()
        self.written[name] = int(scalar(self._session, "select %s::pg_lsn - %s", end, start))
        if self._waldump:
            self.records[name] = self._records(start, end)

    def all_records(self) -> Iterator[dict[str, int]]:
        for phase in self.records.values():
            yield from phase.values()

    def _position(self) -> str:
        return str(scalar(self._session, "select pg_current_wal_insert_lsn()"))

    def _records(self, start: str, end: str) -> dict[str, dict[str, int]]:
        """Returns what pg_waldump counts, by the type of record, the largest first."""
        said = subprocess.run(
            [
                *(self._waldump or "", "--stats=record", f"--path={self._folder}/pg_wal"),
                *(f"--start={start}", f"--end={end}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        found = filter(None, map(_RECORD.match, said.splitlines()))
        records = {
            one[1]: {"count": int(one[2]), "bytes": int(one[3]), "full pages": int(one[4])}
            for one in found
        }
        return dict(sorted(records.items(), key=lambda one: -one[1]["bytes"]))


def _enqueue(session: Session, size: int, jobs: int, batch: int) -> int:
    source = random.Random(size)
    for first in range(0, jobs, batch):
        payloads = [_payload(source, n, size) for n in range(first, min(first + batch, jobs))]
        if batch == 1:
            session.execute("select rowqueue.enqueue('noop', %s)", [Jsonb(payloads[0])])
        else:
            session.execute(
                "select count(*) from rowqueue.enqueue_many(%s)",
                [Jsonb([{"job_type": "noop", "payload": payload} for payload in payloads])],
            )
    return jobs


def _payload(source: random.Random, number: int, size: int) -> dict[str, Any]:
    """Returns a payload of so many bytes as JSON, which compression makes no smaller."""
    payload = {"n": number, "pad": ""}
    missing = size - len(json.dumps(payload))
    payload["pad"] = base64.b64encode(source.randbytes(missing)).decode()[:missing]
    return payload


def _claim(session: Session, jobs: int, batch: int) -> list[list[Claim]]:
    return [
        session.execute(
            "select id, token"
            " from rowqueue.claim_next('bench', max_jobs => %s, lease => interval '1 hour')",
            [batch],
        ).fetchall()
        for _ in range(0, jobs, batch)
    ]


def _complete(session: Session, claims: list[list[Claim]]) -> None:
    for batch in claims:
        session.execute(
            "select count(*) from rowqueue.complete_many(%s::uuid[], %s::bigint[])",
            [[one[0] for one in batch], [one[1] for one in batch]],
        )


def _completed(session: Session, claimed: int) -> tuple[bool, float]:
    """Returns whether all is done, and the payloads' mean size where they are stored."""
    left = scalar(session, "select count(*) from rowqueue.jobs_live")
    once = scalar(session, "select count(*) from rowqueue.jobs where attempts = 1")
    every = scalar(session, "select count(*) from rowqueue.jobs")
    stored = scalar(session, "select avg(pg_column_size(payload)) from rowqueue.jobs")
    return not left and once == every and claimed <= every, float(stored)


PAYLOAD = Scenario(
    name="payload",
    about=(
        "WAL that a job writes when it is enqueued, claimed and completed through SQL, by the size"
        " of its payload. The payload is incompressible; stored is what it takes up in the table."
        " There is one checkpoint, at the start; full pages is what of the WAL is due to that."
    ),
    systems=("rowqueue",),
    measures=(
        Measure("WAL", "B", "lower"),
        Measure("enqueue", "B", "lower"),
        Measure("claim", "B", "lower"),
        Measure("complete", "B", "lower"),
        Measure("full pages", "B", "lower"),
        Measure("stored", "B", "lower"),
        Measure("WAL ÷ stored", "", "lower"),
    ),
    run=_run,
    rounds=3,
    short={"jobs": 20},
    plots=(Bars(measure="WAL", title="WAL in a job's life", log=True),),
)
