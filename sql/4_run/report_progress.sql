-- Notes how far a running job is.
-- State: running -> running | Locks: one row of jobs_live | Writes: jobs_live (a HOT update)
create or replace function rowqueue.report_progress(
    job_id uuid,
    token bigint,
    current numeric,
    total numeric default null,
    message text default null
)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    c_most constant numeric := 1e15;
    v_progress jsonb;
    v_job record;
begin
    perform rowqueue._check_token(report_progress.job_id, report_progress.token);
    if report_progress.current is null or report_progress.current not between 0 and c_most then
        perform rowqueue._reject('current', 'must be between 0 and 1e15');
    elsif report_progress.total not between 0 and c_most then
        perform rowqueue._reject('total', 'must be between 0 and 1e15', 'Leave it out while it is not known.');
    elsif report_progress.current > report_progress.total then
        perform rowqueue._reject('current', 'must not be more than total', 'Raise total in the same call.');
    end if;

    v_progress := jsonb_build_object(
        'current', trim_scale(round(report_progress.current, 6)),
        'total', trim_scale(round(report_progress.total, 6)),
        'message', rowqueue._clip(report_progress.message, 1024));

    select j.cancel_requested_at is null as go_on, j.progress
    into v_job
    from rowqueue.jobs_live as j
    where j.id = report_progress.job_id and j.token = report_progress.token and j.status = 'running'
    for update;
    if not found then
        perform rowqueue._raise_lost(report_progress.job_id, report_progress.token);
    end if;

    -- Progress never moves backwards within one attempt, unless the total changes.
    if v_job.progress -> 'current' > v_progress -> 'current' and v_job.progress -> 'total' = v_progress -> 'total' then
        return v_job.go_on;
    end if;

    update rowqueue.jobs_live as j
    set progress = v_progress
    where j.id = report_progress.job_id;
    return v_job.go_on;
end
$$;

revoke all on function rowqueue.report_progress from public;
call rowqueue._grant('execute on function rowqueue.report_progress', 'worker', 'admin');

comment on function rowqueue.report_progress is
'Notes how far a running job is: progress becomes {"current", "total", "message"}. current and total are 0 to 1e15 with up to six decimals, current not above total; total is null while it is not known. The message is cut at 1024 bytes. Does not extend the lease.
Returns: true: go on. false: a cancellation was requested, stop soon.
Raises: RQ101 when the token no longer holds the job; RQ102 when it is finished; RQ001 when there is none; 22023 for a number out of range.
State: running -> running.
Role: worker, admin.
Repeat: overwrites. A lower current with the same total is ignored.';
