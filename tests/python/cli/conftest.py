"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import Result

from rowqueue import Queue
from support.command import Db, Run, invoke


@pytest.fixture
def run(dsn: str) -> Run:
    """Runs a command on the test's database."""

    def run_command(*args: str, dsn: str = dsn, **options: Any) -> Result:
        return invoke(*args, env={"ROWQUEUE_DSN": dsn}, **options)

    return run_command


@pytest.fixture
def queue(db: Db) -> Queue:
    return Queue(db)


@pytest.fixture
def handlers(tmp_path: Path) -> Path:
    """A folder with the module handlers, in which there is a worker."""
    (tmp_path / "handlers.py").write_text(
        "from rowqueue import Job, Worker\n"
        "worker = Worker()\n"
        "@worker.handler('sync')\n"
        "def sync(job: Job) -> object:\n"
        "    return job.payload\n"
    )
    return tmp_path


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the server's user can reach, also when the tests run as root."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
