-- Job ids are UUIDv7 (RFC 9562, section 5.7): time first, so that new entries land side by side in the id index, newest is
-- largest, and an id tells which finished partitions cannot hold it. PostgreSQL 18 has uuidv7(); below, the same is built here:
-- 48 bits of milliseconds, 12 bits of the fraction of one, 62 random bits. `ordinal` counts within a batch and moves
-- the time by as many microseconds, so that the ids of one batch rise in its order.
do $do$
begin
    if current_setting('server_version_num')::int >= 180000 then
        create or replace function rowqueue._new_id(ordinal int)
        returns uuid
        language sql
        volatile
        security invoker
        as $$ select pg_catalog.uuidv7() $$;
    else
        create or replace function rowqueue._new_id(ordinal int)
        returns uuid
        language plpgsql
        volatile
        security invoker
        set search_path = pg_catalog, pg_temp
        as $$
        declare
            v_us bigint := (extract(epoch from rowqueue._now()) * 1000000)::bigint + _new_id.ordinal;
        begin
            return encode(
                substring(int8send(v_us / 1000) from 3)
                || int2send((28672 + (v_us % 1000) * 4096 / 1000)::int2)
                || substring(uuid_send(gen_random_uuid()) from 9),
                'hex')::uuid;
        end
        $$;
    end if;
end
$do$;

revoke all on function rowqueue._new_id from public;

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
        return '-infinity';
    end if;
    return to_timestamp(('x' || lpad(left(v_hex, 12), 16, '0'))::bit(64)::bigint / 1000.0) - interval '1 day';
end
$$;

revoke all on function rowqueue._id_time from public;
