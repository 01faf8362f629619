-- What the checks read: made anew, in a schema of its own, from the histories and the flight recorder.
drop schema if exists verdict cascade;
create schema verdict;

-- An operation of a client on one job, as its history tells it.
create unlogged table verdict.op (
    p text not null,
    op int not null,
    f text not null,
    t0 bigint not null,
    t1 bigint,
    type text not null,
    job uuid,
    key text,
    token bigint,
    code text,
    value jsonb
);

-- What is known of the run as a whole.
create unlogged table verdict.run (
    clock_jumps boolean not null,
    drained boolean not null
);

-- Who enqueued what.
create view verdict.enqueued as
select o.* from verdict.op as o where o.f in ('enqueue', 'enqueue_many');

-- Which jobs were handed to whom, under which tokens.
create view verdict.handed as
select o.* from verdict.op as o where o.f = 'claim_next' and o.type = 'ok' and o.job is not null;

-- What holders of a token said of their jobs, and were not refused.
create view verdict.accepted as
select o.*
from verdict.op as o
where o.f in (
    'complete', 'complete_many', 'fail_with_backoff', 'release', 'report_progress', 'extend_lease', 'extend_leases')
and o.type = 'ok' and o.code is distinct from 'lost';

-- Which changes the documents know, and what may bring each about; a person may do so by hand.
create table verdict.documented (was text, status text, verbs text[]);
insert into verdict.documented (was, status, verbs)
values
    ('-', 'pending', '{enqueue,enqueue_many}'),
    ('pending', 'pending', '{claim_next,tick,tick_every}'),
    ('pending', 'running', '{claim_next}'),
    ('pending', 'cancelled', '{cancel}'),
    ('running', 'running', '{extend_lease,extend_leases,report_progress,cancel,tick,tick_every,reap_stuck}'),
    ('running', 'pending', '{fail_with_backoff,release,tick,tick_every,reap_stuck,complete_many}'),
    ('running', 'completed', '{complete,complete_many}'),
    ('running', 'failed', '{fail_with_backoff,tick,tick_every,reap_stuck,complete_many}'),
    ('running', 'cancelled', '{cancel,fail_with_backoff,release,tick,tick_every,reap_stuck,complete_many}'),
    ('failed', 'pending', '{retry}'),
    ('cancelled', 'pending', '{retry}'),
    ('completed', 'gone', '{purge_finished}'),
    ('failed', 'gone', '{purge_finished}'),
    ('cancelled', 'gone', '{purge_finished}');
