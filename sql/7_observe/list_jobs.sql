-- The latest jobs, a page at a time.
-- State: - | Locks: none | Writes: nothing
--
-- Planned anew at each call, so that arguments left out drop out of the plan, and every room is read by an index, backwards.
create or replace function rowqueue.list_jobs(
    workspace_id uuid default null,
    status text default null,
    job_type text default null,
    max_jobs int default 20,
    before uuid default null
)
returns setof rowqueue.job
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
    if list_jobs.status not in ('pending', 'running', 'completed', 'failed', 'cancelled') then
        perform rowqueue._reject('status', 'must be pending, running, completed, failed or cancelled');
    elsif list_jobs.max_jobs is null or list_jobs.max_jobs not between 1 and 1000 then
        perform rowqueue._reject('max_jobs', 'must be between 1 and 1000', 'Page on with before.');
    end if;
    return query
    select j.*
    from rowqueue.job as j
    where (list_jobs.workspace_id is null or j.workspace_id = list_jobs.workspace_id)
    and (list_jobs.status is null or j.status = list_jobs.status)
    and (list_jobs.job_type is null or j.job_type = list_jobs.job_type)
    and (list_jobs.before is null or j.id < list_jobs.before)
    order by j.id desc
    limit list_jobs.max_jobs;
end
$$;

revoke all on function rowqueue.list_jobs from public;
call rowqueue._grant('execute on function rowqueue.list_jobs', 'producer', 'observer', 'admin');

comment on function rowqueue.list_jobs is
'The latest jobs, newest first, up to max_jobs (1 to 1000): of one workspace, one status, one job type, or of all where these are null. before is the last id of the page before.
Returns: the jobs.
Raises: 22023 for an unknown status or max_jobs out of range.
State: changes no job.
Role: producer, observer, admin.
Repeat: reads again.';
