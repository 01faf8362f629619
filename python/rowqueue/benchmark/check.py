"""Whether every job was run, and run once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from rowqueue.benchmark.place import Session

# Through get_job, which a worker may call.
_NOT_COMPLETED = """
    select asked.id, j.status
    from unnest(%s::uuid[]) as asked(id)
    left join lateral rowqueue.get_job(asked.id) as j on true
    where j.status is distinct from 'completed'
"""


@dataclass(frozen=True, slots=True)
class Check:
    """What became of the jobs of a drain.

    Attributes:
        completed: how many are.
        waiting: those that it had no time for.
        lost: how many are neither completed nor left waiting.
        repeated: how many runs there were beyond each job's first.
    """

    completed: int
    waiting: Sequence[UUID]
    lost: int
    repeated: int


def check(session: Session, jobs: Sequence[UUID], handled: Sequence[UUID]) -> Check:
    """Looks at the jobs of a drain, once it is over.

    Args:
        session: a session.
        jobs: the jobs that were there.
        handled: those that were run, once for each time; other jobs do not count.
    """
    found = session.execute(_NOT_COMPLETED, [list(jobs)]).fetchall()
    own, run = set(jobs), set(handled)
    runs = sum(job in own for job in handled)
    waiting = [job for job, status in found if status == "pending" and job not in run]
    return Check(
        completed=len(own) - len(found),
        waiting=waiting,
        lost=len(found) - len(waiting),
        repeated=runs - len(run & own),
    )
