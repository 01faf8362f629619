"""``rowqueue enqueue``."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

import click

from rowqueue.cli.options import dsn_option, examples, json_option, open_queue
from rowqueue.cli.output import print_json
from rowqueue.jsontext import JsonText


def _payload(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> JsonText | None:
    """Checks that it is JSON, and leaves it as it was written."""
    if value is None:
        return None
    if value == "-":
        value = sys.stdin.read()
    try:
        json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"not JSON: {error}.", context, parameter) from None
    return JsonText(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _instant(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no date and time.", context, parameter) from None
    if moment.tzinfo is None:
        raise click.BadParameter(f"{value} has no time zone; add Z or +02:00.", context, parameter)
    return moment


@click.command(
    epilog=examples(
        'rowqueue enqueue sync --payload \'{"connectorType": "hubspot"}\'',
        "rowqueue enqueue sync --unique-key nightly --priority 5",
        "rowqueue enqueue export --run-after \"$(date -Is -d 'tomorrow 06:00')\"",
        'rowqueue jobs watch "$(rowqueue enqueue sync)"',
    )
)
@click.argument("job_type", metavar="JOB_TYPE")
@click.option(
    "--payload",
    metavar="JSON",
    callback=_payload,
    help="What to do it with: a JSON object; - reads it from stdin.",
)
@click.option("--workspace-id", type=click.UUID, help="The workspace that the job belongs to.")
@click.option("--priority", type=int, help="Higher runs first; 0 if left out.")
@click.option(
    "--run-after",
    metavar="INSTANT",
    callback=_instant,
    help="Not before this instant, such as 2030-01-31T09:00:00Z; now if left out.",
)
@click.option("--max-attempts", type=int, help="Attempts in all; 3 if left out.")
@click.option(
    "--timeout-ms", type=int, help="Milliseconds that one attempt may take; 600000 if left out."
)
@click.option("--unique-key", help="At most one live job of a workspace and job type has this key.")
@click.option("--queue", help="The queue to wait in; default if left out.")
@dsn_option
@json_option
def enqueue(
    job_type: str,
    payload: Any,
    workspace_id: UUID | None,
    priority: int | None,
    run_after: datetime | None,
    max_attempts: int | None,
    timeout_ms: int | None,
    unique_key: str | None,
    queue: str | None,
    as_json: bool,
) -> None:
    """Put a job into the queue and print its id.

    JOB_TYPE picks the handler: sync, export, …
    """
    with open_queue() as opened:
        job_id = opened.enqueue(
            job_type,
            payload=payload,
            workspace_id=workspace_id,
            priority=priority,
            run_after=run_after,
            max_attempts=max_attempts,
            timeout_ms=timeout_ms,
            unique_key=unique_key,
            queue=queue,
        )
    if as_json:
        print_json({"id": job_id})
    else:
        click.echo(job_id)
