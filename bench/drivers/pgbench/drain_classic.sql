with claimed as (
    update classic.jobs
    set status = 'running', attempts = attempts + 1, started_at = now()
    where id in (
        select id from classic.jobs where status = 'pending' and run_after <= now()
        order by priority desc, created_at limit :batch for update skip locked)
    returning id, job_type, payload, attempts
)
select coalesce(array_agg(id), '{}') as ids from claimed \gset
update classic.jobs set status = 'completed', completed_at = now() where id = any(:ids::uuid[]) and status = 'running';
