-- The version of the schema: the number of its newest migration.
-- State: - | Locks: none | Writes: nothing
create or replace function rowqueue.version()
returns text
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return '0005';
end
$$;

revoke all on function rowqueue.version from public;
call rowqueue._grant('execute on function rowqueue.version', 'producer', 'worker', 'observer', 'admin');

comment on function rowqueue.version is
'The version of the schema: the number of its newest migration.
Returns: four digits.
Raises: nothing.
State: changes no job.
Role: producer, worker, observer, admin.
Repeat: reads again.';
