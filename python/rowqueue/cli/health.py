"""``rowqueue health``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from rowqueue.cli.app import Failure
from rowqueue.cli.options import dsn_option, examples, json_option, open_queue
from rowqueue.cli.output import as_dict, print_json, print_table
from rowqueue.jobs import QueueHealth


@click.command(
    epilog=examples(
        'rowqueue health || mail -s "job queue" ops@example.com < /dev/null',
        "rowqueue health --max-due 10000 --json | jq .alerts",
    )
)
@click.option(
    "--max-due",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Jobs that may be due and wait.",
)
@click.option(
    "--max-failure-rate",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="Share of the jobs that ended in the last hour which may have failed.",
)
@dsn_option
@json_option
def health(max_due: int, max_failure_rate: float, as_json: bool) -> None:
    """Show how each queue is; exit with 1 if one is not healthy.

    A queue is not healthy when jobs are stuck (their lease or timeout ran out), when too many
    failed in the last hour, or when too many are due and wait.
    """
    with open_queue() as queue:
        queues = queue.health()
    alerts = [alert for each in queues for alert in _alerts(each, max_due, max_failure_rate)]
    if as_json:
        print_json(
            {"healthy": not alerts, "alerts": alerts, "queues": [as_dict(each) for each in queues]}
        )
    else:
        print_table(
            (
                "QUEUE",
                "PENDING",
                "DUE",
                "RUNNING",
                "STUCK",
                "FAILED 1H",
                "FAILURE RATE",
                "OLDEST DUE",
            ),
            (
                (
                    each.queue,
                    each.pending,
                    each.due,
                    each.running,
                    each.stuck,
                    each.failed_last_hour,
                    _percent(each),
                    each.oldest_due_age,
                )
                for each in queues
            ),
        )
    if alerts:
        raise Failure(f"not healthy: {'; '.join(alerts)}")


def _alerts(health: QueueHealth, max_due: int, max_failure_rate: float) -> Iterator[str]:
    if health.stuck:
        yield f"{health.stuck} stuck in queue {health.queue}"
    if (health.failure_rate_last_hour or 0) > max_failure_rate:
        yield f"{_percent(health)} failed in the last hour in queue {health.queue}"
    if health.due > max_due:
        yield f"{health.due} due in queue {health.queue}"


def _percent(health: QueueHealth) -> str | None:
    rate = health.failure_rate_last_hour
    return None if rate is None else f"{rate:.0%}"
