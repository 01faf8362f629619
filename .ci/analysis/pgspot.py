"""pgspot: what in the schema depends on the search_path of whoever installs or calls it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from analysis.findings import Finding
from analysis.toolbox import Toolbox
from rowqueue import schema

_FOUND = re.compile(r"(PS\d+): (.*) at line (\d+)")
_UNREAD = re.compile(r' "(.*)" is not a known variable')
_ROUTINE = re.compile(r"create (?:or replace )?(?:function|procedure) rowqueue\.(\w+)")


def findings(tools: Toolbox) -> Iterator[Finding]:
    """Yields them, each with the function or else the file in which it is.

    It gives a file up at a function that it cannot read, so it reads all files twice: once with
    the bodies of functions, and once without.
    """
    folder = tools.folder / "pgspot"
    folder.mkdir(exist_ok=True)
    files = list(_copies(folder))
    yield from dict.fromkeys(
        finding
        for how in ("--plpgsql", "--no-plpgsql")
        for finding in _read(tools.run("pgspot", ["--append", how, *files]).stdout, files)
    )


def _copies(folder: Path) -> Iterator[Path]:
    """Writes the schema's files one by one, the map's own statements first."""
    install = (schema.sql_folder() / "install.sql").read_text(encoding="utf-8")
    own = "\n".join(line for line in install.splitlines() if not line.startswith("\\"))
    sources = [("install", own), *((f.stem, f.read_text("utf-8")) for f in schema.source_files())]
    for number, (name, text) in enumerate(sources):
        copy = folder / f"{number:03}.{name}.sql"
        copy.write_text(text, encoding="utf-8")
        yield copy


def _read(output: str, files: list[Path]) -> Iterator[Finding]:
    parts = re.split(r"^(/.*\.sql): $", output, flags=re.MULTILINE)
    if parts[1::2] != [str(file) for file in files]:
        raise RuntimeError(f"pgspot did not finish:\n{output}")
    for file, part in zip(files, parts[2::2], strict=True):
        text, name = file.read_text("utf-8"), file.name.split(".")[1]
        for line in part.splitlines():
            if found := _FOUND.match(line):
                # It counts the lines of statements, not of what is in them.
                near = "\n".join(text.splitlines()[int(found[3]) - 1 :][:8])
                routine = _ROUTINE.search(near)
                yield Finding(routine[1] if routine else name, f"{found[1]} {found[2]}")
            elif found := _UNREAD.match(line):
                yield Finding(name, f"gave up at {found[1]}")
