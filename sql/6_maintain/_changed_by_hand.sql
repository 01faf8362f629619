-- Puts right what an UPDATE of rowqueue.jobs by hand leaves half done: a job that was set back to pending gets a place in its lane,
-- and a running one that was moved to another lane gets one where the reaper looks.
-- State: pending -> pending | Locks: those rows of jobs_live | Writes: jobs_live (also lanes and ceilings for running jobs)
--
-- It is a trigger of the partitioned table, for each statement: the functions name the rooms, so it costs them nothing.
create or replace function rowqueue._changed_by_hand()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rowqueue._write_clock();
begin
    update rowqueue.jobs_live as j
    set ticket = case when j.run_after <= v_now then rowqueue._draw_ticket() end,
        token = null,
        worker = null,
        lease_until = null
    from new_rows as n
    join old_rows as o on o.id = n.id
    where j.id = n.id and n.status = 'pending' and (n.token is not null or o.status <> 'pending');
    if found then
        perform rowqueue._wake_worker();
    end if;

    with moved as (
        update rowqueue.jobs_live as j
        set ticket = rowqueue._draw_ticket()
        from new_rows as n
        join old_rows as o on o.id = n.id
        where j.id = n.id and n.status = 'running'
        and (o.status, o.queue, o.priority, o.ticket) is distinct from (n.status, n.queue, n.priority, n.ticket)
        returning j.queue, j.priority, j.ticket
    ), lane as (
        insert into rowqueue.lanes (queue, priority)
        select distinct m.queue, m.priority from moved as m
    )
    insert into rowqueue.ceilings (queue, priority, ceiling)
    select m.queue, m.priority, max(m.ticket) + 1
    from moved as m
    group by m.queue, m.priority;
    return null;
end
$$;

revoke all on function rowqueue._changed_by_hand from public;

create or replace trigger changed_by_hand
after update on rowqueue.jobs
referencing old table as old_rows new table as new_rows
for each statement
execute function rowqueue._changed_by_hand();

comment on trigger changed_by_hand on rowqueue.jobs is
'Jobs that somebody changes by hand keep a place where claims and the reaper find them. The functions do not pass here.';
