-- Ends an attempt that failed.
-- State: running -> pending | failed | cancelled | Locks: one row of jobs_live | Writes: jobs_live, jobs_finished
create or replace function rowqueue.fail_with_backoff(
    job_id uuid,
    token bigint,
    error text,
    retry boolean default true,
    retry_after interval default null
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job rowqueue.jobs_live;
begin
    perform rowqueue._check_token(fail_with_backoff.job_id, fail_with_backoff.token);
    if fail_with_backoff.retry is null then
        perform rowqueue._reject('retry', 'must not be null');
    end if;
    perform rowqueue._check_delay('retry_after', fail_with_backoff.retry_after);

    select j.* into v_job from rowqueue._lock_running(fail_with_backoff.job_id, fail_with_backoff.token) as j;
    if not found then
        perform rowqueue._raise_lost(fail_with_backoff.job_id, fail_with_backoff.token);
    end if;

    -- It came back: whatever crashed a worker before, it was not this job.
    v_job.uncharged_crashes := 0;
    return rowqueue._end_attempt(
        v_job, fail_with_backoff.error, fail_with_backoff.retry, fail_with_backoff.retry_after);
end
$$;

revoke all on function rowqueue.fail_with_backoff from public;
call rowqueue._grant('execute on function rowqueue.fail_with_backoff', 'worker', 'admin');

comment on function rowqueue.fail_with_backoff is
'Ends an attempt that failed. With attempts left, the job is pending again and runs after 2^attempts seconds (2, 4, 8, …, a day at most), or after retry_after if given. Without, or with retry => false, it is failed. error is cut at 8 KiB; it never makes the call fail.
Returns: the new status: pending, failed, or cancelled when a cancellation had been requested.
Raises: RQ101 when the token no longer holds the job; RQ102 when it is finished; RQ001 when there is none; 22023 for a retry_after below nothing or above ten years.
State: running -> pending, failed or cancelled.
Role: worker, admin.
Repeat: RQ101 or RQ102, for the token is spent.';
