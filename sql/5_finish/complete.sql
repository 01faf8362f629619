-- Completes one job.
-- State: running -> completed | Locks: one row of jobs_live | Writes: jobs_live, jobs_finished
create or replace function rowqueue.complete(job_id uuid, token bigint, result jsonb default null)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_problem text := rowqueue._json_problem(complete.result);
    v_done uuid[];
begin
    perform rowqueue._check_token(complete.job_id, complete.token);
    if v_problem is not null then
        raise exception 'result %', v_problem
            using errcode = 'RQ103', hint = 'Store large or odd data elsewhere and return a reference to it.';
    end if;

    v_done := rowqueue._finish(
        array[complete.job_id], array[complete.token], 'running', 'completed', array[complete.result]);
    if v_done = '{}' and not rowqueue._is_completed(complete.job_id, array[complete.token]) then
        perform rowqueue._raise_lost(complete.job_id, complete.token);
    end if;
end
$$;

revoke all on function rowqueue.complete from public;
call rowqueue._grant('execute on function rowqueue.complete', 'worker', 'admin');

comment on function rowqueue.complete is
'Completes a running job, in the caller''s transaction: a business write and the completion stand or fall together. result is any JSON value.
Returns: nothing.
Raises: RQ101 when the token no longer holds the job, so that the caller''s transaction rolls back too; RQ102 when it failed or was cancelled under this token; RQ001 when there is none; RQ103 for a result that cannot be stored; 22023 for a null id or token.
State: running -> completed.
Role: worker, admin.
Repeat: with the token that completed it, does nothing.';
