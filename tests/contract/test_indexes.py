"""What the indexes must and must not mention."""

from __future__ import annotations

import re

import pytest


@pytest.fixture(scope="module")
def indexes(shared_db):
    """Every index of the schema, those of partitions too."""
    return shared_db.execute(
        """
        select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition,
            i.indisunique as is_unique, i.indisvalid as is_valid,
            array(
                select a.attname::text from pg_attribute as a
                where a.attrelid = i.indrelid and a.attnum = any(i.indkey)
            ) as columns,
            exists (
                select from pg_attribute as a
                where a.attrelid = i.indrelid and a.attname = 'workspace_id'
            ) as of_a_workspace
        from pg_index as i join pg_class as c on c.oid = i.indrelid
        where c.relnamespace = 'rowqueue'::regnamespace"""
    ).fetchall()


def test_no_index_mentions_what_a_heartbeat_or_a_progress_report_writes(indexes):
    """Else they would be no HOT updates, and each would write to all indexes."""
    written = re.compile(r"\b(lease_until|progress|worker)\b")
    assert [index.name for index in indexes if written.search(index.definition)] == []


def test_what_is_unique_is_unique_within_a_workspace(indexes):
    """A job's id, or its workspace, is in each: no tenant learns of another's keys."""
    odd = [
        index.name
        for index in indexes
        if index.is_unique
        and index.of_a_workspace
        and not {"id", "workspace_id"} & {*index.columns}
    ]
    assert odd == []


def test_every_index_is_valid(indexes):
    assert [index.name for index in indexes if not index.is_valid] == []


def test_sequences_count_in_bigint_and_never_come_round(shared_db):
    found = shared_db.execute(
        "select sequencename, data_type::text as type, cycle, cache_size, max_value"
        " from pg_sequences where schemaname = 'rowqueue'"
    ).fetchall()
    assert {"tickets", "tokens"} <= {row.sequencename for row in found}
    assert {(row.type, row.cycle, row.cache_size) for row in found} == {("bigint", False, 1)}
