"""Every block in the README and in docs/ runs, and prints what the document shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from docs.markdown import DOCUMENTS, ROOT, blocks
from docs.reader import Reader

LANGUAGES = {"sql", "python", "sh", "console", "json", "text", "crontab", "ini", "conf"}
WITH_BLOCKS = [document for document in DOCUMENTS if blocks(document)]
INSTALLING = ROOT / "docs" / "operations.md"

# Each block that is not run here has its reason in the document; a new one belongs into this list.
NOT_RUN = [
    ("README.md", "installs from the network; .ci/run does it"),
    ("README.md", "installs from the network; .ci/run does it"),
    ("cli.md", "ends only when it is stopped; tests/python/cli/test_database.py runs it"),
    ("operations.md", "needs pg_cron; test_schedules.py runs what it schedules"),
    ("performance.md", "it takes minutes, and installs other queues; tests/bench runs short forms"),
]


def name(document: Path) -> str:
    """Returns what a document is called in the list of tests."""
    return str(document.relative_to(ROOT))


@pytest.fixture
def database(document: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The DSN of the reader's database: an empty one where the document installs the schema."""
    dsn: str = request.getfixturevalue("empty_dsn" if document == INSTALLING else "dsn")
    yield dsn
    with psycopg.connect(dsn, autocommit=True) as session:
        clear_up(session)


def clear_up(session: psycopg.Connection) -> None:
    """Drops the databases and roles that a reader made."""
    for kind, catalogue, column in (
        ("database", "pg_database", "datname"),
        ("role", "pg_roles", "rolname"),
    ):
        made = sql.SQL("select {0} from {1} where starts_with({0}, current_database() || '_')")
        names = made.format(sql.Identifier(column), sql.Identifier(catalogue))
        for (name,) in session.execute(names).fetchall():
            session.execute(sql.SQL("drop {} {}").format(sql.SQL(kind), sql.Identifier(name)))


@pytest.mark.parametrize("document", WITH_BLOCKS, ids=name)
def test_a_reader_gets_what_the_document_shows(
    document: Path, database: str, tmp_path: Path
) -> None:
    with Reader(database, tmp_path) as reader:
        for block in blocks(document):
            try:
                reader.follow(block)
            except AssertionError as error:
                error.add_note(f"in {block}:\n{block.text}")
                raise


@pytest.mark.parametrize("document", WITH_BLOCKS, ids=name)
def test_each_block_is_of_a_language_that_is_run_here(document: Path) -> None:
    assert {block.language for block in blocks(document)} <= LANGUAGES


def test_hardly_any_block_is_not_run() -> None:
    assert [
        (document.name, block.not_run_because)
        for document in WITH_BLOCKS
        for block in blocks(document)
        if block.not_run_because
    ] == NOT_RUN
