-- Gives a job back unfinished, without using up an attempt.
-- State: running -> pending | cancelled | Locks: one row of jobs_live | Writes: jobs_live, jobs_finished
create or replace function rowqueue.release(job_id uuid, token bigint, delay interval default '0')
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job rowqueue.jobs_live;
begin
    perform rowqueue._check_token(release.job_id, release.token);
    if release.delay is null then
        perform rowqueue._reject('delay', 'must not be null');
    end if;
    perform rowqueue._check_delay('delay', release.delay);

    select j.* into v_job from rowqueue._lock_running(release.job_id, release.token) as j;
    if not found then
        perform rowqueue._raise_lost(release.job_id, release.token);
    elsif v_job.cancel_requested_at is not null then
        perform rowqueue._end_attempt(v_job, null);
    else
        v_job.attempts := greatest(v_job.attempts - 1, 0);
        perform rowqueue._requeue(v_job, release.delay);
    end if;
end
$$;

revoke all on function rowqueue.release from public;
call rowqueue._grant('execute on function rowqueue.release', 'worker', 'admin');

comment on function rowqueue.release is
'Gives a running job back without using up an attempt: at a deploy, a shutdown, or when there is no handler for it here. It may be claimed again after delay (up to ten years). When a cancellation had been requested, it is cancelled.
Returns: nothing.
Raises: RQ101 when the token no longer holds the job; RQ102 when it is finished; RQ001 when there is none; 22023 for a delay out of range.
State: running -> pending, or cancelled.
Role: worker, admin.
Repeat: RQ101, for the token is spent.';
