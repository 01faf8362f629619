-- The baseline: the one table with SKIP LOCKED that people write by hand, with the columns that they give it (id, status, times,
-- progress, result, …) and random UUIDs for ids. It keeps no history apart, has no tokens and no leases.
create schema classic;

create table classic.jobs (
    id uuid primary key default gen_random_uuid(),
    workspace_id uuid,
    job_type text not null,
    status text not null default 'pending',
    priority int not null default 0,
    payload jsonb not null,
    progress jsonb,
    result jsonb,
    error text,
    attempts int not null default 0,
    max_attempts int not null default 3,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    run_after timestamptz not null default now(),
    timeout_ms int not null default 600000
);

create index jobs_claim_idx on classic.jobs (priority desc, created_at) where status = 'pending';
