call rowqueue._finding(
    'queue_unserved', 'error', 'a queue has had a due job for five minutes, and none of its jobs runs',
    'No worker serves the queue, or those that do are kept busy by other queues or have no handler for its jobs.');
call rowqueue._finding(
    'worker_silent', 'warning', 'a worker holds jobs whose lease ran out ten seconds ago',
    'It died, hangs or cannot reach the database. Its jobs run again once tick() has taken them back.');
call rowqueue._finding(
    'tick_missing', 'error', 'a job has been stuck, or due and without its place in the order, for a minute',
    'Nobody calls tick(): jobs of dead workers stay running, and delayed jobs wait for the next claim.');

-- Whether somebody works, and somebody looks after those who do. It reads the head of each lane, and what runs.
create or replace function rowqueue._find_unserved_queues()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
    with clock as materialized (
        select rowqueue._now() as now
    ), lane as materialized (
        select l.* from rowqueue._lanes_of(rowqueue._queues()) as l
    ), running as materialized (
        select l.queue, j.worker, least(j.lease_until, rowqueue._times_out(j.started_at, j.timeout_ms)) as ended_at
        from lane as l
        cross join lateral (
            select j.worker, j.lease_until, j.started_at, j.timeout_ms
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority
            and j.ticket >= l.live_floor and j.ticket < l.ceiling and j.status = 'running'
            -- So that it is asked lane by lane, however few jobs the planner expects to run.
            offset 0
        ) as j
    ), waiting as materialized (
        select l.queue, head.run_after
        from lane as l
        cross join lateral (
            select j.run_after
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority and j.ticket >= l.floor and j.status = 'pending'
            order by j.ticket
            limit 1
        ) as head
    ), unplaced as materialized (
        select q.queue, head.run_after
        from (select distinct l.queue from lane as l) as q
        cross join lateral (
            select j.run_after
            from rowqueue.jobs_live as j
            where j.queue = q.queue and j.ticket is null
            and j.run_after >= '-infinity' and j.run_after <= (select c.now from clock as c)
            order by j.run_after
            limit 1
        ) as head
    ), due as (
        select w.queue, min(w.run_after) as since
        from (select queue, run_after from waiting union all select queue, run_after from unplaced) as w
        group by w.queue
    )
    select
        'queue_unserved',
        format('queue %s has had a due job for %s, and none of its jobs runs', d.queue, date_trunc('second', c.now - d.since)),
        format('-- Start a worker for it: Worker(queues=[%s]), or claim_next(''…'', %L).', to_json(d.queue), array[d.queue]::text)
    from due as d, clock as c
    where d.since <= c.now - interval '5 minutes'
    and not exists (select from running as r where r.queue = d.queue)
    union all
    select
        'worker_silent',
        format('worker %s holds %s jobs whose lease or timeout ran out, the first one %s ago', r.worker, count(*),
            date_trunc('second', max(c.now - r.ended_at))),
        'select * from rowqueue.reap_stuck();'
    from running as r, clock as c
    where r.ended_at <= c.now - interval '10 seconds'
    group by r.worker
    union all
    select
        'tick_missing',
        concat_ws('; ',
            nullif(count(*) filter (where s.kind = 'stuck'), 0) || ' jobs are stuck',
            nullif(count(*) filter (where s.kind = 'unplaced'), 0) || ' queues have due jobs that nobody has given a place'),
        'select rowqueue.tick(); -- every few seconds: by a worker, pg_cron or cron'
    from (
        select 'stuck' as kind, r.ended_at as since from running as r
        union all
        select 'unplaced', u.run_after from unplaced as u
    ) as s, clock as c
    where s.since <= c.now - interval '1 minute'
    having count(*) > 0
$$;

revoke all on function rowqueue._find_unserved_queues from public;
