-- One new job as the functions pass it on: the arguments of enqueue, in its order.
do $$
begin
    if to_regtype('rowqueue._new_job') is null then
        create type rowqueue._new_job as (
            job_type text,
            payload jsonb,
            workspace_id uuid,
            priority int,
            run_after timestamptz,
            max_attempts int,
            timeout_ms int,
            unique_key text,
            queue text
        );
    end if;
end
$$;

-- Whether this is a name for a queue or a job type. Trimming tells it in a quarter of a regular expression's time.
create or replace function rowqueue._is_name(name text)
returns boolean
language sql
immutable
security invoker
as $$
    select pg_catalog.octet_length($1) operator(pg_catalog.<=) 63
        and pg_catalog.ltrim($1, 'abcdefghijklmnopqrstuvwxyz0123456789_.:-') operator(pg_catalog.=) ''
        and pg_catalog.ltrim(pg_catalog.left($1, 1), '_.:-') operator(pg_catalog.<>) ''
$$;

revoke all on function rowqueue._is_name from public;

create or replace function rowqueue._name_hint()
returns text
language sql
immutable
security invoker
as $$ select 'A name has 1 to 63 of the characters a-z 0-9 _ . : - and begins with a letter or a digit.' $$;

revoke all on function rowqueue._name_hint from public;

-- The first thing that is wrong with a job, as arguments for _reject (which argument, why, a remedy, the code); null when nothing is.
-- Nothing is written before every job of a call has passed. No SET clause, so that the planner inlines it.
create or replace function rowqueue._job_problem(
    job_type text,
    payload jsonb,
    priority int,
    run_after timestamptz,
    max_attempts int,
    timeout_ms int,
    unique_key text,
    queue text,
    now timestamptz
)
returns text[]
language sql
stable
security invoker
as $$
    select case
        when rowqueue._is_name($1) is not true
            then array['job_type', 'is not a valid name', rowqueue._name_hint(), '22023']
        when rowqueue._is_name($8) is not true
            then array['queue', 'is not a valid name', rowqueue._name_hint(), '22023']
        when $3 is null or $3 not between -32768 and 32767
            then array['priority', 'must be between -32768 and 32767', null, '22023']
        when $5 is null or $5 not between 1 and 1000
            then array['max_attempts', 'must be between 1 and 1000', null, '22023']
        when $6 is null or $6 not between 1 and 86400000
            then array['timeout_ms', 'must be between 1 and 86400000', 'It is in milliseconds, a day at most.', '22023']
        when $4 not between '1970-01-01Z' and $9 + interval '10 years'
            then array['run_after', 'must lie between 1970 and ten years from now', 'Leave it out for "now".', '22023']
        when pg_catalog.octet_length($7) not between 1 and 512
            then array['unique_key', 'must have 1 to 512 bytes', 'Leave it out, or use a hash of a longer key.', '22023']
        when pg_catalog.jsonb_typeof($2) <> 'object'
            then array['payload', 'must be a JSON object', 'Wrap it: {"value": …}.', '22023']
        -- Asked once, for the answer may take a while; null where nothing is wrong.
        else pg_catalog.string_to_array(
            'payload|' || rowqueue._json_problem($2) || '|Keep large or odd data elsewhere, and a reference to it here.|RQ103', '|')
    end
$$;

revoke all on function rowqueue._job_problem from public;
