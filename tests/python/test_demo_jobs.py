"""What the demo's jobs do: in one attempt, in several, and when an attempt is repeated."""

from __future__ import annotations

import csv
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from rowqueue import Queue
from rowqueue.demo import faults, store
from rowqueue.demo.connectors import Page, Record
from rowqueue.demo.export import new_file
from rowqueue.demo.faults import Fault
from rowqueue.demo.handlers import worker
from rowqueue.demo.names import FOLDER_VARIABLE, QUEUE
from rowqueue.demo.plan import carry_out, make_plan
from rowqueue.demo.store import Sync, Workspace
from support.calls import enqueue, job

Db = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def tables(db: Db, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's tables, and what its worker finds in its environment."""
    store.create(db)
    faults.create(db)
    monkeypatch.setenv("ROWQUEUE_DSN", dsn)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A source with nine good rows and one bad one."""
    rows = [f"{n},name {n}" for n in range(1, 10)]
    file = tmp_path / "source.csv"
    file.write_text("\n".join(["id,name", *rows[:4], "too,many,fields", *rows[4:]]))
    return f"csv:{file}"


@pytest.fixture
def sync(db: Db, source: str) -> Sync:
    """A sync of a workspace that has all of the source."""
    workspace = Workspace(uuid4(), "aurora", source, part=0, parts=1)
    sync = Sync(uuid4(), workspace.id, pages_done=0)
    store.add_workspace(db, workspace)
    store.add_sync(db, sync)
    return sync


def enqueue_sync(db: Db, sync: Sync, mode: str = "initial") -> UUID:
    payload = {"connectorType": "csv", "mode": mode, "syncLogId": str(sync.id)}
    return enqueue(db, payload=payload, workspace_id=sync.workspace_id, queue=QUEUE)


def make_due(db: Db) -> None:
    db.execute("update rowqueue.jobs set run_after = now() where status = 'pending'")


def keys(db: Db) -> list[str]:
    return [row.key for row in db.execute("select key from rowqueue_demo.records order by key")]


def test_a_sync_returns_what_it_found(db: Db, sync: Sync) -> None:
    job_id = enqueue_sync(db, sync)

    worker.run(burst=True)

    done = job(db, job_id)
    error = "row 5: 3 fields below 2 headings"
    assert done.result == {
        "results": [{"connectorType": "csv", "records": 9, "errors": 1}],
        "totalRecords": 9,
        "errors": [error],
    }
    assert done.progress == {
        "current": 10,
        "total": 10,
        "message": "Processing rows (page 10 of 10)…",
    }


def test_an_attempt_goes_on_where_the_last_one_stopped(db: Db, sync: Sync) -> None:
    faults.add(db, Fault(sync.id, 6, "hang_up"))
    job_id = enqueue_sync(db, sync)

    worker.run(burst=True)

    failed = job(db, job_id)
    assert failed.status == "pending"
    assert failed.last_error == "ConnectionResetError: the source hung up on page 6"
    assert store.get_sync(db, sync.id).pages_done == 5
    assert store.count_records(db, sync.workspace_id) == 4

    stamps = db.execute("select key, synced_at from rowqueue_demo.records order by key").fetchall()
    make_due(db)
    worker.run(burst=True)

    done = job(db, job_id)
    assert (done.status, done.attempts) == ("completed", 2)
    assert done.result["totalRecords"] == 9
    assert done.result["errors"] == ["row 5: 3 fields below 2 headings"]
    query = "select key, synced_at from rowqueue_demo.records order by key"
    assert set(stamps) < set(db.execute(query)), "what was stored is not fetched again"


def test_an_initial_sync_forgets_what_the_source_has_no_more(db: Db, sync: Sync) -> None:
    old = Sync(uuid4(), sync.workspace_id, pages_done=0)
    store.add_sync(db, old)
    store.save_page(db, old, Page(1, [Record("1", {"old": 1}), Record("gone", {})], []))

    enqueue_sync(db, sync, mode="initial")
    worker.run(burst=True)

    assert "gone" not in keys(db)
    assert len(keys(db)) == 9


def test_an_incremental_sync_leaves_what_it_does_not_see(db: Db, sync: Sync) -> None:
    old = Sync(uuid4(), sync.workspace_id, pages_done=0)
    store.add_sync(db, old)
    store.save_page(db, old, Page(1, [Record("1", {"old": 1}), Record("gone", {})], []))

    job_id = enqueue_sync(db, sync, mode="incremental")
    worker.run(burst=True)

    assert "gone" in keys(db)
    assert job(db, job_id).result["totalRecords"] == 9


@pytest.mark.parametrize("payload", [{}, {"syncLogId": "x"}, {"syncLogId": str(uuid4())}])
def test_a_sync_that_is_not_there_fails_with_the_reason(db: Db, payload: dict[str, str]) -> None:
    job_id = enqueue(db, payload=payload, queue=QUEUE, max_attempts=1)

    worker.run(burst=True)

    assert job(db, job_id).status == "failed"


def test_storing_a_page_again_changes_nothing(db: Db, sync: Sync) -> None:
    page = Page(3, [Record("a", {"n": 1}), Record("b", {"n": 2})], ["one", "one", "two"])

    for _ in range(2):
        store.save_page(db, sync, page)

    assert keys(db) == ["a", "b"]
    assert store.list_errors(db, sync) == ["one", "one", "two"]
    assert store.get_sync(db, sync.id).pages_done == 3


def test_an_attempt_that_comes_late_does_not_set_a_sync_back(db: Db, sync: Sync) -> None:
    store.save_page(db, sync, Page(5, [], []))
    store.save_page(db, sync, Page(2, [], []))

    assert store.get_sync(db, sync.id).pages_done == 5


def test_records_that_cannot_be_stored_are_reported_and_spoil_no_other(db: Db, sync: Sync) -> None:
    unstorable = [
        Record("null", {"text": "\0"}),
        Record("half", {"text": "\ud800"}),
        Record("nan", {"n": float("nan")}),
        Record("k\0", {}),
        Record("\udcff", {}),
        Record("".join(chr(0x4E00 + n) for n in range(9000)), {}),
    ]

    store.save_page(db, sync, Page(1, [Record("good", {}), *unstorable, Record("too", {})], []))

    assert keys(db) == ["good", "too"]
    assert len(store.list_errors(db, sync)) == len(unstorable)
    assert store.list_errors(db, sync)[0] == "null: unsupported Unicode escape sequence"


def test_a_fault_happens_once(db: Db, sync: Sync) -> None:
    faults.add(db, Fault(sync.id, 2, "hang_up"))

    faults.spring(db, sync, 1)
    assert faults.sprung(db) == []
    with pytest.raises(ConnectionResetError, match="page 2"):
        faults.spring(db, sync, 2)
    faults.spring(db, sync, 2)

    assert faults.sprung(db) == [Fault(sync.id, 2, "hang_up", os.getpid())]


def test_a_plan_enqueues_jobs_whose_payload_the_seed_would_know(db: Db, source: str) -> None:
    plan = make_plan(source, 3)

    jobs = carry_out(db, plan)

    assert plan.pages == 10
    assert len({planned.workspace.name for planned in jobs}) == 3
    for planned in jobs:
        row = Queue(db).get_job(planned.job_id)
        assert row is not None
        assert row.workspace_id == planned.workspace.id
        assert row.payload == {
            "connectorType": "csv",
            "mode": "initial",
            "syncLogId": str(planned.sync.id),
        }
    laid = db.execute("select sync_id, kind from rowqueue_demo.faults").fetchall()
    assert {fault.kind for fault in laid} == {"hang_up", "kill"}
    assert len({fault.sync_id for fault in laid}) == 2


# export


@pytest.fixture
def stored(db: Db, sync: Sync) -> list[dict[str, Any]]:
    """Records of all shapes, as they ought to come out again."""
    records = [
        Record("a", {"name": "Zoë", "tags": ["x", "y"]}),
        Record("b", {"name": 'two\n"lines"', "n": 1.5, "yes": True, "none": None}),
    ]
    store.save_page(db, sync, Page(1, records, []))
    return [{"key": record.key, **record.data} for record in records]


def export(db: Db, sync: Sync, format: str) -> Any:
    job_id = enqueue(
        db,
        "export",
        payload={"format": format},
        workspace_id=sync.workspace_id,
        queue=QUEUE,
        max_attempts=1,
    )
    worker.run(burst=True)
    return job(db, job_id)


def test_records_are_exported_as_json_lines(
    db: Db, sync: Sync, stored: list[dict[str, Any]], tmp_path: Path
) -> None:
    done = export(db, sync, "jsonl")

    file = tmp_path / "aurora.jsonl"
    assert done.result == {"exportUrl": file.as_uri(), "records": 2}
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == stored
    assert done.progress["message"] == "Exporting records (2 of 2)…"


def test_records_are_exported_as_csv(
    db: Db, sync: Sync, stored: list[dict[str, Any]], tmp_path: Path
) -> None:
    export(db, sync, "csv")

    with (tmp_path / "aurora.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {"key": "a", "n": "", "name": "Zoë", "none": "", "tags": '["x", "y"]', "yes": ""},
            {"key": "b", "n": "1.5", "name": 'two\n"lines"', "none": "", "tags": "", "yes": "true"},
        ]


def test_a_format_that_there_is_not_fails_the_export(db: Db, sync: Sync) -> None:
    assert "format must be one of csv, jsonl" in export(db, sync, "xls").error


def test_a_file_appears_once_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl"
    file.write_text("old")

    with suppress(LookupError), new_file(file, "jsonl", []) as write:
        write(Record("a", {}))
        raise LookupError

    assert file.read_text() == "old"
