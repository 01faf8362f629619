select count(*)
from graphile_worker.add_jobs(array(
    select row(e.job ->> 'job_type', (e.job -> 'payload')::json, null, null, null, null, null, null)::graphile_worker.job_spec
    from batch as b, jsonb_array_elements(b.jobs) as e(job)));
