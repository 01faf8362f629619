"""``rowqueue worker`` and ``rowqueue demo``: what runs jobs."""

from __future__ import annotations

import click

from rowqueue.cli.options import dsn_option, examples, given_dsn, json_option


@click.command(
    epilog=examples(
        "rowqueue worker myapp.jobs:worker --processes 4",
        "",
        "with myapp/jobs.py:",
        "    from rowqueue import Job, Worker",
        "    worker = Worker()",
        "",
        '    @worker.handler("sync")',
        "    def sync(job: Job) -> dict[str, object]:",
        '        job.report_progress(1, 2, "half done")',
        '        return {"totalRecords": 2}',
    )
)
@click.argument("target", metavar="MODULE:WORKER")
@click.option("--burst", is_flag=True, help="Return once nothing is due.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many worker processes; one that dies is started again.",
)
@dsn_option
def worker(target: str, burst: bool, processes: int) -> int:
    """Run the handlers of a worker.

    MODULE:WORKER says where it is: myapp.jobs:worker is the object worker in myapp/jobs.py.
    SIGTERM or Ctrl-C finishes what has begun and gives back the rest; a second one stops at once.
    """
    from rowqueue.worker import supervise

    return supervise(target, processes, burst, given_dsn())


@click.command(
    epilog=examples(
        "rowqueue demo",
        "rowqueue demo --source csv:customers.csv --workspaces 5",
        "rowqueue demo --keep",
    )
)
@click.option(
    "--source",
    default="stdlib",
    show_default=True,
    help="What to sync: stdlib (the modules of this Python), csv:PATH, or http:URL.",
)
@click.option("--workspaces", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--keep", is_flag=True, help="Leave the database there at the end.")
@dsn_option
@json_option
def demo(source: str, workspaces: int, workers: int, keep: bool, as_json: bool) -> int:
    """Watch the queue at work, on a database of its own.

    Real jobs with live progress; a worker is killed, and its job rescued. The database is made
    for it and goes with it, unless --dsn, $ROWQUEUE_DSN or $DATABASE_URL names one.
    """
    from rowqueue.demo import run_demo

    return run_demo(given_dsn(), source, workspaces, workers, keep, as_json)
