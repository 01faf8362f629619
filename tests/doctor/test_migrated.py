"""A database that was migrated is what one is that was installed, in the eyes of doctor()."""

from __future__ import annotations

from doctor.findings import found
from identity.copies import session_on
from rowqueue.migrate import migrate


def test_a_migration_notes_what_it_made(empty_dsn: str) -> None:
    migrate(empty_dsn)
    with session_on(empty_dsn) as session:
        for name in ("schema_missing", "schema_changed", "schema_extra", "grant_missing"):
            assert found(session, name) == []
        session.execute("drop index rowqueue.jobs_live_delayed_idx")
        assert len(found(session, "schema_missing")) == 1
