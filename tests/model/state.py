"""The reference model of the queue: jobs, who has locked them, and what a transaction sees.

It knows what READ COMMITTED means for one row: a session sees what is committed and what it wrote
itself; whoever changes a job holds it until its transaction ends; others wait for it, or pass over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from model.job import Job, Numbers


@dataclass(slots=True)
class Slot:
    """One job, as those see it who did not lock it, and as the one does who did.

    Attributes:
        committed: what all others see; None when there is no such job for them.
        own: what the session sees that holds it.
        holder: the session whose transaction has locked it.
        written: whether that transaction has changed it too.
    """

    committed: Job | None = None
    own: Job | None = None
    holder: int | None = None
    written: bool = False

    def seen_by(self, session: int) -> Job | None:
        """What a session sees."""
        return self.own if self.holder == session else self.committed

    def other_holder(self, session: int) -> int | None:
        """Who it is that a session would have to wait for, to lock it."""
        return None if self.holder == session else self.holder


@dataclass(slots=True)
class Queue:
    """All jobs of a queue, and the transactions on them.

    Attributes:
        now: the clock.
        last_token: the highest token that was ever handed out.
        open: the sessions in a transaction of several calls; for others each call is one.
    """

    now: int = 0
    last_token: int = 0
    draw: Numbers = field(default_factory=Numbers)
    slots: dict[str, Slot] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)

    def copy(self) -> Queue:
        """A copy of its own."""
        return Queue(
            self.now,
            self.last_token,
            replace(self.draw),
            {job_id: replace(slot) for job_id, slot in self.slots.items()},
            set(self.open),
        )

    def seen_by(self, session: int) -> Iterator[tuple[Slot, Job]]:
        """The jobs that a session sees."""
        for slot in self.slots.values():
            if (job := slot.seen_by(session)) is not None:
                yield slot, job

    def free_for(self, session: int) -> Iterator[tuple[Slot, Job]]:
        """Those that nobody else has locked."""
        for slot, job in self.seen_by(session):
            if slot.other_holder(session) is None:
                yield slot, job

    def key_holder(self, session: int, key: str) -> Job | None:
        """The live job with a unique key, as far as a session sees it."""
        live = (job for _, job in self.seen_by(session) if job.live and job.unique_key == key)
        return next(live, None)

    def key_contender(self, session: int, key: str, but: str | None = None) -> int | None:
        """The session whose transaction decides whether a key is free, which `but` may have."""
        for job_id, slot in self.slots.items():
            versions = [job for job in (slot.committed, slot.own) if job is not None]
            if (
                job_id != but
                and slot.written
                and slot.other_holder(session) is not None
                and any(job.live and job.unique_key == key for job in versions)
            ):
                return slot.holder
        return None

    def picture(self) -> object:
        """What there is, without numbers that say nothing: equal if nobody sees a difference."""
        versions = [
            job for slot in self.slots.values() for job in (slot.committed, slot.own) if job
        ]
        places = sorted({job.place for job in versions if job.place is not None})

        def drawn(job: Job | None) -> Job | None:
            if job is None or job.place is None:
                return job and replace(job, row=0)
            return replace(job, row=0, place=places.index(job.place))

        return tuple(
            (job_id, slot.holder, slot.written, drawn(slot.committed), drawn(slot.own))
            for job_id, slot in sorted(self.slots.items())
        )

    def slot(self, job_id: str) -> Slot:
        """A job's slot; an empty one, if nobody ever made it."""
        return self.slots.get(job_id) or Slot()

    def lock(self, slot: Slot, session: int) -> None:
        """A session locks a job that nobody else has locked."""
        assert slot.other_holder(session) is None
        if slot.holder is None:
            slot.holder, slot.own = session, slot.committed

    def write(self, slot: Slot, session: int, job: Job | None) -> None:
        """A session changes a job."""
        self.lock(slot, session)
        slot.own, slot.written = job, True

    def end(self, session: int, *, commit: bool) -> None:
        """A session's transaction ends."""
        self.open.discard(session)
        for slot in self.slots.values():
            if slot.holder == session:
                if commit:
                    slot.committed = slot.own
                slot.own, slot.holder, slot.written = None, None, False
