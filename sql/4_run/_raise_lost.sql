-- Says why a token does not hold a job: called by whoever found no row of jobs_live with this id, this token and status running.
create or replace function rowqueue._raise_lost(job_id uuid, token bigint)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job record;
begin
    select j.status, j.token
    into v_job
    from rowqueue.jobs_live as j
    where j.id = _raise_lost.job_id
    union all
    select j.status, j.token
    from rowqueue.jobs_finished as j
    where j.id = _raise_lost.job_id and j.completed_at >= rowqueue._id_time(_raise_lost.job_id)
    limit 1;

    if not found then
        perform rowqueue._raise_not_found(_raise_lost.job_id);
    elsif v_job.token = _raise_lost.token and v_job.status in ('completed', 'failed', 'cancelled') then
        raise exception 'job % is % already', _raise_lost.job_id, v_job.status
            using errcode = 'RQ102', hint = 'It is finished: drop what you have for it.';
    else
        raise exception 'lease on job % is lost', _raise_lost.job_id
            using errcode = 'RQ101',
                detail = format('Token %s no longer holds it; it is %s now.', _raise_lost.token, v_job.status),
                hint = 'Stop working on it. Extend the lease more often, or take a longer one.';
    end if;
end
$$;

revoke all on function rowqueue._raise_lost from public;

create or replace function rowqueue._raise_not_found(job_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if _raise_not_found.job_id is null then
        perform rowqueue._reject('job_id', 'must not be null');
    end if;
    raise exception 'no such job: %', _raise_not_found.job_id
        using errcode = 'RQ001', hint = 'It may have been purged.';
end
$$;

revoke all on function rowqueue._raise_not_found from public;

-- Raises 22023 unless a call names a job and a token.
create or replace function rowqueue._check_token(job_id uuid, token bigint)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if job_id is null then
        perform rowqueue._reject('job_id', 'must not be null');
    elsif token is null then
        perform rowqueue._reject('token', 'must not be null', 'It is in what claim_next returned.');
    end if;
end
$$;

revoke all on function rowqueue._check_token from public;

-- Raises 22023 unless a call names some jobs and as many tokens.
create or replace function rowqueue._check_tokens(job_ids uuid[], tokens bigint[])
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if job_ids is null or array_ndims(job_ids) > 1 or array_position(job_ids, null) is not null
        or cardinality(job_ids) > 10000 then
        perform rowqueue._reject('job_ids', 'must be an array of at most 10000 ids, none null');
    elsif tokens is null or array_ndims(tokens) > 1 or array_position(tokens, null) is not null
        or cardinality(tokens) <> cardinality(job_ids) then
        perform rowqueue._reject('tokens', 'must be an array with one token for each id, none null');
    end if;
end
$$;

revoke all on function rowqueue._check_tokens from public;
