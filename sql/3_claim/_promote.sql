-- Gives a ticket to pending jobs that have none and are due: delayed and retrying ones whose time has come, the first ones of
-- a new lane (which it makes), and those that a DBA set back to pending by hand. Returns how many.
-- State: pending -> pending | Locks: those rows, skipping locked ones | Writes: jobs_live, lanes
create or replace function rowqueue._promote(max_jobs int)
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_now timestamptz := rowqueue._now();
    v_due_floor timestamptz := (select w.due_floor from rowqueue.watermarks as w order by w.id desc limit 1);
    v_count int;
begin
    with due as materialized (
        select j.ctid
        from rowqueue.jobs_live as j
        where j.status = 'pending' and j.ticket is null and j.run_after between v_due_floor and v_now
        order by j.run_after
        limit _promote.max_jobs
        for update skip locked
    ), reset_by_hand as materialized (
        select j.ctid
        from rowqueue.jobs_live as j
        where j.status = 'pending' and j.token is not null
        limit _promote.max_jobs
        for update skip locked
    ), promoted as (
        update rowqueue.jobs_live as j
        set ticket = case when j.run_after <= v_now then coalesce(j.ticket, rowqueue._draw_ticket()) end,
            token = null,
            worker = null,
            lease_until = null
        from (select d.ctid from due as d union all select r.ctid from reset_by_hand as r) as ready
        where j.ctid = ready.ctid
        returning j.queue, j.priority
    ), opened as (
        insert into rowqueue.lanes (queue, priority)
        select distinct p.queue, p.priority
        from promoted as p
        where not exists (select from rowqueue.lanes as l where l.queue = p.queue and l.priority = p.priority)
    )
    select count(*) into v_count from promoted;
    return v_count;
end
$$;

revoke all on function rowqueue._promote from public;
