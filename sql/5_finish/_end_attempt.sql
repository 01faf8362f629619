-- Ends an attempt that did not complete its job, whose row the caller has locked. Returns the new status.
-- State: running -> pending | failed | cancelled | Locks: none beyond the caller's | Writes: jobs_live, jobs_finished
create or replace function rowqueue._end_attempt(
    job rowqueue.jobs_live,
    error text,
    retry boolean default true,
    retry_after interval default null
)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_error text := rowqueue._clip(coalesce(_end_attempt.error, 'no reason given'), 8192);
begin
    if job.cancel_requested_at is not null then
        perform rowqueue._finish(
            array[job.id], array[job.token], 'running', 'cancelled', errors => array[coalesce(job.cancel_reason, 'cancelled')]);
        return 'cancelled';
    elsif not _end_attempt.retry or job.attempts >= job.max_attempts then
        perform rowqueue._finish(array[job.id], array[job.token], 'running', 'failed', errors => array[v_error]);
        return 'failed';
    end if;

    -- 2 s, 4 s, 8 s, … up to a day. The exponent is bounded first: no max_attempts can overflow it.
    job.last_error := v_error;
    perform rowqueue._requeue(job, coalesce(
        _end_attempt.retry_after,
        least(interval '1 second' * 2 ^ least(job.attempts, 30), interval '1 day')));
    return 'pending';
end
$$;

revoke all on function rowqueue._end_attempt from public;
