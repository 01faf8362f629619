-- Puts a failed or cancelled job back, with its attempts anew.
-- State: failed | cancelled -> pending | Locks: one row of jobs_finished | Writes: jobs_finished, jobs_live
create or replace function rowqueue.retry(job_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v_now timestamptz := rowqueue._write_clock();
    v_old record;
    v_status text;
begin
    loop
        delete from rowqueue.jobs_finished as f
        where f.id = retry.job_id and f.completed_at >= rowqueue._id_time(retry.job_id) and f.status in ('failed', 'cancelled')
        returning f.* into v_old;
        exit when found;
        select j.status
        into v_status
        from rowqueue.get_job(retry.job_id) as j;
        if not found then
            perform rowqueue._raise_not_found(retry.job_id);
        elsif v_status not in ('failed', 'cancelled') then
            raise exception 'job % is %', retry.job_id, v_status
                using errcode = 'RQ102', hint = 'Only a failed or cancelled job can be retried.';
        end if;
        -- This call has waited for a transaction that put the job back and had it fail again: look once more.
    end loop;
    insert into rowqueue.jobs_live (
        id, workspace_id, ticket, created_at, run_after, priority, max_attempts, timeout_ms,
        queue, job_type, unique_key, last_error, payload)
    values (
        v_old.id, v_old.workspace_id, rowqueue._draw_ticket(), v_old.created_at, v_now, v_old.priority, v_old.max_attempts,
        v_old.timeout_ms, v_old.queue, v_old.job_type, v_old.unique_key, v_old.last_error, v_old.payload)
    on conflict (workspace_id, job_type, unique_key) where unique_key is not null do nothing;
    if not found then
        raise exception 'unique_key of job % is taken by a live job', retry.job_id
            using errcode = 'RQ102', hint = 'Wait for that job, or cancel it.';
    end if;
    perform rowqueue._wake_worker();
end
$$;

revoke all on function rowqueue.retry from public;
call rowqueue._grant('execute on function rowqueue.retry', 'producer', 'admin');

comment on function rowqueue.retry is
'Puts a failed or cancelled job back into its queue, with its attempts anew and due now. It keeps its id, payload and last_error; result, error and progress are cleared.
Returns: nothing.
Raises: RQ102 when it is pending, running or completed, or when a live job has taken its unique_key; RQ001 when there is none; 22023 for a null id.
State: failed or cancelled -> pending.
Role: producer, admin.
Repeat: RQ102, for it is pending then.';
