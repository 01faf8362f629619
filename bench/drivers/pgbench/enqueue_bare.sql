insert into bare.jobs (id, ticket, created_at, run_after, queue, job_type, payload)
values (
    lpad(to_hex(nextval('bare.ids')), 32, '0')::uuid, nextval('bare.tickets'), now(), now(), 'default', 'noop', :payload)
returning id;
