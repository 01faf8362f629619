call rowqueue._finding(
    'transaction_idle', 'warning', 'a session has been idle in a transaction for five minutes, and holds a snapshot or has written',
    'No row that died since can be cleared away, so tables and indexes grow. If it has written, floors cannot rise either, and claims slow down.');
call rowqueue._finding(
    'transaction_old', 'warning', 'a transaction has been under way for fifteen minutes, and holds a snapshot or has written',
    'No row that died since can be cleared away, so tables and indexes grow. If it has written, floors cannot rise either, and claims slow down.');
call rowqueue._finding(
    'transaction_hidden', 'warning', 'a session of another user holds a snapshot that 100,000 transactions have begun since',
    'No row that died since can be cleared away. Since when, and with which query, is hidden from the owner of rowqueue.');
call rowqueue._finding(
    'transaction_prepared', 'error', 'a transaction has been prepared for five minutes, and nobody has finished it',
    'It outlives its session and every restart. Until it is finished no row that died since can be cleared away, and floors cannot rise.');
call rowqueue._finding(
    'slot_inactive', 'warning', 'a replication slot has no consumer',
    'The server keeps all log since it was last read, and the rows that it may still need, until the disk is full.');
call rowqueue._finding(
    'replica_snapshot', 'warning', 'a replica with hot_standby_feedback holds a snapshot that 100,000 transactions have begun since',
    'A query there keeps rows that died here from being cleared away.');

-- Who keeps dead rows from being cleared away, and floors from rising: the oldest first.
create or replace function rowqueue._find_held_snapshots()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with holder as (
        select
            a.pid, a.usename, a.application_name, a.state, a.datname, rowqueue._now() - a.xact_start as held_for,
            age(coalesce(a.backend_xmin, a.backend_xid)) as transactions,
            case
                when a.datid is null then 'replica_snapshot'
                when a.xact_start is null then 'transaction_hidden'
                when a.state ~ '^idle in transaction' then 'transaction_idle'
                else 'transaction_old'
            end as kind,
            concat_ws(', ', 'user ' || a.usename, 'application ' || nullif(a.application_name, ''), a.state,
                case when a.backend_xid is not null then 'has written' end,
                case when a.datname <> current_database() then 'in database ' || a.datname end) as who,
            ': ' || left(regexp_replace(a.query, '\s+', ' ', 'g'), 80) as doing
        from pg_stat_activity as a
        -- Vacuum does not wait for the server's own sessions, which have no user.
        where a.usename is not null and a.pid <> pg_backend_pid()
        and (a.backend_xid is not null or (a.backend_xmin is not null and coalesce(a.datname = current_database(), true)))
    ), held as (
        select
            h.kind as name,
            format('process %s (%s) for %s%s', h.pid, h.who, date_trunc('second', h.held_for), h.doing) as what,
            format('select pg_terminate_backend(%s);', h.pid) as remedy,
            h.transactions
        from holder as h
        where (h.kind = 'transaction_idle' and h.held_for >= interval '5 minutes')
        or (h.kind = 'transaction_old' and h.held_for >= interval '15 minutes')
        union all
        select
            h.kind,
            format('process %s (%s), %s transactions old', h.pid, h.who, h.transactions),
            case h.kind
                when 'replica_snapshot'
                    then 'alter system set hot_standby_feedback = off; select pg_reload_conf(); -- there, or end the query there'
                else format('grant pg_read_all_stats to %I; -- then ask again', current_user)
            end,
            h.transactions
        from holder as h
        where h.kind in ('transaction_hidden', 'replica_snapshot') and h.transactions >= 100000
        union all
        select
            'replica_snapshot',
            format('replication slot %s, %s transactions old', s.slot_name, age(s.xmin)),
            'alter system set hot_standby_feedback = off; select pg_reload_conf(); -- there, or end the query there',
            age(s.xmin)
        from pg_replication_slots as s
        where s.active and age(s.xmin) >= 100000
        union all
        select
            'slot_inactive',
            format('replication slot %s (%s)%s', s.slot_name, s.slot_type,
                ', ' || greatest(age(s.xmin), age(s.catalog_xmin)) || ' transactions old'),
            format('select pg_drop_replication_slot(%L);', s.slot_name),
            greatest(age(s.xmin), age(s.catalog_xmin))
        from pg_replication_slots as s
        where not s.active and not s.temporary
        union all
        select
            'transaction_prepared',
            format('%L of %s in database %s, for %s', p.gid, p.owner, p.database,
                date_trunc('second', rowqueue._now() - p.prepared)),
            format('rollback prepared %L; -- or commit prepared', p.gid),
            age(p.transaction)
        from pg_prepared_xacts as p
        where rowqueue._now() - p.prepared >= interval '5 minutes'
    )
    select h.name, case when h.transactions = max(h.transactions) over () then 'the oldest: ' else '' end || h.what, h.remedy
    from held as h
    order by h.transactions desc nulls last
$$;

revoke all on function rowqueue._find_held_snapshots from public;
