-- Raises 22023 for a delay that no clock can hold. Null passes.
create or replace function rowqueue._check_delay(argument text, delay interval)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if delay < interval '0' or delay > interval '10 years' then
        perform rowqueue._reject(argument, 'must be between nothing and ten years');
    end if;
end
$$;

revoke all on function rowqueue._check_delay from public;
