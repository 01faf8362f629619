call rowqueue._finding(
    'autovacuum_off', 'error', 'autovacuum, or track_counts by which it goes, is off: for the server or for a table of rowqueue',
    'Nothing clears away what claims and completions leave behind. The live table grows with every job, and everything that reads it slows down.');
call rowqueue._finding(
    'autovacuum_starving', 'warning', 'a table of rowqueue has four times the dead rows at which autovacuum should come, and none came for fifteen minutes',
    'Autovacuum is busy elsewhere, or cannot get at the table. The live table grows meanwhile.');
call rowqueue._finding(
    'dead_rows', 'warning', 'the live table has 100,000 dead rows or more, and five times as many as live ones',
    'Autovacuum does not keep up, or somebody holds an old snapshot. Claims stay fast, other queries of the table do not.');
call rowqueue._finding(
    'live_room_bloated', 'notice', 'the live table takes 64 MiB or more, and ten times what its rows need',
    'It is what a large backlog leaves behind. It costs disk and memory, and whatever reads the whole table, as health() does.');

-- Whether dead rows of the live room are cleared away, and its size. All from what the server counts: no table is read.
create or replace function rowqueue._find_dead_rows()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with ours as (
        select
            s.relid, s.relname, s.n_live_tup, s.n_dead_tup,
            rowqueue._now() - greatest(s.last_vacuum, s.last_autovacuum, pg_postmaster_start_time()) as since,
            coalesce(s.last_autovacuum, s.last_vacuum) as last,
            coalesce((option ->> 'autovacuum_vacuum_threshold')::numeric,
                current_setting('autovacuum_vacuum_threshold')::numeric)
            + coalesce((option ->> 'autovacuum_vacuum_scale_factor')::numeric,
                current_setting('autovacuum_vacuum_scale_factor')::numeric) * greatest(c.reltuples, 0) as threshold,
            coalesce((option ->> 'fillfactor')::numeric, 100) / 100 as filled,
            coalesce((option ->> 'autovacuum_enabled')::boolean, true) as enabled
        from pg_stat_all_tables as s
        join pg_class as c on c.oid = s.relid
        cross join lateral (
            select jsonb_object_agg(o.option_name, o.option_value) from pg_options_to_table(c.reloptions) as o
        ) as options(option)
        where s.schemaname = 'rowqueue'
    ), live as (
        select
            o.*,
            pg_relation_size(o.relid) as bytes,
            -- 28 bytes a row are its header and its place in the page.
            o.n_live_tup / o.filled * (
                select 28 + sum(st.avg_width * (1 - st.null_frac))
                from pg_stats as st
                where st.schemaname = 'rowqueue' and st.tablename = o.relname
            ) as needed
        from ours as o
        where o.relname = 'jobs_live'
    )
    select 'autovacuum_off', format('%s = off', setting),
        format('alter system set %s = on; select pg_reload_conf();', setting)
    from unnest(array['autovacuum', 'track_counts']) as setting
    where rowqueue._setting(setting) = 'off'
    union all
    select 'autovacuum_off', format('autovacuum_enabled = off on rowqueue.%I', o.relname),
        format('alter table rowqueue.%I reset (autovacuum_enabled);', o.relname)
    from ours as o
    where not o.enabled
    union all
    select 'autovacuum_starving',
        format('rowqueue.%I has %s dead rows, autovacuum should come at %s and last came %s', o.relname, o.n_dead_tup,
            round(o.threshold), coalesce(o.last::text, 'never')),
        format('vacuum (verbose) rowqueue.%I; -- and see autovacuum_max_workers', o.relname)
    from ours as o
    where o.n_dead_tup > 4 * o.threshold and o.since >= interval '15 minutes'
    union all
    select 'dead_rows', format('%s dead rows beside %s live ones', l.n_dead_tup, l.n_live_tup),
        'vacuum (verbose) rowqueue.jobs_live;'
    from live as l
    where l.n_dead_tup >= greatest(100000, 5 * l.n_live_tup)
    union all
    select 'live_room_bloated',
        format('%s, and %s of indexes, for about %s rows that need %s', pg_size_pretty(l.bytes),
            pg_size_pretty(pg_indexes_size(l.relid)), l.n_live_tup, pg_size_pretty(round(l.needed)::bigint)),
        'vacuum (full) rowqueue.jobs_live; -- it stops the queue while it lasts'
    from live as l
    where l.bytes >= 64 * 1024 * 1024 and l.bytes > 10 * (l.needed + l.n_dead_tup * 200)
$$;

revoke all on function rowqueue._find_dead_rows from public;
