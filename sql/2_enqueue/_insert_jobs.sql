-- The one way into the table: enqueue and enqueue_many share it. Returns a row for each job, in the order given.
-- State: - -> pending | Locks: none; waits for a transaction that is inserting the same unique_key | Writes: jobs_live
create or replace function rowqueue._insert_jobs(jobs rowqueue._new_job[])
returns table (ordinal int, id uuid, created boolean)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz := rowqueue._write_clock();
    v_now_us bigint := extract(epoch from v_now) * 1000000;
    v_ids uuid[] := array(
        select rowqueue._new_id(v_now_us + g.n) from generate_series(1, cardinality(_insert_jobs.jobs)) as g(n));
    -- For each job: null while it is open, true when this call made it, false when it was there already.
    v_created boolean[] := array_fill(null::boolean, array[cardinality(_insert_jobs.jobs)]);
    v_made uuid[];
    v_job record;
begin
    while array_position(v_created, null) is not null loop
        -- Tickets are drawn in the order given. The rows go in by key, so that two calls with the same keys cannot wait
        -- for each other crosswise. A job whose lane this snapshot does not know goes in without a ticket, and the promoter
        -- makes the lane: else all enqueues for a new lane would wait for the transaction of the first.
        with asked as materialized (
            select
                n.*,
                case
                    when coalesce(n.run_after, v_now) <= v_now and (
                        select true from rowqueue.lanes as l where l.queue = n.queue and l.priority = n.priority limit 1
                    ) then rowqueue._draw_ticket()
                end as ticket
            from unnest(_insert_jobs.jobs, v_ids, v_created) as n(
                job_type, payload, workspace_id, priority, run_after, max_attempts, timeout_ms, unique_key, queue, id, created)
            where n.created is null
        ), made as (
            insert into rowqueue.jobs_live (
                id, workspace_id, ticket, created_at, run_after, priority, max_attempts, timeout_ms,
                queue, job_type, unique_key, payload)
            select
                a.id, a.workspace_id, a.ticket, v_now,
                -- Without a ticket, an instant in the past would lie below the due floor.
                case when a.ticket is null then greatest(a.run_after, v_now) else coalesce(a.run_after, v_now) end,
                a.priority, a.max_attempts, a.timeout_ms, a.queue, a.job_type, a.unique_key, a.payload
            from asked as a
            order by a.unique_key, a.job_type, a.workspace_id
            on conflict (workspace_id, job_type, unique_key) where unique_key is not null do nothing
            returning id
        )
        select array_agg(m.id) into v_made from made as m;

        if cardinality(v_made) = cardinality(v_ids) then
            v_created := array_fill(true, array[cardinality(v_ids)]);
            exit;
        end if;

        for v_job in
            select n.ordinal, m.id is not null as made, holder.id as holder_id
            from unnest(_insert_jobs.jobs, v_ids, v_created) with ordinality as n(
                job_type, payload, workspace_id, priority, run_after, max_attempts, timeout_ms, unique_key, queue, id, created,
                ordinal)
            left join unnest(v_made) as m(id) on m.id = n.id
            left join lateral (
                select l.id
                from rowqueue.jobs_live as l
                where l.workspace_id = n.workspace_id and l.job_type = n.job_type and l.unique_key = n.unique_key
                union all
                select l.id
                from rowqueue.jobs_live as l
                where n.workspace_id is null and l.workspace_id is null
                and l.job_type = n.job_type and l.unique_key = n.unique_key
            ) as holder on m.id is null
            where n.created is null
        loop
            if v_job.made then
                v_created[v_job.ordinal] := true;
            elsif v_job.holder_id is not null then
                v_ids[v_job.ordinal] := v_job.holder_id;
                v_created[v_job.ordinal] := false;
            end if;
            -- Neither: the job that held the key finished in between. It goes round once more.
        end loop;
    end loop;

    perform rowqueue._wake_worker();

    return query
    select n.ordinal::int, n.id, n.created
    from unnest(v_ids, v_created) with ordinality as n(id, created, ordinal);
end
$$;

revoke all on function rowqueue._insert_jobs from public;
