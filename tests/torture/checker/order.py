"""Who is served first: I-11."""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from torture.checker.check import Check, Finding

# Jobs as they begin to wait, and claims during which no other went on, in the order of time. A
# claim that goes on at the same time may hold what it will not take, and so may who cancels a job.
_EVENTS = """
with place as materialized (
    select
        j.job, j.queue, c.p, c.op, c.t0, c.t1, e.known,
        -- The order within a queue: the highest priority first, then by ticket.
        row_number() over (partition by j.queue order by j.priority desc, j.ticket) as place
    from verdict.job as j
    join (
        select o.job, min(o.t1) as known
        from verdict.enqueued as o
        where o.type = 'ok'
        group by o.job
    ) as e on e.job = j.job
    join (
        select distinct on (l.job) l.job, l.token, l.was_ticket
        from verdict.lease as l
        order by l.job, l.n
    ) as l on l.job = j.job and l.was_ticket = j.ticket
    join verdict.handed as c on c.job = l.job and c.token = l.token
    where not j.by_hand
)
select w.known as at, w.queue, w.place, w.job::text, w.t0 as claimed_from, null as p
from place as w
where not exists (select from verdict.op as o where o.job = w.job and o.f in ('cancel', 'hand'))
union all
select c.t0, c.queue, c.place, c.job::text, c.t1, c.p
from (
    select distinct on (p.p, p.op, p.queue) p.*
    from place as p
    order by p.p, p.op, p.queue, p.place desc
) as c
join verdict.lone_claim as l on l.p = c.p and l.op = c.op
order by at
"""


class _NonePassedBy(Check):
    """Goes through the events once, with a heap of what waits in each queue."""

    __slots__ = ()

    def find(self, db: psycopg.Connection[Any]) -> list[Finding]:
        """Returns, for each claim that passed a job by, the first that it did."""
        findings = []
        waiting: dict[str, list[tuple[int, int, int, str]]] = defaultdict(list)
        with db.transaction(), db.cursor("events", row_factory=tuple_row) as events:
            events.execute(self.sql)
            for at, queue, place, job, until, by in events:
                heap = waiting[queue]
                if by is None:
                    heapq.heappush(heap, (place, until, at, job))
                    continue
                # What was claimed before this claim ended is past; the claims come one by one.
                while heap and heap[0][1] <= until:
                    heapq.heappop(heap)
                if heap and heap[0][0] < place:
                    _, _, known, passed = heap[0]
                    after = (at - known) / 1e6
                    what = f"{by} took {job}, which comes after it, {after:.0f} ms after it came"
                    findings.append(Finding(passed, what))
        return findings


CHECKS = (
    _NonePassedBy(
        "I-11",
        "no claim passes by a job that was there before it began and comes first",
        _EVENTS,
    ),
    Check(
        "I-11",
        "no job is found below a floor",
        """
        select null::uuid, format('%s jobs were', f.last_value)
        from rowqueue.below_floor as f
        where f.is_called
        and not exists (
            select from verdict.op as o where o.f = 'hand' and o.value ->> 'kind' = 'update')
        """,
    ),
)
