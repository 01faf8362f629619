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
as $$
declare
    v_payload jsonb := coalesce(enqueue.payload, '{}');
    v_problem text[] := rowqueue._job_problem(
        enqueue.job_type, v_payload, enqueue.priority, enqueue.run_after, enqueue.max_attempts,
        enqueue.timeout_ms, enqueue.unique_key, enqueue.queue, rowqueue._now());
begin
    if v_problem is not null then
        perform rowqueue._reject(v_problem[1], v_problem[2], v_problem[3], v_problem[4]);
    end if;

    return (
        select j.id
        from rowqueue._insert_jobs(array[row(
            enqueue.job_type, v_payload, enqueue.workspace_id, enqueue.priority, enqueue.run_after,
            enqueue.max_attempts, enqueue.timeout_ms, enqueue.unique_key, enqueue.queue
        )::rowqueue._new_job]) as j
    );
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
