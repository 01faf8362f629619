-- Job ids are UUIDv7 (RFC 9562, section 5.7): time first, so that new entries land side by side in the id index, newest is
-- largest, and an id tells which finished partitions cannot hold it. PostgreSQL 18 has uuidv7(); below, the same is built here:
-- 48 bits of milliseconds, 12 bits of the fraction of one, 62 random bits. `at_us` is in microseconds since 1970; a batch counts
-- it up, so that its ids rise in its order, and draws `random` once, as the RFC has it (section 6.2): drawing it costs
-- more than the rest. No SET clause, so that the planner inlines it.
do $do$
begin
    if current_setting('server_version_num')::int >= 180000 then
        create or replace function rowqueue._uuid7(at_us bigint, random uuid)
        returns uuid
        language sql
        volatile
        security invoker
        as $$ select pg_catalog.uuidv7() $$;
    else
        create or replace function rowqueue._uuid7(at_us bigint, random uuid)
        returns uuid
        language sql
        volatile
        security invoker
        as $$
            select pg_catalog.encode(
                pg_catalog.substring(pg_catalog.int8send($1 / 1000), 3)
                || pg_catalog.int2send((28672 + ($1 % 1000) * 4096 / 1000)::pg_catalog.int2)
                || pg_catalog.substring(pg_catalog.uuid_send($2), 9),
                'hex')::pg_catalog.uuid
        $$;
    end if;
end
$do$;

revoke all on function rowqueue._uuid7 from public;

-- The instant in a UUIDv7, less a day for clocks that were set back; '-infinity' for any other uuid.
create or replace function rowqueue._id_time(id uuid)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_hex text := replace(_id_time.id::text, '-', '');
begin
    if substring(v_hex from 13 for 1) <> '7' then
        return timestamptz '-infinity';
    end if;
    return to_timestamp(('x' || lpad(left(v_hex, 12), 16, '0'))::bit(64)::bigint / 1000.0) - interval '1 day';
end
$$;

revoke all on function rowqueue._id_time from public;
