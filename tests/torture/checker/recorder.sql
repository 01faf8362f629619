-- The flight recorder: a trigger writes each version of each job, in the transaction that makes it, with the database's
-- clock and the function that the client called. What was rolled back is not here, and what is here was committed.
--
-- The numbers rise in the order of a job's versions, for whoever writes one holds the lock on its row.
create schema torture;

create table torture.journal (
    n bigint generated always as identity,
    at timestamptz not null default clock_timestamp(),
    -- The function read its clock between these two.
    called_at timestamptz not null default statement_timestamp(),
    xid xid8 not null default pg_current_xact_id(),
    job uuid not null,
    token bigint,
    ticket bigint,
    run_after timestamptz,
    started_at timestamptz,
    lease_until timestamptz,
    attempts int,
    crashes int,
    op "char" not null,
    alone boolean,
    stopping boolean,
    status text,
    verb text,
    -- What does not change, once a life; and progress, when it was reported.
    workspace uuid,
    priority int,
    max_attempts int,
    timeout_ms int,
    queue text,
    job_type text,
    unique_key text,
    key text,
    progress jsonb
) with (autovacuum_enabled = off);

comment on table torture.journal is 'Each version of each job. verb is the function that the client called; null for plain SQL.';

-- What handlers of the types effect… write in the transaction that completes their job.
create table torture.effects (
    job uuid not null,
    token bigint not null,
    at timestamptz not null default clock_timestamp()
);

create function torture.record()
returns trigger
language plpgsql
security definer
as $$
declare
    v_verb text := substring(pg_catalog.current_query() from 'rowqueue\."?([a-z_]+)"?\s*\(');
begin
    if tg_op = 'DELETE' then
        insert into torture.journal (job, token, op, status, verb)
        values (old.id, old.token, 'D', 'gone', v_verb);
    elsif tg_op = 'INSERT' and new.status = 'pending' then
        insert into torture.journal (
            job, token, ticket, run_after, attempts, crashes, op, status, verb,
            workspace, priority, max_attempts, timeout_ms, queue, job_type, unique_key, key)
        values (
            new.id, new.token, new.ticket, new.run_after, new.attempts, new.crashes, 'I', new.status, v_verb,
            new.workspace_id, new.priority, new.max_attempts, new.timeout_ms, new.queue, new.job_type, new.unique_key,
            new.payload ->> 'key');
    else
        insert into torture.journal (
            job, token, ticket, run_after, started_at, lease_until, attempts, crashes, op, alone, stopping, status, verb,
            progress)
        values (
            new.id, new.token, new.ticket, new.run_after, new.started_at, new.lease_until, new.attempts, new.crashes,
            substr(tg_op, 1, 1), new.claimed_alone, new.cancel_requested_at is not null, new.status, v_verb,
            case when v_verb = 'report_progress' then new.progress end);
    end if;
    return null;
end
$$;

create trigger torture_record after insert or update or delete on rowqueue.jobs
for each row execute function torture.record();
