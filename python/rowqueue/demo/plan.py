"""What a demo does: the workspaces, the jobs, and what is to go wrong in which of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from uuid import UUID, uuid4

from rowqueue import Queue
from rowqueue.demo import faults, store
from rowqueue.demo.connectors import Share, SourceError, connector_type, open_source
from rowqueue.demo.faults import Fault
from rowqueue.demo.names import QUEUE
from rowqueue.demo.store import Connection, Sync, Workspace

_NAMES = ("aurora", "borealis", "cumulus", "drift", "ember", "fjord", "glacier", "harbour")

# When a page is not to be had, and when a worker is killed: after this share of a job's pages.
_HANG_UP_AT = 0.25
_KILL_AT = 0.4


@dataclass(frozen=True, slots=True)
class SyncJob:
    """A sync that is in the queue."""

    job_id: UUID
    workspace: Workspace
    sync: Sync


@dataclass(frozen=True, slots=True)
class Plan:
    """The workspaces of a demo, with the pages that each has where the source tells."""

    source: str
    workspaces: list[Workspace]
    page_counts: list[int | None]

    @property
    def pages(self) -> int | None:
        """How many pages there are in all, where the source tells."""
        known = [count for count in self.page_counts if count is not None]
        return sum(known) if len(known) == len(self.page_counts) else None


def make_plan(source: str, workspaces: int) -> Plan:
    """Looks at the source and shares it out.

    Raises:
        SourceError: the source can't be read, or has nothing in it.
    """
    kind, _, place = source.partition(":")
    if kind == "csv":
        source = f"csv:{Path(place).absolute()}"
    counts = [open_source(source, Share(i, workspaces)).page_count for i in range(workspaces)]
    if not any(count is None or count > 0 for count in counts):
        raise SourceError(f"there is nothing in {source}")
    names = [*_NAMES, *(f"workspace-{n}" for n in range(len(_NAMES) + 1, workspaces + 1))]
    return Plan(
        source,
        [Workspace(uuid4(), names[i], source, i, workspaces) for i in range(workspaces)],
        counts,
    )


def carry_out(db: Connection, plan: Plan) -> list[SyncJob]:
    """Stores the workspaces and enqueues a sync for each, all or nothing."""
    queue = Queue(db)
    jobs = []
    with db.transaction():
        for workspace in plan.workspaces:
            sync = Sync(uuid4(), workspace.id, pages_done=0)
            store.add_workspace(db, workspace)
            store.add_sync(db, sync)
            job_id = queue.enqueue(
                "sync",
                payload={
                    "connectorType": connector_type(workspace.source),
                    "mode": "initial",
                    "syncLogId": str(sync.id),
                },
                workspace_id=workspace.id,
                queue=QUEUE,
            )
            jobs.append(SyncJob(job_id, workspace, sync))
        for fault in _faults(plan, [job.sync for job in jobs]):
            faults.add(db, fault)
    return jobs


def _faults(plan: Plan, syncs: list[Sync]) -> list[Fault]:
    """Picks two syncs that have pages, or twice the only one: its third attempt comes through."""
    pages = [1 if count is None else count for count in plan.page_counts]
    able = [i for i, count in enumerate(pages) if count]
    killed, hung_up = able[1 % len(able)], able[2 % len(able)]
    return [
        Fault(syncs[killed].id, ceil(pages[killed] * _KILL_AT), "kill"),
        Fault(syncs[hung_up].id, ceil(pages[hung_up] * _HANG_UP_AT), "hang_up"),
    ]
