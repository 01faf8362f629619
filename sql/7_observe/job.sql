-- What everyone may see of a job, in a reader's order. New columns go last.
create or replace view rowqueue.job as
select
    j.id, j.workspace_id, j.job_type, j.status, j.priority, j.payload, j.progress, j.result, j.error, j.last_error,
    j.attempts, j.max_attempts, j.created_at, j.started_at, j.completed_at, j.run_after, j.timeout_ms,
    j.queue, j.unique_key, j.worker, j.lease_until, j.cancel_requested_at, j.crashes
from rowqueue.jobs as j;

revoke all on table rowqueue.job from public;
call rowqueue._grant('select on table rowqueue.job', 'observer', 'admin');

comment on view rowqueue.job is 'Every job, in every state, as get_job and list_jobs return it.';
do $$
begin
    -- The columns mean what they mean in the table.
    execute (
        select string_agg(
            format('comment on column rowqueue.job.%I is %L', a.attname, col_description('rowqueue.jobs'::regclass, t.attnum)), ';')
        from pg_attribute as a
        join pg_attribute as t on t.attrelid = 'rowqueue.jobs'::regclass and t.attname = a.attname
        where a.attrelid = 'rowqueue.job'::regclass and a.attnum > 0 and not a.attisdropped
    );
end
$$;
