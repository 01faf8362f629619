-- What is wrong with the queue, and with the database that it lives in.
-- State: - | Locks: none | Writes: nothing
create or replace function rowqueue.doctor()
returns setof rowqueue.finding
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
    return query
    select coalesce(k.severity, 'error'), f.name, f.what, coalesce(k.why, ''), f.remedy
    from (
        select * from rowqueue._find_identity_doubts()
        union all
        select * from rowqueue._find_schema_drift()
        union all
        select * from rowqueue._find_missing_grants()
        union all
        select * from rowqueue._find_broken_invariants()
        union all
        select * from rowqueue._find_sequence_gaps()
        union all
        select * from rowqueue._find_held_snapshots()
        union all
        select * from rowqueue._find_dead_rows()
        union all
        select * from rowqueue._find_partition_gaps()
        union all
        select * from rowqueue._find_unserved_queues()
        union all
        select * from rowqueue._find_unsafe_settings()
        union all
        select * from rowqueue._find_old_server()
    ) as f
    left join rowqueue.finding_kinds as k on k.name = f.name
    order by array_position(array['error', 'warning', 'notice'], coalesce(k.severity, 'error'));
end
$$;

revoke all on function rowqueue.doctor from public;
call rowqueue._grant('execute on function rowqueue.doctor', 'observer', 'admin');

comment on function rowqueue.doctor is
'What is wrong: with the schema and its grants, with jobs that lie where nobody looks, with old transactions and dead rows, with queues that nobody serves, with settings that put jobs at risk. Reads heads of lanes, what runs, and what the server counts, so it is quick however many jobs there are. Of other users'' sessions it sees what the owner of rowqueue may: grant pg_monitor to the owner to see all.
Returns: a row for each finding, errors first: how bad it is, what it is, why it matters, and the SQL that helps. None when all is well.
Raises: nothing.
State: changes no job.
Role: observer, admin.
Repeat: looks again.';
