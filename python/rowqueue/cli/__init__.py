"""The command ``rowqueue``.

Exit codes: 0 done, 1 not healthy or the job failed, 2 usage, 3 database out of reach; each but 0
with one line on stderr.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import click

from rowqueue.cli.app import App
from rowqueue.cli.bench import bench
from rowqueue.cli.database import dev, migrate, sql, tick
from rowqueue.cli.doctor import doctor
from rowqueue.cli.enqueue import enqueue
from rowqueue.cli.health import health
from rowqueue.cli.jobs import jobs
from rowqueue.cli.options import dsn_option, examples
from rowqueue.cli.run import demo, worker

__all__ = ["main"]


def _print_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        try:
            click.echo(f"rowqueue {version('rowqueue')}")
        except PackageNotFoundError:
            click.echo("rowqueue, from a source tree that is not installed")
        context.exit()


@click.group(
    "rowqueue",
    cls=App,
    invoke_without_command=True,
    subcommand_metavar="COMMAND …",
    epilog=examples(
        "rowqueue demo",
        "",
        "export ROWQUEUE_DSN=postgresql://user@host/db",
        "rowqueue migrate",
        """rowqueue enqueue sync --payload '{"mode": "initial"}'""",
        "rowqueue worker myapp.jobs:worker",
        "rowqueue jobs list",
    ),
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
@dsn_option
@click.pass_context
def main(context: click.Context) -> None:
    """A job queue in PostgreSQL.

    To see it work, with nothing installed but this: rowqueue demo. Each command explains itself
    with --help.

    Exit codes: 0 done, 1 not healthy or the job failed, 2 usage, 3 database out of reach.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (demo, dev, migrate, worker, enqueue, jobs, health, doctor, tick, bench, sql):
    main.add_command(command)
