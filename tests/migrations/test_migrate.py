"""`rowqueue.migrate`: any number of runs, killed or not, lead to the same schema."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from check_migrations import dump, install
from psycopg.conninfo import conninfo_to_dict

from rowqueue import migrate as migrating
from rowqueue import schema
from rowqueue.embedded import Binaries
from rowqueue.migrate import migrate, pending
from support.server import Server
from support.waiting import eventually, until_blocked

ALL = sorted(file.stem for file in schema.migrations_folder().glob("*.sql"))

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that migrates a database and prints what it applied."""
    program = "import sys; from rowqueue.migrate import migrate; print(*migrate(sys.argv[1]))"
    with ExitStack() as processes:

        def run(dsn: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-c", program, dsn]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            processes.enter_context(process)
            processes.callback(process.kill)
            return process

        yield run


@pytest.fixture
def as_installed(dsn: str, binaries: Binaries) -> list[str]:
    """The dump of a database that was installed, not migrated."""
    return dump(binaries / "pg_dump", dsn)


@pytest.fixture
def observer(empty_dsn: str) -> Iterator[psycopg.Connection]:
    """A session on the database that is being migrated."""
    with psycopg.connect(empty_dsn, autocommit=True) as session:
        yield session


def test_five_runs_at_once_apply_each_migration_once(
    empty_dsn: str, start: Start, as_installed: list[str], binaries: Binaries
) -> None:
    runs = [start(empty_dsn) for _ in range(5)]
    applied = sorted(run.communicate()[0].split() for run in runs)
    assert [run.returncode for run in runs] == [0] * 5
    assert applied == [[], [], [], [], ALL]
    assert dump(binaries / "pg_dump", empty_dsn) == as_installed


def test_a_run_killed_inside_a_migration_is_made_good_by_the_next(
    empty_dsn: str,
    observer: psycopg.Connection,
    start: Start,
    as_installed: list[str],
    binaries: Binaries,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = hold_at_first_function(observer)
    run = start(empty_dsn)
    until_blocked(observer, gate())
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert stale_lock_rows(observer) == 1

    with ThreadPoolExecutor() as thread, caplog.at_level("INFO", "rowqueue"):
        applied = thread.submit(migrate, empty_dsn)
        try:
            # The server is still at work on what the killed run had sent.
            eventually(lambda: "waiting for it" in caplog.text, what="the next run to wait")
        finally:
            open_gate(observer)
        assert applied.result() == ALL
    assert dump(binaries / "pg_dump", empty_dsn) == as_installed


def test_a_run_killed_between_a_migration_and_its_mark_is_made_good_by_the_next(
    empty_dsn: str,
    observer: psycopg.Connection,
    start: Start,
    as_installed: list[str],
    binaries: Binaries,
) -> None:
    gate = hold_at_first_function(observer)
    run = start(empty_dsn)
    until_blocked(observer, gate())
    with psycopg.connect(empty_dsn) as holder:
        holder.execute("lock table rowqueue._yoyo_log in share mode")
        open_gate(observer)
        until_blocked(observer, waiting_for(observer, "relation"))
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
    assert observer.execute("select rowqueue.version()").fetchone()
    assert pending(empty_dsn) == ALL[1:]

    assert migrate(empty_dsn) == ALL[1:]
    assert dump(binaries / "pg_dump", empty_dsn) == as_installed


def test_a_database_installed_with_plain_sql_is_taken_over_as_it_is(
    dsn: str, as_installed: list[str], binaries: Binaries
) -> None:
    assert pending(dsn) == []
    assert migrate(dsn) == []
    assert dump(binaries / "pg_dump", dsn) == as_installed


def test_one_installed_with_the_plain_sql_of_an_earlier_release_gets_what_it_lacks(
    empty_dsn: str, observer: psycopg.Connection, as_installed: list[str], binaries: Binaries
) -> None:
    [first, *_] = sorted(schema.migrations_folder().glob("*.sql"))
    observer.execute("create schema rowqueue")
    observer.execute(first.read_text().encode())
    assert pending(empty_dsn) == ALL[1:]
    assert migrate(empty_dsn) == ALL[1:]
    assert dump(binaries / "pg_dump", empty_dsn) == as_installed


def test_a_migrated_database_can_be_installed_over(
    empty_dsn: str, as_installed: list[str], binaries: Binaries
) -> None:
    migrate(empty_dsn)
    install(binaries / "psql", empty_dsn)
    assert dump(binaries / "pg_dump", empty_dsn) == as_installed


def test_a_second_run_finds_nothing_to_do(empty_dsn: str) -> None:
    assert migrate(empty_dsn) == ALL
    assert pending(empty_dsn) == []
    assert migrate(empty_dsn) == []


def test_asking_what_is_pending_changes_nothing(
    empty_dsn: str, observer: psycopg.Connection
) -> None:
    assert pending(empty_dsn) == ALL
    assert observer.execute("select to_regnamespace('rowqueue')").fetchone() == (None,)


def test_yoyo_keeps_its_tables_beside_ours_and_out_of_the_way_of_the_users_own(
    empty_dsn: str, observer: psycopg.Connection
) -> None:
    migrate(empty_dsn)
    outside = observer.execute(
        "select schemaname, tablename from pg_tables where tablename like '%yoyo%' order by 2"
    ).fetchall()
    assert outside == sorted(("rowqueue", table) for table in migrating.YOYO_TABLES)


def test_the_functions_report_the_number_of_the_newest_migration(
    empty_dsn: str, observer: psycopg.Connection
) -> None:
    migrate(empty_dsn)
    assert observer.execute("select rowqueue.version()").fetchone() == (ALL[-1].split(".")[0],)


def test_every_form_of_connection_string_is_understood(
    server: Server, observer: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer.execute('''create database "odd ?name=1&%20' of """''')
    try:
        url = server.url("odd ?name=1&%20' of \"")
        parts = conninfo_to_dict(url)
        assert migrate(url) == ALL
        for key in ("host", "port", "user", "password", "dbname"):
            name = "PGDATABASE" if key == "dbname" else f"PG{key.upper()}"
            monkeypatch.setenv(name, str(parts[key]))
        assert pending() == []
        assert migrate() == []
    finally:
        observer.execute('''drop database "odd ?name=1&%20' of """''')


NASTY = r"""-- depends:
/* nested ; /* comments; */ still; one */
create table rowqueue.nasty ("a;b" text default E'\';', percent text default '100% %s %(x)s :name');
create function rowqueue.nasty() returns text language plpgsql as $body$
declare
    v_text text := $q$ ; select 'x'; $$ $q$; -- begin; end;
begin
    case when v_text is null then null; else begin null; end; end case;
    return v_text || '''; --';
end
$body$;
do $$ begin execute 'comment on table rowqueue.nasty is ''a;b'''; end $$;
create procedure rowqueue.nasty_atomic() language sql begin atomic select 1; select 2; end;
select 'a row that nobody wants to see';
"""


def test_a_migration_is_sent_as_it_stands(
    empty_dsn: str,
    observer: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(migrating, "migrations_folder", lambda: tmp_path)
    (tmp_path / "0001.nasty.sql").write_text(NASTY)
    assert migrate(empty_dsn) == ["0001.nasty"]
    assert observer.execute("select rowqueue.nasty()").fetchone() == (" ; select 'x'; $$ '; --",)
    assert observer.execute(
        "insert into rowqueue.nasty default values returning *, obj_description(tableoid)"
    ).fetchone() == ("';", "100% %s %(x)s :name", "a;b")
    assert capfd.readouterr() == ("", "")


def test_a_failing_migration_leaves_nothing_behind_and_those_before_it_stay(
    empty_dsn: str, observer: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "migrations_folder", lambda: tmp_path)
    (tmp_path / "0001.good.sql").write_text("-- depends:\ncreate table rowqueue.good ();")
    (tmp_path / "0002.bad.sql").write_text(
        "-- depends: 0001.good\ncreate table rowqueue.bad (); select 1/0;"
    )
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty_dsn)
    assert pending(empty_dsn) == ["0002.bad"]
    assert observer.execute(
        "select to_regclass('rowqueue.good')::text, to_regclass('rowqueue.bad')"
    ).fetchone() == ("rowqueue.good", None)


def test_an_index_is_built_concurrently_while_another_run_waits(
    empty_dsn: str,
    observer: psycopg.Connection,
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migrating, "migrations_folder", lambda: tmp_path)
    (tmp_path / "0001.table.sql").write_text(
        "-- depends:\ncreate table if not exists rowqueue.big (a int, b int);"
    )
    (tmp_path / "0002.index.sql").write_text(
        "-- depends: 0001.table\n-- transactional: false\n"
        "create index concurrently if not exists big_a on rowqueue.big (a);\n"
        "-- step: the second one\n"
        "create index concurrently if not exists big_b on rowqueue.big (b);\n"
    )
    with psycopg.connect(empty_dsn, autocommit=True) as first:
        first.execute("select pg_advisory_lock(%s)", [migrating._RUN])
        second = start(empty_dsn)
        asked = """
            select true from pg_stat_activity
            where query like 'select pg_try_advisory_lock%' and datname = current_database()
        """
        eventually(lambda: observer.execute(asked.encode()).fetchone(), what="the second run")
        with psycopg.connect(empty_dsn, autocommit=True) as builder:
            builder.execute("create table elsewhere (a int)")
            builder.execute("set statement_timeout = '20s'")
            builder.execute("create index concurrently on elsewhere (a)")
        second.kill()
    assert migrate(empty_dsn) == ["0001.table", "0002.index"]
    valid = "select count(*) from pg_index where indrelid = 'rowqueue.big'::regclass and indisvalid"
    assert observer.execute(valid).fetchone() == (2,)


GATE = 4711


def hold_at_first_function(observer: psycopg.Connection) -> Callable[[], int]:
    """Makes a migration wait where it creates a function; returns who finds the waiting session."""
    observer.execute("select pg_advisory_lock(%s)", [GATE])
    observer.execute(
        f"""
        create function public.gate() returns event_trigger language plpgsql as
            $$ begin perform pg_advisory_xact_lock_shared({GATE}); end $$;
        create event trigger gate on ddl_command_start when tag in ('CREATE FUNCTION')
            execute function public.gate();
        """.encode()
    )
    return lambda: waiting_for(observer, "advisory")


def waiting_for(observer: psycopg.Connection, lock: str) -> int:
    """Returns the session that waits for a kind of lock in the observer's database."""
    query = """
        select pid from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and wait_event = %s
    """
    (pid,) = eventually(lambda: observer.execute(query, [lock]).fetchone(), what=f"a {lock} lock")
    return int(pid)


def open_gate(observer: psycopg.Connection) -> None:
    """Takes all that `hold_at_first_function` made away."""
    observer.execute("drop event trigger gate")
    observer.execute("drop function public.gate()")
    observer.execute("select pg_advisory_unlock(%s)", [GATE])


def stale_lock_rows(observer: psycopg.Connection) -> int:
    """Counts the rows in the lock table of yoyo."""
    row = observer.execute("select count(*) from rowqueue._yoyo_lock").fetchone()
    return int(row[0]) if row else 0
