insert into bare.jobs (id, ticket, created_at, run_after, queue, job_type, payload)
select lpad(to_hex(nextval('bare.ids')), 32, '0')::uuid, nextval('bare.tickets'), now(), now(), 'default', j.job_type, j.payload
from jsonb_to_recordset((select b.jobs from batch as b)) as j(job_type text, payload jsonb);
