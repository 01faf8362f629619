"""The guards are found, and every reason for leaving one alone still belongs to one."""

from __future__ import annotations

from mutants.equivalent import EQUIVALENT, reason_for
from mutants.guards import KINDS, mutants, mutants_of
from rowqueue import schema

SOURCE = """\
-- Who asks for update, and j.token = 1, is a comment.
create or replace function rowqueue.one(job_id uuid)
set search_path = pg_catalog, pg_temp
as $$
    select from rowqueue.jobs as j
    where j.id = one.job_id and j.token = one.token and j.status in ('pending', 'running')
    order by j.id, j.token desc
    for update of j skip locked;
$$;
revoke all on function rowqueue.one from public;
comment on function rowqueue.one is
'Asks where j.token = 1
for update;';
"""


def test_one_guard_is_taken_out_at_a_time() -> None:
    found = {mutant.kind: mutant.source for mutant in mutants_of("file.sql", SOURCE)}
    assert found == {
        "token": SOURCE.replace("j.token = one.token", "true"),
        "status": SOURCE.replace("j.status in ('pending', 'running')", "true"),
        "order": SOURCE.replace("\n    order by j.id, j.token desc", ""),
        "lock": SOURCE.replace("\n    for update of j skip locked", ""),
        "skip locked": SOURCE.replace(" skip locked", ""),
        "revoke": SOURCE.replace("revoke all on function rowqueue.one from public;", ""),
        "pg_temp": SOURCE.replace(", pg_temp", ""),
    }


def test_there_are_guards_of_every_kind_and_each_has_a_name_of_its_own() -> None:
    found = list(mutants(schema.sql_folder()))
    assert {mutant.kind for mutant in found} == set(KINDS)
    assert len({mutant.name for mutant in found}) == len(found)
    for mutant in found:
        assert mutant.source != (schema.sql_folder() / mutant.file).read_text()


def test_every_reason_belongs_to_a_guard() -> None:
    used = {reason_for(mutant) for mutant in mutants(schema.sql_folder())}
    assert set(EQUIVALENT.values()) <= used
