"""Batch calls on the same jobs, with their ids in random order, from several sessions at once.

    python -m races.batches 1000000

makes so many, in loops inside the server, and prints how many deadlocks there were. There must be
none, and then its exit code is 0.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from rowqueue import schema
from rowqueue.embedded import EmbeddedPostgres
from support.server import SETTINGS, fast_place, own_version

SESSIONS = 4
DEADLOCK = "40P01"
AT_A_TIME = 10_000

# Each call is a transaction. All sessions report on the same few dozen jobs and want the same keys.
_MOB = """
    create sequence if not exists public.calls;
    create or replace function public.some_jobs(most int, out ids uuid[], out tokens bigint[])
    language sql as $$
        select array_agg(j.id), array_agg(j.token)
        from (
            select h.id, h.token from rowqueue.jobs_live as h
            where h.status = 'running' order by random() limit most
        ) as j
    $$;
    create or replace procedure public.make_calls(up_to bigint) language plpgsql as $$
    declare
        v_jobs record;
        v_dice double precision;
    begin
        while nextval('public.calls') <= up_to loop
            v_dice := random();
            if v_dice < 0.4 then
                select * into v_jobs from public.some_jobs(20);
                perform rowqueue.extend_leases(v_jobs.ids, v_jobs.tokens)
                where v_jobs.ids is not null;
            elsif v_dice < 0.6 then
                select * into v_jobs from public.some_jobs(4);
                -- One result in ten cannot be stored, which fails its job.
                perform rowqueue.complete_many(v_jobs.ids, v_jobs.tokens, array(
                    select case when random() < 0.1 then '1e400'::jsonb end
                    from unnest(v_jobs.ids)))
                where v_jobs.ids is not null;
            elsif v_dice < 0.75 then
                perform rowqueue.enqueue_many(jsonb_agg(j.job order by random()))
                from (
                    select jsonb_build_object(
                        'job_type', 'sync', 'unique_key', 'key ' || k, 'priority', k % 2) as job
                    from generate_series(1, 40) as k order by random() limit 6
                ) as j;
            elsif v_dice < 0.95 then
                perform rowqueue.claim_next('mob', max_jobs => 8);
            elsif v_dice < 0.97 then
                select * into v_jobs from public.some_jobs(1);
                perform rowqueue.release(v_jobs.ids[1], v_jobs.tokens[1])
                from rowqueue._lock_running(v_jobs.ids[1], v_jobs.tokens[1]);
            elsif v_dice < 0.98 then
                perform rowqueue.purge_finished('0');
            elsif v_dice < 0.99 then
                perform rowqueue.reap_stuck();
            else
                perform rowqueue.tick();
            end if;
            commit;
        end loop;
    end
    $$;
"""


def make_calls(connect: Callable[[], psycopg.Connection[Any]], count: int) -> Counter[str]:
    """Makes batch calls until one ends in a deadlock; returns how often each SQLSTATE came up.

    Args:
        connect: opens a session in autocommit, on a database with the schema in it.
        count: how many at the most.
    """
    with connect() as session:
        session.execute(_MOB)
        session.execute("select setval('public.calls', 1, false)")
    with ThreadPoolExecutor(SESSIONS) as threads:
        errors = threads.map(lambda _: _make_calls(connect, count), range(SESSIONS))
        return sum(errors, Counter())


def _make_calls(connect: Callable[[], psycopg.Connection[Any]], count: int) -> Counter[str]:
    errors: Counter[str] = Counter()
    with connect() as session:
        session.execute("set deadlock_timeout = '10ms'")
        while not errors[DEADLOCK]:
            try:
                session.execute("call public.make_calls(%s)", [count])
                return errors
            except psycopg.Error as error:
                errors[error.sqlstate or "no SQLSTATE"] += 1
        session.execute("select setval('public.calls', %s)", [count])  # All stop.
    return errors


def main() -> int:
    """Makes as many as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(description="batch calls with their ids in random order")
    parser.add_argument("count", type=int, help="how many")
    count = parser.parse_args().count
    server = EmbeddedPostgres(
        version=own_version(),
        prefer="installed",
        temporary_in=fast_place(),
        settings=SETTINGS,
        fsync=False,
    )
    with server:

        def connect() -> psycopg.Connection[Any]:
            return psycopg.connect(server.dsn, autocommit=True)

        with connect() as session:
            session.execute(schema.render().encode())
        began = time.monotonic()
        errors: Counter[str] = Counter()
        for before in range(0, count, AT_A_TIME):
            calls = min(AT_A_TIME, count - before)
            errors += make_calls(connect, calls)
            print(
                f"PostgreSQL {server.binaries.version}: {before + calls} batch calls from "
                f"{SESSIONS} sessions in {time.monotonic() - began:.0f} s: {errors[DEADLOCK]} "
                f"deadlocks, {errors.total() - errors[DEADLOCK]} other errors",
                flush=True,
            )
            if errors:
                break
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
