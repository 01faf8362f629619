-- The way into the table for jobs without a unique_key. Returns a row for each job, in the order given.
-- State: - -> pending | Locks: none | Writes: jobs_live, lanes
create or replace function rowqueue._insert_jobs(jobs rowqueue._new_job[])
returns table (ordinal int, id uuid, created boolean)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_now timestamptz := rowqueue._write_clock();
    v_now_us bigint := (extract(epoch from v_now) * 1000000)::bigint;
    v_random uuid := gen_random_uuid();
begin
    -- A lane that another transaction has made and not committed is made here too: nobody waits for anybody, and a job never
    -- becomes visible before its lane. Nothing sorts or joins the rows: they go in, and come out, in the order given.
    return query
    with made as (
        insert into rowqueue.jobs_live as j (
            id, workspace_id, ticket, created_at, run_after, priority, max_attempts, timeout_ms, queue, job_type, payload)
        select
            rowqueue._uuid7(v_now_us + n.ordinal, v_random), n.workspace_id,
            case when coalesce(n.run_after, v_now) <= v_now then rowqueue._draw_ticket() end,
            v_now, coalesce(n.run_after, v_now), n.priority, n.max_attempts, n.timeout_ms, n.queue, n.job_type, n.payload
        from unnest(_insert_jobs.jobs) with ordinality as n(
            job_type, payload, workspace_id, priority, run_after, max_attempts, timeout_ms, unique_key, queue, ordinal)
        returning j.id, j.queue, j.priority
    ), new_lanes as (
        insert into rowqueue.lanes (queue, priority)
        select m.queue, m.priority
        from (select distinct u.queue, u.priority from made as u) as m
        where (select true from rowqueue.lanes as l where l.queue = m.queue and l.priority = m.priority limit 1) is null
    )
    select (row_number() over ())::int, m.id, true from made as m;

    if rowqueue._worker_waits() then
        perform rowqueue._wake_worker();
    end if;
end
$$;

revoke all on function rowqueue._insert_jobs from public;
