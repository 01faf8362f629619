-- The one way from the live room to the finished one: complete, fail, cancel and the reaper share it. Moves the jobs that are in
-- from_status under the given token, in one statement and in id order, and returns the ids of those it moved.
-- State: from_status -> to_status | Locks: those rows of jobs_live, in id order | Writes: jobs_live, jobs_finished
create or replace function rowqueue._finish(
    job_ids uuid[],
    tokens bigint[],
    from_status text,
    to_status text,
    results jsonb[] default null,
    errors text[] default null
)
returns uuid[]
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
    v_now timestamptz := rowqueue._now();
    v_moved uuid[];
begin
    -- Whatever the planner knew of the table when it made this plan, it must ask by id: `= any(array[…])` leaves it no ordered
    -- walk over jobs_live_pkey.
    with asked as materialized (
        select a.id, a.token, a.result, a.error
        from unnest(_finish.job_ids, _finish.tokens, _finish.results, _finish.errors) as a(id, token, result, error)
        order by a.id
    ), gone as (
        delete from rowqueue.jobs_live as j
        using asked as a
        where j.id = any(array[a.id]) and j.token is not distinct from a.token and j.status = _finish.from_status
        returning j.*, a.result as new_result, a.error as new_error
    ), kept as (
        insert into rowqueue.jobs_finished (
            id, workspace_id, token, created_at, run_after, started_at, completed_at, lease_until, cancel_requested_at,
            priority, attempts, max_attempts, timeout_ms, crashes, uncharged_crashes, claimed_alone,
            status, queue, job_type, unique_key, worker, cancel_reason, error, last_error, payload, progress, result)
        select
            g.id, g.workspace_id, g.token, g.created_at, g.run_after, g.started_at, v_now, g.lease_until, g.cancel_requested_at,
            g.priority, g.attempts, g.max_attempts, g.timeout_ms, g.crashes, g.uncharged_crashes, g.claimed_alone,
            _finish.to_status, g.queue, g.job_type, g.unique_key, g.worker, g.cancel_reason, g.new_error,
            case when _finish.to_status = 'failed' then g.new_error else g.last_error end,
            g.payload, g.progress, g.new_result
        from gone as g
        returning id
    )
    select array_agg(k.id) into v_moved from kept as k;
    return coalesce(v_moved, '{}');
end
$$;

revoke all on function rowqueue._finish from public;

-- Whether one of these tokens completed the job.
create or replace function rowqueue._is_completed(job_id uuid, tokens bigint[])
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select
        from rowqueue.jobs_finished as f
        where f.id = _is_completed.job_id and f.completed_at >= rowqueue._id_time(_is_completed.job_id)
        and f.token = any (_is_completed.tokens) and f.status = 'completed');
end
$$;

revoke all on function rowqueue._is_completed from public;
