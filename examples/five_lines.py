"""A job type in five lines of Python.

Run it here with: rowqueue worker five_lines:worker
"""

import hashlib
from pathlib import Path

from rowqueue import Job, Worker

worker = Worker(queues=["files"])


@worker.handler("digest")
def digest(job: Job) -> dict[str, object]:
    with Path(job.payload["path"]).open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": file.tell()}
