"""``rowqueue doctor``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from rowqueue.cli.app import Failure
from rowqueue.cli.options import conninfo, dsn_option, examples, json_option
from rowqueue.cli.output import as_dict, print_json
from rowqueue.jobs import Finding
from rowqueue.text import clean


@click.command(
    epilog=examples(
        "rowqueue doctor --dsn postgresql://admin@db.example.com/app",
        "rowqueue doctor --json | jq -r '.findings[] | .remedy'",
    )
)
@dsn_option
@json_option
def doctor(as_json: bool) -> None:
    """Say what is wrong and what helps; exit with 1 for an error.

    Each finding comes with the reason why it matters and the SQL that helps. It changes nothing,
    and needs the role rowqueue_observer or rowqueue_admin.
    """
    from rowqueue.doctor import examine

    findings = examine(conninfo())
    errors = [finding.name for finding in findings if finding.severity == "error"]
    if as_json:
        print_json({"ok": not errors, "findings": [as_dict(finding) for finding in findings]})
    else:
        _print(findings)
    if errors:
        raise Failure(f"something is wrong: {', '.join(dict.fromkeys(errors))}")


def _print(findings: Sequence[Finding]) -> None:
    """Prints a paragraph for each; the remedy stands on a line of its own, to be copied."""
    if not findings:
        click.echo("nothing found")
    for finding in findings:
        click.echo(f"{finding.severity:<8} {finding.name}: {clean(finding.what)}")
        click.echo(f"{'':<8} {finding.why}")
        click.echo(f"{'':<8} {clean(finding.remedy)}\n")
