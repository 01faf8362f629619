-- Whether some queues have anything to promote: what claim_next asks first, for most of the time they have not.
create or replace function rowqueue._any_due(queues text[])
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rowqueue._now();
begin
    return exists (
            select
            from rowqueue.jobs_live as j
            where j.queue = any (_any_due.queues) and j.ticket is null
            and j.run_after >= (select w.due_floor from rowqueue.watermarks as w order by w.id desc limit 1)
            and j.run_after <= v_now);
end
$$;

revoke all on function rowqueue._any_due from public;

-- Gives a ticket to jobs of some queues that have none and are due: delayed and retrying ones whose time has come. Highest priority
-- first, of the thousand that have been due longest in each queue. Returns how many.
-- State: pending -> pending | Locks: those rows, skipping locked ones | Writes: jobs_live
create or replace function rowqueue._promote(queues text[], max_jobs int)
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_now timestamptz := rowqueue._now();
    v_due_floor timestamptz := (select w.due_floor from rowqueue.watermarks as w order by w.id desc limit 1);
    v_seen int;
    v_count int;
    v_more int := 0;
begin
    with due as materialized (
        select head.ctid, head.priority, head.run_after
        from unnest(_promote.queues) as q(queue)
        cross join lateral (
            select j.ctid, j.priority, j.run_after
            from rowqueue.jobs_live as j
            where j.queue = q.queue and j.ticket is null
            and j.run_after >= v_due_floor and j.run_after <= v_now
            order by j.run_after
            limit 1000
        ) as head
    ), first as materialized (
        select j.ctid
        from due as d
        join rowqueue.jobs_live as j on j.ctid = d.ctid
        -- Written so that the planner cannot prove the condition of jobs_live_delayed_idx, and walk all that waits instead of
        -- asking by ctid.
        where coalesce(j.ticket, 0) = 0
        order by d.priority desc, d.run_after
        limit _promote.max_jobs
        for update of j skip locked
    ), promoted as (
        update rowqueue.jobs_live as j
        set ticket = rowqueue._draw_ticket()
        from first as f
        where j.ctid = f.ctid
        returning j.id
    )
    select count(*), (select count(*) from due)
    into v_count, v_seen
    from promoted;

    -- Others hold some of the thousand: take what lies behind them.
    if v_count < _promote.max_jobs and v_seen >= 1000 then
        with free as materialized (
            select head.ctid
            from unnest(_promote.queues) as q(queue)
            cross join lateral (
                select j.ctid
                from rowqueue.jobs_live as j
                where j.queue = q.queue and j.ticket is null
                and j.run_after >= v_due_floor and j.run_after <= v_now
                order by j.run_after
                limit _promote.max_jobs - v_count
                for update skip locked
            ) as head
            limit _promote.max_jobs - v_count
        )
        update rowqueue.jobs_live as j
        set ticket = rowqueue._draw_ticket()
        from free as f
        where j.ctid = f.ctid;
        get diagnostics v_more = row_count;
    end if;
    return v_count + v_more;
end
$$;

revoke all on function rowqueue._promote from public;
