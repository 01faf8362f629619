"""``rowqueue migrate``, ``sql``, ``tick`` and ``dev``: what concerns the database."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from rowqueue.cli.options import conninfo, dsn_option, examples, json_option, open_queue
from rowqueue.cli.output import print_json


@click.command(epilog=examples("rowqueue migrate --dsn postgresql://owner@db.example.com/app"))
@dsn_option
@json_option
def migrate(as_json: bool) -> None:
    """Install the schema, or bring it to the newest version.

    Any number may run at once, and one that is killed can be run again.
    """
    from rowqueue.migrate import migrate as apply_migrations

    applied = apply_migrations(conninfo())
    if as_json:
        print_json({"applied": applied})
    else:
        click.echo("\n".join(f"applied {name}" for name in applied) or "nothing to do")


@click.command(epilog=examples("rowqueue sql | psql -1 -v ON_ERROR_STOP=1 app"))
@json_option
def sql(as_json: bool) -> None:
    """Print the schema as plain SQL, which psql alone can install."""
    from rowqueue.schema import render

    if as_json:
        print_json({"sql": render()})
    else:
        click.echo(render(), nl=False)


@click.command(
    epilog=examples("rowqueue tick --json", "* * * * * rowqueue tick     (a line of a crontab)")
)
@dsn_option
@json_option
def tick(as_json: bool) -> None:
    """Do everything periodic that is due, and print what was done.

    Workers do this by themselves. Without one, let cron do it.
    """
    with open_queue() as queue:
        done = queue.tick()
    if as_json:
        print_json(done)
    else:
        click.echo("\n".join(f"{name} {count}" for name, count in done.items()))


@click.command(
    epilog=examples(
        "rowqueue dev --port 54329",
        "export ROWQUEUE_DSN=…      (in another terminal, with the DSN printed)",
        "rowqueue enqueue sync",
    )
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder in which the database is kept; one of your own if left out.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="A fixed port; a free one if left out.")
@json_option
def dev(data: Path | None, port: int | None, as_json: bool) -> None:
    """Run a PostgreSQL server for development until Ctrl-C.

    It has the schema, and what is in it is there again next time. Its DSN is printed.
    """
    from rowqueue.embedded import EmbeddedPostgres, dev_folder
    from rowqueue.migrate import migrate as apply_migrations

    stop = threading.Event()
    with EmbeddedPostgres(data or dev_folder(), port=port) as server:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        apply_migrations(server.dsn)
        if as_json:
            print_json({"dsn": server.dsn, "data": str(server.folder)})
        else:
            click.echo(server.dsn)
            click.echo(f"The data is in {server.folder}. Ctrl-C stops the server.", err=True)
        stop.wait()
