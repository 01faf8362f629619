"""Migrations are frozen copies of `sql/`: the checks of the tree, and the freeze command."""

from __future__ import annotations

from pathlib import Path

import freeze
import psycopg
import pytest
from check_migrations import changed_after_landing, differences, stale_copies
from frozen import Frozen, digests_file, migrations

from rowqueue import schema
from rowqueue.embedded import Binaries
from rowqueue.migrate import migrate


class Tree:
    """A small checkout: `sql/` with an install.sql, and no migrations yet."""

    def __init__(self, top: Path) -> None:
        self.sql = top / "sql"
        self.migrations = top / "migrations"
        self.write("0_base/schema.sql", "create schema if not exists rowqueue;\n")
        self.write("1_tables/jobs.sql", "create table if not exists rowqueue.jobs (id int);\n")

    def write(self, name: str, text: str) -> None:
        file = self.sql / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        names = sorted(path.relative_to(self.sql) for path in self.sql.glob("*/*.sql"))
        (self.sql / "install.sql").write_text("".join(f"\\ir {name}\n" for name in names))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.migrations.iterdir())


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    tree = Tree(tmp_path)
    monkeypatch.setattr(schema, "sql_folder", lambda: tree.sql)
    monkeypatch.setattr(schema, "migrations_folder", lambda: tree.migrations)
    return tree


def test_no_landed_migration_was_changed() -> None:
    assert list(changed_after_landing()) == []


def test_each_file_of_sql_equals_its_newest_copy() -> None:
    assert list(stale_copies()) == []


def test_migrating_leads_to_the_same_database_as_installing(
    dsn: str, empty_dsn: str, binaries: Binaries
) -> None:
    migrate(empty_dsn)
    assert list(differences(binaries / "pg_dump", dsn, empty_dsn)) == []


def test_a_difference_between_migrating_and_installing_is_seen(
    dsn: str, empty_dsn: str, binaries: Binaries
) -> None:
    migrate(empty_dsn)
    with psycopg.connect(empty_dsn) as session:
        session.execute("grant execute on function rowqueue.tick to public")
    seen = list(differences(binaries / "pg_dump", dsn, empty_dsn))
    assert "-REVOKE ALL ON FUNCTION rowqueue.tick() FROM PUBLIC;" in seen


def test_the_first_migration_holds_all_files_in_the_order_of_the_map(tree: Tree) -> None:
    first = freeze.freeze("initial")
    assert first.path.name == "0001.initial.sql"
    assert first.path.read_text().startswith("-- depends:\n")
    assert list(first.copies().items()) == [
        ("sql/0_base/schema.sql", "create schema if not exists rowqueue;"),
        ("sql/1_tables/jobs.sql", "create table if not exists rowqueue.jobs (id int);"),
    ]
    assert list(stale_copies()) == []


def test_the_next_migration_depends_on_it_and_holds_what_changed(tree: Tree) -> None:
    freeze.freeze("initial")
    freeze.land()
    tree.write(
        "1_tables/jobs.sql", "create table if not exists rowqueue.jobs (id int, tag text);\n"
    )
    tree.write("2_enqueue/enqueue.sql", "select 'a new file';\n")
    assert list(stale_copies()) == [
        "sql/1_tables/jobs.sql is not what the migrations hold: run `make freeze NAME=…`",
        "sql/2_enqueue/enqueue.sql is not what the migrations hold: run `make freeze NAME=…`",
    ]
    second = freeze.freeze("add_tags")
    assert tree.names() == ["0001.initial.sql", "0002.add_tags.sql", "DIGESTS"]
    assert second.path.read_text().startswith("-- depends: 0001.initial\n")
    assert list(second.copies()) == ["sql/1_tables/jobs.sql", "sql/2_enqueue/enqueue.sql"]
    assert list(stale_copies()) == []


def test_a_migration_that_has_not_landed_is_frozen_anew_with_what_was_written_by_hand(
    tree: Tree,
) -> None:
    freeze.freeze("initial")
    freeze.land()
    tree.write("1_tables/jobs.sql", "-- first thought\n")
    draft = freeze.freeze("add_tags")
    by_hand = draft.by_hand() + "alter table rowqueue.jobs add column if not exists tag text;\n\n"
    draft.path.write_text(draft.path.read_text().replace(draft.by_hand(), by_hand))

    tree.write("1_tables/jobs.sql", "-- second thought\n")
    final = freeze.freeze("tags")
    assert tree.names() == ["0001.initial.sql", "0002.tags.sql", "DIGESTS"]
    assert final.by_hand() == by_hand
    assert final.copies() == {"sql/1_tables/jobs.sql": "-- second thought"}


def test_a_landed_migration_that_is_changed_or_removed_is_seen(tree: Tree) -> None:
    first = freeze.freeze("initial")
    freeze.land()
    assert list(changed_after_landing()) == []
    with first.path.open("a") as file:
        file.write("-- a correction\n")
    assert list(changed_after_landing()) == [
        "migrations/0001.initial.sql landed, and was changed since"
    ]
    first.path.unlink()
    assert list(changed_after_landing()) == ["migrations/0001.initial.sql landed, and is gone"]


def test_only_the_newest_migration_may_be_unlanded(tree: Tree) -> None:
    freeze.freeze("initial")
    Frozen(tree.migrations / "0002.second.sql").path.write_text("-- depends: 0001.initial\n")
    assert list(changed_after_landing()) == [
        "migrations/0001.initial.sql has not landed, though it is not the newest"
    ]


def test_landing_twice_adds_nothing(tree: Tree) -> None:
    freeze.freeze("initial")
    assert [one.name for one in freeze.land()] == ["0001.initial"]
    digests = digests_file().read_text()
    assert freeze.land() == []
    assert digests_file().read_text() == digests
    assert len(migrations()) == 1
