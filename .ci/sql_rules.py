"""Checks the layout of ``sql/``: what a reader relies on, and pg_proc can't tell.

- ``install.sql`` includes every file once, folder after folder.
- A file ends in one newline, without tabs and trailing blanks, and fits two screens unless its
  first lines give a reason, beginning with "Long:".
- Each function stands with its ``revoke`` from PUBLIC in the same file; a public one has its
  comment there too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rowqueue import schema

TWO_SCREENS = 150
_ROUTINE = re.compile(r"^create (?:or replace )?(function|procedure) rowqueue\.(\w+)", re.MULTILINE)


def main() -> int:
    """Prints every breach; returns 1 if there was one."""
    folder = schema.sql_folder()
    files = schema.source_files()
    wrong = list(wrong_in_map(folder, files))
    for file in files:
        name = file.relative_to(folder.parent)
        wrong += [f"{name}: {what}" for what in wrong_in_file(file.read_text(encoding="utf-8"))]
    print("\n".join(wrong or [f"{len(files)} files of sql/, laid out as they should be"]))
    return 1 if wrong else 0


def wrong_in_map(folder: Path, files: list[Path]) -> Iterator[str]:
    """Yields what is wrong with the order of ``install.sql``."""
    for file in sorted(set(folder.glob("*/*.sql")) ^ set(files)):
        yield f"{file.relative_to(folder.parent)}: install.sql and the folder disagree about it"
    if len(set(files)) < len(files):
        yield "install.sql: includes a file twice"
    stages = [file.parent.name for file in files]
    if stages != sorted(stages):
        yield "install.sql: the folders are not in their order"


def wrong_in_file(text: str) -> Iterator[str]:
    """Yields what is wrong with one file."""
    if "\t" in text or re.search(r" $", text, re.MULTILINE):
        yield "has a tab or a trailing blank"
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield "does not end in one newline"
    lines = text.splitlines()
    if len(lines) > TWO_SCREENS and not any("Long:" in line for line in lines[:10]):
        yield f"has {len(lines)} lines, and no reason for it"
    for kind, name in _ROUTINE.findall(text):
        if not re.search(rf"^revoke all on {kind} rowqueue\.{name}\b", text, re.MULTILINE):
            yield f"does not revoke {name} from public"
        if not name.startswith("_") and f"comment on {kind} rowqueue.{name} is" not in text:
            yield f"has no comment on {name}"


if __name__ == "__main__":
    sys.exit(main())
