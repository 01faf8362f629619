import time
def test_dbg(db):
    for q in ["insert into rowqueue.jobs (id, created_at, job_type, priority, run_after, ticket) select gen_random_uuid(), now(), 'sync', n%3, now(), nextval('rowqueue.tickets') from generate_series(1,100000) n",
     "insert into rowqueue.jobs_live (id, created_at, job_type, priority, run_after, ticket) select gen_random_uuid(), now(), 'sync', n%3, now(), n from generate_series(1,100000) n",
     "insert into rowqueue.jobs_live (id, created_at, job_type, priority, run_after, ticket) select ('01890000-0000-7000-8000-' || lpad(n::text,12,'0'))::uuid, now(), 'sync', n%3, now(), n from generate_series(1,100000) n",
     "select count(*) from rowqueue.enqueue_many((select jsonb_agg(jsonb_build_object('job_type', 'sync', 'priority', n % 3)) from generate_series(1,100000) as n))"]:
        t=time.monotonic(); db.execute(q); print(time.monotonic()-t, q[:60])
