-- Cancels a job: at once while it waits; by asking its worker while it runs.
-- State: pending -> cancelled; running -> running | cancelled | Locks: one row of jobs_live | Writes: jobs_live, jobs_finished
create or replace function rowqueue.cancel(job_id uuid, reason text default null)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v_reason text := rowqueue._clip(cancel.reason, 1024);
    v_job record;
    v_ended text;
begin
    -- A job that is in neither room may have moved from the one to the other between the two looks: look once more.
    for v_look in 1..2 loop
        select j.status, j.token, j.cancel_requested_at, j.cancel_reason
        into v_job
        from rowqueue.jobs_live as j
        where j.id = cancel.job_id
        for update;
        exit when found;

        select f.status
        into v_ended
        from rowqueue.jobs_finished as f
        where f.id = cancel.job_id and f.completed_at >= rowqueue._id_time(cancel.job_id);
        if v_ended = 'cancelled' then
            return 'cancelled';
        elsif found then
            raise exception 'job % is % already', cancel.job_id, v_ended using errcode = 'RQ102';
        end if;
    end loop;
    if v_job.status is null then
        perform rowqueue._raise_not_found(cancel.job_id);
    end if;

    if v_job.status = 'running' and v_job.cancel_requested_at is null then
        update rowqueue.jobs_live as j
        set cancel_requested_at = rowqueue._now(),
            cancel_reason = v_reason
        where j.id = cancel.job_id;
        return 'running';
    end if;

    perform rowqueue._finish(
        array[cancel.job_id], array[v_job.token], v_job.status, 'cancelled',
        errors => array[coalesce(v_reason, v_job.cancel_reason, 'cancelled')]);
    return 'cancelled';
end
$$;

revoke all on function rowqueue.cancel from public;
call rowqueue._grant('execute on function rowqueue.cancel', 'producer', 'admin');

comment on function rowqueue.cancel is
'Cancels a job. A pending one is cancelled at once. A running one is asked to stop: its worker learns it with the next heartbeat or progress report; the end of the attempt, the end of its lease or a second call of cancel makes it cancelled. A job that completes all the same is completed. reason (cut at 1024 bytes) becomes its error.
Returns: cancelled, or running when its worker was asked.
Raises: RQ102 when it completed or failed; RQ001 when there is none; 22023 for a null id.
State: pending -> cancelled; running -> running, at the second call cancelled.
Role: producer, admin.
Repeat: cancels a running job without waiting for its worker, whose token is dead from then on; returns cancelled for a cancelled one.';
