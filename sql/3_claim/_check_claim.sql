-- Raises 22023 for the first thing that is wrong with the arguments of claim_next.
create or replace function rowqueue._check_claim(worker text, queues text[], max_jobs int, lease interval)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if worker is null or octet_length(worker) not between 1 and 200 then
        perform rowqueue._reject('worker', 'must have 1 to 200 bytes', 'Name the host and the process.');
    elsif queues is null or cardinality(queues) not between 1 and 100 or array_ndims(queues) <> 1
        or array_position(queues, null) is not null then
        perform rowqueue._reject('queues', 'must be an array of 1 to 100 names');
    elsif max_jobs is null or max_jobs not between 1 and 1000 then
        perform rowqueue._reject('max_jobs', 'must be between 1 and 1000');
    end if;
    perform rowqueue._check_lease(lease);
end
$$;

revoke all on function rowqueue._check_claim from public;

create or replace function rowqueue._check_lease(lease interval)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if lease is null or lease <= interval '0' or lease > interval '1 day' then
        perform rowqueue._reject('lease', 'must be more than nothing and at most a day');
    end if;
end
$$;

revoke all on function rowqueue._check_lease from public;
