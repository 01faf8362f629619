"""Writes a migration from what changed in ``sql/``, or lands the newest one.

    python .ci/freeze.py add_tags     # migrations/0002.add_tags.sql
    python .ci/freeze.py --land       # its digest into migrations/DIGESTS

A migration that has not landed is written anew, under its number; what was written into it by
hand is kept.
"""

from __future__ import annotations

import argparse
import sys

from frozen import COPIES, Frozen, digests_file, landed, migrations, newest_copies, sources

from rowqueue import schema

_ALWAYS = {"sql/8_doctor/recorded.sql"}
"""What every migration ends with, changed or not."""


def freeze(name: str) -> Frozen:
    """Writes ``migrations/NNNN.name.sql`` and returns it."""
    before = migrations()
    unlanded = before.pop() if before and before[-1].path.name not in landed() else None
    number = before[-1].number + 1 if before else 1
    depends = f" {before[-1].name}" if before else ""
    frozen_before = newest_copies(before)
    changed = {
        path: text
        for path, text in sources().items()
        if frozen_before.get(path) != text or path in _ALWAYS
    }
    above = unlanded.by_hand() if unlanded else _above(depends, first=not before)
    copies = [f"\n-- {path}\n{text}\n" for path, text in changed.items()]
    migration = Frozen(schema.migrations_folder() / f"{number:04}.{name}.sql")
    if unlanded:
        unlanded.path.unlink()
    migration.path.parent.mkdir(exist_ok=True)
    migration.path.write_text("".join([above, COPIES, "\n", *copies]), encoding="utf-8")
    return migration


def _above(depends: str, *, first: bool) -> str:
    lines = [f"-- depends:{depends}"]
    if not first:
        lines += [
            "--",
            "-- By hand, below: what turns the tables as they were into those of sql/. It must",
            "-- survive being run again, and must not hold a long lock on a big table.",
            "set local lock_timeout = '5s';",
        ]
    return "\n".join([*lines, "", ""])


def land() -> list[Frozen]:
    """Adds the migrations that are missing there to the digests, and returns them."""
    done = landed()
    new = [migration for migration in migrations() if migration.path.name not in done]
    with digests_file().open("a", encoding="utf-8") as digests:
        digests.writelines(f"{one.digest()}  {one.path.name}\n" for one in new)
    return new


def main() -> int:
    """Does what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("name", nargs="?", help="what the migration does: add_tags")
    parser.add_argument("--land", action="store_true", help="make the newest migration final")
    options = parser.parse_args()
    if options.land == bool(options.name):
        parser.error("say either a name or --land")
    done = land() if options.land else [freeze(options.name)]
    for migration in done:
        print(migration.path, f"({len(migration.copies())} files of sql/)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
