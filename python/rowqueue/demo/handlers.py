"""The demo's worker: what its two types of job do.

An application's handlers look like these. ``rowqueue worker rowqueue.demo.handlers:worker`` runs
them.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from rowqueue import Job, Worker
from rowqueue.demo import faults, lifeline, store
from rowqueue.demo.connectors import Connector, Share, connector_type, open_source
from rowqueue.demo.export import new_file
from rowqueue.demo.names import FOLDER_VARIABLE, QUEUE, WORKER_VARIABLE

_ERRORS_MAX = 100

# The lease is short so that nobody has to wait long to see the job of a killed worker rescued.
worker = Worker(
    queues=[QUEUE],
    concurrency=1,
    prefetch=0,
    name=os.environ.get(WORKER_VARIABLE),
    lease=timedelta(seconds=3),
    shutdown_grace=timedelta(seconds=1),
)

if WORKER_VARIABLE in os.environ:
    lifeline.hold()


class Stopped(Exception):
    """Somebody wants the job to stop."""


@worker.handler("sync")
def sync(job: Job) -> dict[str, Any]:
    """Copies a workspace's share of the source into the records, page by page.

    A page is stored in one transaction with how far the sync is. So an attempt that fails, or
    dies, costs the page that it was on: the next one goes on from there.
    """
    with _connect() as db:
        sync = store.get_sync(db, UUID(job.payload["syncLogId"]))
        workspace = store.get_workspace(db, sync.workspace_id)
        source = open_source(workspace.source, Share(workspace.part, workspace.parts))
        for page in source.pages(first=sync.pages_done + 1):
            faults.spring(db, sync, page.number)
            store.save_page(db, sync, page)
            _go_on(job, page.number, source.page_count, _says(source, page.number))
        if job.payload["mode"] == "initial":
            store.forget_unseen(db, sync)
        records = store.count_synced(db, sync)
        errors = store.list_errors(db, sync)
    kind = connector_type(workspace.source)
    return {
        "results": [{"connectorType": kind, "records": records, "errors": len(errors)}],
        "totalRecords": records,
        "errors": _first(errors),
    }


@worker.handler("export")
def export(job: Job) -> dict[str, Any]:
    """Writes a workspace's records to a file."""
    assert job.workspace_id is not None
    format = job.payload["format"]
    with _connect() as db:
        workspace = store.get_workspace(db, job.workspace_id)
        done, total = 0, store.count_records(db, workspace.id)
        path = Path(os.environ[FOLDER_VARIABLE], f"{workspace.name}.{format}")
        with new_file(path, format, store.list_columns(db, workspace.id)) as write:
            for done, record in enumerate(store.stream_records(db, workspace.id), start=1):
                write(record)
                total = max(total, done)  # another sync may add some meanwhile
                _go_on(job, done, total, f"Exporting records ({done} of {total})…")
    return {"exportUrl": path.as_uri(), "records": done}


def _connect() -> store.Connection:
    dsn = os.environ.get("ROWQUEUE_DSN", "")
    return psycopg.connect(dsn, autocommit=True, prepare_threshold=None)


def _go_on(job: Job, current: int, total: int | None, message: str) -> None:
    if not job.report_progress(current, total, message):
        raise Stopped(f"stopped at {current}")


def _says(source: Connector, page: int) -> str:
    of = "" if source.page_count is None else f" of {source.page_count}"
    return f"Processing {source.noun} (page {page}{of})…"


def _first(errors: list[str]) -> list[str]:
    """Returns as many errors as a result should hold, and says how many more there are."""
    if len(errors) <= _ERRORS_MAX:
        return errors
    return [*errors[:_ERRORS_MAX], f"and {len(errors) - _ERRORS_MAX} more"]
