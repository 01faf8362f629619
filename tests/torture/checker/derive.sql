-- From the flight recorder: one sorted pass over it, and then what follows from that.
analyze verdict.op;
analyze torture.journal;

-- Each version of each job, beside the one before. A job that moves between the rooms is deleted and inserted: that is one
-- version. `life` counts how often it was put back from a final state.
create unlogged table verdict.version as
select
    v.*,
    lag(v.status) over job as was,
    lag(v.token) over job as was_token,
    lag(v.ticket) over job as was_ticket,
    lag(v.run_after) over job as was_run_after,
    lag(v.lease_until) over job as was_lease_until,
    lag(v.attempts) over job as was_attempts,
    max(v.token) over (job rows between unbounded preceding and 1 preceding) as was_most_token,
    count(*) filter (where v.op = 'I' and v.status = 'pending') over job as life
from (
    select
        j.*,
        j.op = 'D' and lead(j.op) over job = 'I' and lead(j.xid) over job = j.xid as moves
    from torture.journal as j
    window job as (partition by j.job order by j.n)
) as v
where not v.moves
window job as (partition by v.job order by v.n);

analyze verdict.version;

-- Each job: what it was made as, and what became of it.
create unlogged table verdict.job as
select
    first.job, first.n, first.at, first.verb, first.ticket, first.run_after, first.workspace, first.priority,
    first.max_attempts, first.timeout_ms, first.queue, first.job_type, first.unique_key, first.key,
    last.status as last_status, last.token as last_token, last.verb as last_verb, last.lives, last.by_hand
from (
    select v.*
    from verdict.version as v
    where v.was is null and v.op = 'I'
) as first
join (
    select
        v.job,
        (array_agg(v.status order by v.n desc))[1] as status,
        (array_agg(v.token order by v.n desc))[1] as token,
        (array_agg(v.verb order by v.n desc))[1] as verb,
        max(v.life) as lives,
        bool_or(v.verb is null) as by_hand
    from verdict.version as v
    group by v.job
) as last on last.job = first.job;

analyze verdict.job;

-- Each lease: how a claim began and how it ended. A crash is a lease that ran out; a timeout is an attempt that did.
create unlogged table verdict.lease as
select
    c.job, c.token, c.life, c.n, c.at, c.called_at, c.started_at, c.attempts, c.alone,
    c.was_attempts, c.was_run_after, c.was_ticket, c.was, c.was_most_token,
    c.end_n, c.end_at, c.end_called_at, c.end_verb, c.end_status, c.end_attempts, c.end_crashes, c.end_run_after,
    c.end_token, c.end_lease_until, c.crashes,
    case
        when c.end_n is null then 'open'
        when c.end_verb is null then 'by hand'
        when c.end_verb in ('tick', 'tick_every', 'reap_stuck') and c.end_crashes > c.crashes then 'crash'
        when c.end_verb in ('tick', 'tick_every', 'reap_stuck') then 'timeout'
        when c.end_verb in ('complete', 'complete_many') and c.end_status = 'completed' then 'completed'
        when c.end_verb in ('fail_with_backoff', 'complete', 'complete_many') then 'failed'
        when c.end_verb = 'release' then 'released'
        when c.end_verb = 'cancel' then 'cancelled'
        else 'unknown'
    end as ended
from (
    select
        v.*,
        lead(v.n) over next as end_n,
        lead(v.at) over next as end_at,
        lead(v.called_at) over next as end_called_at,
        lead(v.verb) over next as end_verb,
        lead(v.status) over next as end_status,
        lead(v.token) over next as end_token,
        lead(v.attempts) over next as end_attempts,
        lead(v.crashes) over next as end_crashes,
        lead(v.run_after) over next as end_run_after,
        lead(v.was_lease_until) over next as end_lease_until
    from verdict.version as v
    where v.status is distinct from v.was or v.token is distinct from v.was_token
    window next as (partition by v.job order by v.n)
) as c
where c.status = 'running';

analyze verdict.lease;

-- The claims during which no other went on. One that was cut off may have gone on for as long as its session lasted.
create unlogged table verdict.lone_claim as
select c.p, c.op
from (
    select
        c.*,
        max(c.t1) over (began rows between unbounded preceding and 1 preceding) as others_ended,
        lead(c.t0) over began as next_began
    from (
        select o.p, o.op, min(o.t0) as t0, coalesce(min(o.t1), min(o.t0) + 10000000000) as t1
        from verdict.op as o
        where o.f = 'claim_next'
        group by o.p, o.op
    ) as c
    window began as (order by c.t0)
) as c
where coalesce(c.others_ended < c.t0, true) and coalesce(c.next_began > c.t1, true);
