"""``rowqueue bench``: what a database can do, and what holds it back."""

from __future__ import annotations

import logging

import click

from rowqueue.cli.app import Failure
from rowqueue.cli.options import conninfo, dsn_option, examples, given_dsn, json_option
from rowqueue.cli.output import console, print_json


@click.command(
    epilog=examples(
        "rowqueue bench",
        "rowqueue bench --dsn postgresql://worker@db.example.com/app",
        "rowqueue bench --json | jq '.findings[] | select(.level != \"ok\")'",
    )
)
@click.option(
    "--jobs",
    type=click.IntRange(1000, 1_000_000),
    default=20_000,
    show_default=True,
    help="Jobs of one drain, at most; a slow database gets fewer.",
)
@click.option(
    "--seconds",
    type=click.IntRange(1, 600),
    default=30,
    show_default=True,
    help="How long to measure, about.",
)
@dsn_option
@json_option
def bench(jobs: int, seconds: int, as_json: bool) -> None:
    """Measure a database for half a minute, and say which settings hurt.

    It works in a queue of its own, with no more rights than a worker has, and removes what it
    made if the user may. The database is made for it and goes with it, unless --dsn,
    $ROWQUEUE_DSN or $DATABASE_URL names one.
    """
    from rowqueue.benchmark import BenchmarkError, print_summary, run_benchmark

    # An interrupt may catch a session in the middle of a query, which psycopg would warn of.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    dsn, out = conninfo() if given_dsn() else None, console()
    try:
        report = run_benchmark(dsn, jobs, seconds, out, silent=as_json)
    except BenchmarkError as error:
        raise Failure(str(error)) from None
    if as_json:
        print_json(report.as_dict())
    else:
        print_summary(out, report)
    if not report.ok:
        raise Failure(f"{report.lost} jobs lost, {report.repeated} run once too often")
