-- The running job that a token holds, its row locked; no row when the token does not hold it.
-- State: - | Locks: one row of jobs_live | Writes: nothing
create or replace function rowqueue._lock_running(job_id uuid, token bigint)
returns setof rowqueue.jobs_live
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
rows 1
as $$
begin
    return query
    select j.*
    from rowqueue.jobs_live as j
    where j.id = _lock_running.job_id and j.token = _lock_running.token and j.status = 'running'
    for update;
end
$$;

revoke all on function rowqueue._lock_running from public;
