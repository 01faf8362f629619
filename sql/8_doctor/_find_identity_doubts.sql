call rowqueue._finding(
    'identity_unconfirmed', 'error', 'this is a copy of the database in which jobs ran, and nobody has confirmed that they may run here',
    'claim_next raises RQ203: no job runs. In a copy, jobs that run elsewhere, or have run since, would run once more.');

-- Whether this is the database that it was.
create or replace function rowqueue._find_identity_doubts()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select
        'identity_unconfirmed',
        doubt.text,
        'select rowqueue.confirm_identity(); -- when no other database works on these jobs'
    from rowqueue._identity_doubt() as doubt(text)
    where doubt.text is not null
$$;

revoke all on function rowqueue._find_identity_doubts from public;
