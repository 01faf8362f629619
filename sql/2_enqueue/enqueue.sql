-- Puts one job into the queue, in the caller's transaction.
-- State: - -> pending | Locks: none; waits for a transaction that is inserting the same unique_key | Writes: jobs_live, lanes
create or replace function rowqueue.enqueue(
    job_type text,
    payload jsonb default '{}',
    workspace_id uuid default null,
    priority int default 0,
    run_after timestamptz default null,
    max_attempts int default 3,
    timeout_ms int default 600000,
    unique_key text default null,
    queue text default 'default'
)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
as $$
declare
    v_payload jsonb := coalesce(enqueue.payload, '{}');
    v_now timestamptz := rowqueue._now();
    v_problem text[] := rowqueue._job_problem(
        enqueue.job_type, v_payload, enqueue.priority, enqueue.run_after, enqueue.max_attempts,
        enqueue.timeout_ms, enqueue.unique_key, enqueue.queue, v_now);
    v_id uuid;
    v_lane_known boolean;
begin
    if v_problem is not null then
        perform rowqueue._reject(v_problem[1], v_problem[2], v_problem[3], v_problem[4]);
    end if;

    if enqueue.unique_key is not null then
        return (
            select j.id
            from rowqueue._insert_keyed_jobs(array[row(
                enqueue.job_type, v_payload, enqueue.workspace_id, enqueue.priority, enqueue.run_after,
                enqueue.max_attempts, enqueue.timeout_ms, enqueue.unique_key, enqueue.queue
            )::rowqueue._new_job]) as j
        );
    end if;

    -- What _insert_jobs does for many, in the one statement that one job needs.
    v_now := rowqueue._write_clock();
    insert into rowqueue.jobs_live as j (
        id, workspace_id, ticket, created_at, run_after, priority, max_attempts, timeout_ms, queue, job_type, payload)
    values (
        rowqueue._uuid7((extract(epoch from v_now) * 1000000)::bigint, gen_random_uuid()), enqueue.workspace_id,
        case when coalesce(enqueue.run_after, v_now) <= v_now then rowqueue._draw_ticket() end,
        v_now, coalesce(enqueue.run_after, v_now), enqueue.priority, enqueue.max_attempts, enqueue.timeout_ms,
        enqueue.queue, enqueue.job_type, v_payload)
    returning j.id, exists (select from rowqueue.lanes as l where l.queue = j.queue and l.priority = j.priority)
    into v_id, v_lane_known;
    if not v_lane_known then
        insert into rowqueue.lanes (queue, priority) values (enqueue.queue, enqueue.priority);
    end if;
    if rowqueue._worker_waits() then
        perform rowqueue._wake_worker();
    end if;
    return v_id;
end
$$;

revoke all on function rowqueue.enqueue from public;
call rowqueue._grant('execute on function rowqueue.enqueue', 'producer', 'worker', 'admin');

comment on function rowqueue.enqueue is
'Puts one job into the queue, in the caller''s transaction: it runs once that commits. run_after delays it (null: now); a higher priority runs first (-32768 to 32767); timeout_ms is the time one attempt may take, in milliseconds (up to a day); max_attempts is 1 to 1000.
Returns: the job''s id. With a unique_key that a pending or running job of the same workspace and job type holds: that job''s id, and nothing is made.
Raises: 22023 for an argument out of range; RQ103 for a payload over 1 MiB, nested deeper than 63 levels or with a number no double can hold; 40001 under REPEATABLE READ when another transaction took the unique_key meanwhile.
State: - -> pending.
Role: producer, worker, admin.
Repeat: makes another job, unless unique_key says that they are the same.';
