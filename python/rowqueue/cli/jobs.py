"""``rowqueue jobs``: list, show, watch, cancel and retry."""

from __future__ import annotations

from uuid import UUID

import click

from rowqueue.cli.app import Failure
from rowqueue.cli.options import dsn_option, examples, job_argument, json_option, open_queue
from rowqueue.cli.output import as_dict, print_json, print_table, readable
from rowqueue.cli.watch import brief, follow
from rowqueue.client import Queue
from rowqueue.jobs import JobRow
from rowqueue.text import clean

STATUSES = ("pending", "running", "completed", "failed", "cancelled")


@click.group(no_args_is_help=False)
def jobs() -> None:
    """Look at jobs, follow one, cancel one, or run one again."""


def found(queue: Queue, job_id: UUID) -> JobRow:
    """Returns a job, or ends the command."""
    job = queue.get_job(job_id)
    if job is None:
        raise Failure(f"no job has the id {job_id}")
    return job


@jobs.command(
    "list",
    epilog=examples(
        "rowqueue jobs list --status failed", "rowqueue jobs list --limit 100 --json | jq '.[].id'"
    ),
)
@click.option("--workspace-id", type=click.UUID, help="Only those of this workspace.")
@click.option("--status", type=click.Choice(STATUSES), help="Only those in this state.")
@click.option("--job-type", metavar="JOB_TYPE", help="Only those of this type.")
@click.option("--limit", type=click.IntRange(1, 1000), help="How many at most; 20 if left out.")
@click.option("--before", type=click.UUID, help="Only those older than this job: the next page.")
@dsn_option
@json_option
def list_jobs(
    workspace_id: UUID | None,
    status: str | None,
    job_type: str | None,
    limit: int | None,
    before: UUID | None,
    as_json: bool,
) -> None:
    """List the latest jobs, newest first."""
    with open_queue() as queue:
        rows = queue.list_jobs(
            workspace_id, status=status, job_type=job_type, max_jobs=limit, before=before
        )
    if as_json:
        print_json([as_dict(job) for job in rows])
    else:
        print_table(
            ("ID", "TYPE", "STATUS", "ATTEMPTS", "CREATED", "NOTE"),
            (
                (
                    job.id,
                    job.job_type,
                    job.status,
                    f"{job.attempts}/{job.max_attempts}",
                    job.created_at,
                    brief(job),
                )
                for job in rows
            ),
        )


@jobs.command(
    epilog=examples("rowqueue jobs show 01890000-0000-7000-8000-000000000001 --json | jq .result")
)
@job_argument
@dsn_option
@json_option
def show(job_id: UUID, as_json: bool) -> None:
    """Show all that is known about a job."""
    with open_queue() as queue:
        job = found(queue, job_id)
    if as_json:
        print_json(as_dict(job))
    else:
        for field in job.__dataclass_fields__:
            value = getattr(job, field)
            if value is not None:
                click.echo(f"{field.removesuffix('_json'):20} {clean(readable(value))}")


@jobs.command(
    epilog=examples(
        'rowqueue jobs watch "$(rowqueue enqueue sync)" && echo done',
        'rowqueue jobs watch "$id" --json | jq .progress.message',
    )
)
@job_argument
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    default=0.5,
    show_default=True,
    help="Seconds between two looks.",
)
@dsn_option
@json_option
def watch(job_id: UUID, interval: float, as_json: bool) -> None:
    """Follow a job until it ends.

    On a terminal there is a bar, elsewhere a line for each change. Exits with 0 when the job
    completed and with 1 when it failed or was cancelled.
    """
    with open_queue() as queue:
        job = follow(lambda: found(queue, job_id), interval, as_json)
    if job.status != "completed":
        raise Failure(f"job {job_id} {job.status}: {job.error or 'no reason given'}")


@jobs.command(
    epilog=examples(
        'rowqueue jobs cancel 01890000-0000-7000-8000-000000000001 --reason "wrong file"'
    )
)
@job_argument
@click.option("--reason", help="Why, for people to read.")
@dsn_option
@json_option
def cancel(job_id: UUID, reason: str | None, as_json: bool) -> None:
    """Cancel a job and print its status; one that runs is asked to stop.

    A job that goes on running for all that is cancelled by a second call.
    """
    with open_queue() as queue:
        status = queue.cancel(job_id, reason=reason)
    if as_json:
        print_json({"id": job_id, "status": status})
    else:
        click.echo("running: its worker is asked to stop" if status == "running" else status)


@jobs.command(
    epilog=examples(
        "rowqueue jobs list --status failed --json | jq -r '.[].id' | xargs -n1 rowqueue jobs retry"
    )
)
@job_argument
@dsn_option
@json_option
def retry(job_id: UUID, as_json: bool) -> None:
    """Run a failed or cancelled job again, with all its attempts."""
    with open_queue() as queue:
        queue.retry(job_id)
    if as_json:
        print_json({"id": job_id, "status": "pending"})
    else:
        click.echo("pending")
