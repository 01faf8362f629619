"""squawk: what in a migration locks, breaks clients, or cannot be run again."""

from __future__ import annotations

import json
from collections.abc import Iterator

from analysis.findings import Finding
from analysis.toolbox import Toolbox
from rowqueue import schema


def findings(tools: Toolbox) -> Iterator[Finding]:
    """Yields them, each with its migration's number."""
    files = sorted(schema.migrations_folder().glob("*.sql"))
    answer = tools.run("squawk", ["--pg-version", "15", "--reporter", "json", *files])
    if answer.stderr or not answer.stdout:
        raise RuntimeError(f"squawk did not finish:\n{answer.stdout}{answer.stderr}")
    for found in json.loads(answer.stdout):
        number = found["file"].rsplit("/", 1)[-1].split(".")[0]
        yield Finding(number, f"{found['rule_name']}, line {found['line'] + 1}")
