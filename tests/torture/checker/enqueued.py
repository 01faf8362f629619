"""Which jobs there are: I-1 lost, I-2 phantom, I-13 unique keys, I-19, I-20, I-21 conservation."""

from torture.checker.check import Check

CHECKS = (
    Check(
        "I-1",
        "a job whose enqueue was acknowledged exists",
        """
        select o.job, format('%s was told that it is stored, and it never was', o.p)
        from verdict.enqueued as o
        left join verdict.job as j on j.job = o.job
        where o.type = 'ok' and o.job is not null and j.job is null
        """,
    ),
    Check(
        "I-1",
        "once the queue is drained, each job is final",
        """
        select s.id,
            format('it is %s, run_after %s, attempts %s', s.status, s.run_after, s.attempts)
        from rowqueue.jobs as s
        where s.status in ('pending', 'running') and (select r.drained from verdict.run as r)
        """,
    ),
    Check(
        "I-1",
        "a job stays until somebody removes it",
        """
        select j.job, format('it was %s last, and is in no table', j.last_status)
        from verdict.job as j
        left join rowqueue.jobs as s on s.id = j.job
        where s.id is null and j.last_status <> 'gone'
        -- A month that was dropped left no trace of its rows.
        and (j.last_status in ('pending', 'running')
            or not exists (select from verdict.op as o where o.f = 'purge_finished'))
        """,
    ),
    Check(
        "I-2",
        "an enqueue that failed or was rolled back leaves no job",
        """
        select j.job, format('its enqueue by %s ended with %s', o.p, o.code)
        from verdict.enqueued as o
        join verdict.job as j on j.key = o.key
        where o.type = 'fail'
        """,
    ),
    Check(
        "I-2",
        "each job was asked for",
        """
        select j.job, format('nobody enqueued %s', coalesce(j.key, 'a job without a key'))
        from verdict.job as j
        left join verdict.enqueued as o on o.key = j.key
        where o.key is null and j.verb is not null
        """,
    ),
    Check(
        "I-2",
        "one enqueue makes one job",
        """
        select (array_agg(j.job))[1],
            format('one of %s jobs that the enqueue of %s made', count(*), j.key)
        from verdict.job as j
        where j.key is not null
        group by j.key
        having count(*) > 1
        """,
    ),
    Check(
        "I-2",
        "an enqueue without a unique key returns the job that it made",
        """
        select o.job, format('%s enqueued %s, and was given %s', o.p, o.key, j.key)
        from verdict.enqueued as o
        join verdict.job as j on j.job = o.job
        where o.type = 'ok' and o.value ->> 'unique_key' is null and j.key is distinct from o.key
        """,
    ),
    Check(
        "I-2",
        "what is handed out or run exists",
        """
        select o.job, format('%s: %s of a job that never was', o.p, o.f)
        from verdict.op as o
        left join verdict.job as j on j.job = o.job
        where o.f in ('claim_next', 'run') and o.job is not null and j.job is null
        """,
    ),
    Check(
        "I-13",
        "of a unique key there is one live job at most",
        """
        select e.job, format('%s live jobs of %s with key %s', e.live, e.job_type, e.unique_key)
        from (
            select
                v.job, j.job_type, j.unique_key, v.change,
                sum(v.change) over (
                    partition by j.workspace, j.job_type, j.unique_key order by v.n
                ) as live
            from (
                select
                    v.job, v.n,
                    (v.status in ('pending', 'running'))::int
                    - coalesce(v.was in ('pending', 'running'), false)::int as change
                from verdict.version as v
            ) as v
            join verdict.job as j on j.job = v.job
            where v.change <> 0 and j.unique_key is not null
        ) as e
        where e.change > 0 and e.live > 1
        """,
    ),
    Check(
        "I-13",
        "an enqueue with a unique key returns a job that has it",
        """
        select o.job,
            format('%s asked with key %s, and its key is %s',
                o.p, o.value ->> 'unique_key', j.unique_key)
        from verdict.enqueued as o
        join verdict.job as j on j.job = o.job
        where o.type = 'ok' and j.unique_key is distinct from o.value ->> 'unique_key'
        """,
    ),
    Check(
        "I-13",
        "the job that an enqueue with a unique key returns is not over already",
        """
        select o.job, format('%s asked with key %s after it was completed', o.p, j.unique_key)
        from verdict.enqueued as o
        join verdict.job as j on j.job = o.job and j.lives = 1
        join verdict.accepted as c on c.job = o.job
            and c.f in ('complete', 'complete_many') and c.t1 < o.t0
        where o.type = 'ok' and o.value ->> 'unique_key' is not null
        """,
    ),
    Check(
        "I-19",
        "a job belongs to the workspace that it was enqueued for",
        """
        select o.job,
            format('%s asked for workspace %s, and it belongs to %s',
                o.p, o.value ->> 'workspace_id', j.workspace)
        from verdict.enqueued as o
        join verdict.job as j on j.job = o.job
        where o.type = 'ok'
        and j.workspace is distinct from (o.value ->> 'workspace_id')::uuid
        """,
    ),
    Check(
        "I-20",
        "a handler reads the payload that was enqueued",
        """
        select o.job, format('%s read %s, enqueued was %s', o.p, o.key, j.key)
        from verdict.op as o
        join verdict.job as j on j.job = o.job
        where o.f = 'run' and o.key is distinct from j.key
        """,
    ),
    Check(
        "I-21",
        "the tables hold what was written last",
        """
        select
            coalesce(j.job, s.id),
            format('stored: %s under token %s; written last: %s under token %s',
                coalesce(s.status, 'nothing'), s.token,
                coalesce(j.last_status, 'nothing'), j.last_token)
        from verdict.job as j
        full join rowqueue.jobs as s on s.id = j.job
        where (s.id is not null or j.last_status in ('pending', 'running'))
        and (s.status is distinct from j.last_status or s.token is distinct from j.last_token)
        """,
    ),
    Check(
        "I-21",
        "as many jobs are gone as purges and people have removed",
        """
        select null::uuid,
            format('%s finished jobs are gone; purges removed %s', missing.jobs, purged.jobs)
        from (
            select count(*) as jobs
            from verdict.job as j
            left join rowqueue.jobs as s on s.id = j.job
            where s.id is null and j.last_verb is not null
        ) as missing
        cross join (
            select
                coalesce(sum((o.value ->> 'removed')::bigint), 0) as jobs,
                coalesce(bool_and(o.type = 'ok'), true) as known
            from verdict.op as o
            where o.f = 'purge_finished' and o.type <> 'fail'
        ) as purged
        where missing.jobs < purged.jobs or (purged.known and missing.jobs > purged.jobs)
        """,
    ),
    Check(
        "I-21",
        "health() counts the rows that there are",
        """
        select null::uuid,
            format('queue %s: health says %s pending and %s running, there are %s and %s',
                coalesce(h.queue, s.queue), h.pending, h.running, s.pending, s.running)
        from rowqueue.health() as h
        full join (
            select
                s.queue,
                count(*) filter (where s.status = 'pending') as pending,
                count(*) filter (where s.status = 'running') as running
            from rowqueue.jobs as s
            group by s.queue
        ) as s on s.queue = h.queue
        where (coalesce(h.pending, 0), coalesce(h.running, 0))
            <> (coalesce(s.pending, 0), coalesce(s.running, 0))
        """,
    ),
)
