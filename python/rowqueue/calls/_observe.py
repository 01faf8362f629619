"""Calls that look at jobs and queues."""

from uuid import UUID

from rowqueue.calls._arguments import given, optional
from rowqueue.calls._call import Call, row, rows, value
from rowqueue.jobs import Finding, JobRow, QueueHealth


def get_job(job_id: UUID | str) -> Call[JobRow | None]:
    """Looks a job up, in whatever state it is.

    Args:
        job_id: the job.

    Returns:
        The job, or None when there is no such job.

    SQL: rowqueue.get_job, changes no job
    """
    return row(JobRow, "rowqueue.get_job", given(job_id=job_id))


def list_jobs(
    workspace_id: UUID | str | None = None,
    *,
    status: str | None = None,
    job_type: str | None = None,
    max_jobs: int | None = None,
    before: UUID | str | None = None,
) -> Call[list[JobRow]]:
    """Lists jobs, newest first.

    Args:
        workspace_id: only those of this workspace.
        status: only those that are ``pending``, ``running``, ``completed``, ``failed`` or
            ``cancelled``.
        job_type: only those of this job type.
        max_jobs: how many at most, 1 to 1000 (default: 20).
        before: only those older than this job: the last one of the page before.

    Returns:
        The jobs.

    Raises:
        InvalidArgument: an argument is out of range.

    SQL: rowqueue.list_jobs, changes no job
    """
    return rows(
        JobRow,
        "rowqueue.list_jobs",
        optional(
            workspace_id=workspace_id,
            status=status,
            job_type=job_type,
            max_jobs=max_jobs,
            before=before,
        ),
    )


def health() -> Call[list[QueueHealth]]:
    """Tells the state of each queue.

    Returns:
        A row for each queue.

    SQL: rowqueue.health, changes no job
    """
    return rows(QueueHealth, "rowqueue.health", {})


def doctor() -> Call[list[Finding]]:
    """Tells what is wrong with the queue and its database.

    Returns:
        A row for each finding, errors first; none when all is well.

    SQL: rowqueue.doctor, changes no job
    """
    return rows(Finding, "rowqueue.doctor", {})


def version() -> Call[str]:
    """Tells the version of the schema in the database.

    Returns:
        The version.

    SQL: rowqueue.version, changes no job
    """
    return value(str, "rowqueue.version", {})
