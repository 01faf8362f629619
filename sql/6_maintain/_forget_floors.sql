-- Puts all floors back to where nothing is below them: what a copy has to do, for they rest on the transaction ids and the clock of the
-- original. They rise again with the next ticks.
-- State: - | Locks: none | Writes: lanes, watermarks
create or replace function rowqueue._forget_floors()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    with old as (
        delete from rowqueue.lanes as l
        returning l.queue, l.priority
    )
    insert into rowqueue.lanes (queue, priority)
    select distinct o.queue, o.priority from old as o;

    delete from rowqueue.watermarks;
    insert into rowqueue.watermarks (xid, ticket, token, seen_at, due_floor, applied)
    values (pg_current_xact_id(), 0, 0, rowqueue._now(), '-infinity', true);
end
$$;

revoke all on function rowqueue._forget_floors from public;
