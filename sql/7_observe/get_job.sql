-- One job, in whatever state.
-- State: - | Locks: none | Writes: nothing
create or replace function rowqueue.get_job(job_id uuid)
returns setof rowqueue.job
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
rows 1
as $$
begin
    if get_job.job_id is null then
        perform rowqueue._reject('job_id', 'must not be null');
    end if;
    return query
    select j.*
    from rowqueue.job as j
    where j.id = get_job.job_id and j.status in ('pending', 'running')
    union all
    select j.*
    from rowqueue.job as j
    where j.id = get_job.job_id and j.status in ('completed', 'failed', 'cancelled')
    and j.completed_at >= rowqueue._id_time(get_job.job_id);
end
$$;

revoke all on function rowqueue.get_job from public;
call rowqueue._grant('execute on function rowqueue.get_job', 'producer', 'worker', 'observer', 'admin');

comment on function rowqueue.get_job is
'One job with its status, progress, result and error, in whatever state.
Returns: one row; none when there is no such job.
Raises: 22023 for null.
State: changes no job.
Role: producer, worker, observer, admin.
Repeat: reads again.';
