call rowqueue._finding(
    'schema_missing', 'error', 'something that was installed is gone: a function, a column, an index, a constraint, a trigger',
    'What needs it fails, or reads the whole table instead of an index, or stores what it must not.');
call rowqueue._finding(
    'schema_changed', 'error', 'something that was installed is not what it was: somebody replaced it, or switched it off',
    'The guarantees are those of the functions and constraints as they were installed.');
call rowqueue._finding(
    'schema_extra', 'warning', 'there is something in the schema, or on one of its tables, that was not installed',
    'One more index makes every claim and heartbeat several times as dear, a trigger can fail them, and an upgrade may stumble over either.');

-- What differs from what was installed (blueprint.sql).
create or replace function rowqueue._find_schema_drift()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select
        case when now.object is null then 'schema_missing' when then_.object is null then 'schema_extra' else 'schema_changed' end,
        object || case
            when now.object is null then ' is missing'
            when then_.object is null then ' was not installed'
            else ' has been changed'
        end,
        case
            when then_.object is null then now.removal || ';'
            when object ~ '^table' or (object ~ '^column' and now.object is not null) then '-- as it was: ' || then_.definition
            when now.object is null or object ~ '^(function|procedure|view|sequence)' then then_.definition || ';'
            else format('%s; %s;', now.removal, then_.definition)
        end
    from rowqueue.blueprint as then_
    full join rowqueue._catalogue() as now using (object)
    where then_.definition is distinct from now.definition
    and (
        then_.object is not null
        or now.part_of is null
        or exists (select from rowqueue.blueprint as b where b.object = 'table ' || now.part_of)
    )
$$;

revoke all on function rowqueue._find_schema_drift from public;
