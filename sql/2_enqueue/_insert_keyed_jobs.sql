-- The way into the table for jobs of which some have a unique_key. Returns a row for each job, in the order given.
-- State: - -> pending | Locks: none; waits for a transaction that is inserting the same unique_key | Writes: jobs_live, lanes
create or replace function rowqueue._insert_keyed_jobs(jobs rowqueue._new_job[])
returns table (ordinal int, id uuid, created boolean)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz := rowqueue._write_clock();
    v_now_us bigint := (extract(epoch from v_now) * 1000000)::bigint;
    v_random uuid := gen_random_uuid();
    v_ids uuid[] := array(
        select rowqueue._uuid7(v_now_us + g.n, v_random)
        from generate_series(1, cardinality(_insert_keyed_jobs.jobs)) as g(n));
    -- For each job: null while it is open, true when this call made it, false when it was there already.
    v_created boolean[] := array_fill(null::boolean, array[cardinality(_insert_keyed_jobs.jobs)]);
    v_made uuid[];
    v_job record;
begin
    -- The lanes first. One that another transaction has made and not committed is made here too: nobody waits for anybody, and a
    -- job never becomes visible before its lane.
    insert into rowqueue.lanes (queue, priority)
    select n.queue, n.priority
    from (select distinct u.queue, u.priority from unnest(_insert_keyed_jobs.jobs) as u) as n
    where (select true from rowqueue.lanes as l where l.queue = n.queue and l.priority = n.priority limit 1) is null;

    loop
        -- Jobs whose key is held already.
        for v_job in
            select n.ordinal, holder.id
            from unnest(_insert_keyed_jobs.jobs, v_created) with ordinality as n(
                job_type, payload, workspace_id, priority, run_after, max_attempts, timeout_ms, unique_key, queue, created,
                ordinal)
            cross join lateral (
                select l.id
                from rowqueue.jobs_live as l
                where l.workspace_id = n.workspace_id and l.job_type = n.job_type and l.unique_key = n.unique_key
                union all
                select l.id
                from rowqueue.jobs_live as l
                where n.workspace_id is null and l.workspace_id is null
                and l.job_type = n.job_type and l.unique_key = n.unique_key
            ) as holder
            where n.created is null
        loop
            v_ids[v_job.ordinal] := v_job.id;
            v_created[v_job.ordinal] := false;
        end loop;

        exit when array_position(v_created, null) is null;

        -- A key was taken while this call waited for it, and is free again. Inserting it now, with other keys in hand, would
        -- lock keys out of their order, and two calls could deadlock: enqueue_many undoes all and begins again.
        if v_made is not null and cardinality(v_ids) > 1 then
            raise exception 'a unique_key was taken meanwhile' using errcode = 'RQ000';
        end if;

        -- Tickets are drawn in the order given, while the rows go in by key: two calls with the same keys cannot wait for
        -- each other crosswise.
        with asked as materialized (
            select n.*, case when coalesce(n.run_after, v_now) <= v_now then rowqueue._draw_ticket() end as ticket
            from unnest(_insert_keyed_jobs.jobs, v_ids, v_created) as n(
                job_type, payload, workspace_id, priority, run_after, max_attempts, timeout_ms, unique_key, queue, id, created)
            where n.created is null
        ), made as (
            insert into rowqueue.jobs_live (
                id, workspace_id, ticket, created_at, run_after, priority, max_attempts, timeout_ms,
                queue, job_type, unique_key, payload)
            select
                a.id, a.workspace_id, a.ticket, v_now, coalesce(a.run_after, v_now), a.priority, a.max_attempts, a.timeout_ms,
                a.queue, a.job_type, a.unique_key, a.payload
            from asked as a
            order by a.unique_key, a.job_type, a.workspace_id
            on conflict (workspace_id, job_type, unique_key) where unique_key is not null do nothing
            returning id
        )
        select coalesce(array_agg(m.id), '{}') into v_made from made as m;

        if cardinality(v_made) = cardinality(v_ids) then
            v_created := array_fill(true, array[cardinality(v_ids)]);
        else
            v_created := array(
                select coalesce(n.created, case when m.id is not null then true end)
                from unnest(v_ids, v_created) with ordinality as n(id, created, ordinal)
                left join unnest(v_made) as m(id) on m.id = n.id
                order by n.ordinal);
        end if;
    end loop;

    if rowqueue._worker_waits() then
        perform rowqueue._wake_worker();
    end if;

    return query
    select n.ordinal::int, n.id, n.created
    from unnest(v_ids, v_created) with ordinality as n(id, created, ordinal);
end
$$;

revoke all on function rowqueue._insert_keyed_jobs from public;
