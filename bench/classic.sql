-- The baseline: the one table with SKIP LOCKED that people write by hand. It keeps no history apart, has no tokens and no leases.
create schema classic;

create table classic.jobs (
    id bigint generated always as identity primary key,
    status text not null default 'pending',
    priority int not null default 0,
    attempts int not null default 0,
    payload jsonb not null,
    result jsonb,
    worker text,
    run_after timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz
);

create index jobs_claim_idx on classic.jobs (priority desc, id) where status = 'pending';
