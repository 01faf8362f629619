call rowqueue._finding(
    'fsync_off', 'error', 'fsync is off',
    'Nothing is waited for until it is on disk. After a power failure the whole database may be beyond repair.');
call rowqueue._finding(
    'full_page_writes_off', 'error', 'full_page_writes is off',
    'A page that was half written when the machine went down cannot be restored, unless the file system never tears pages.');
call rowqueue._finding(
    'synchronous_commit_off', 'error', 'synchronous_commit is off, here or for a role or this database',
    'A commit does not wait for the disk. When the server goes down, jobs that were enqueued in the last moments are gone, and completed ones run again.');
call rowqueue._finding(
    'commits_not_replicated', 'warning', 'there is a synchronous standby, but synchronous_commit is local',
    'Commits do not wait for the standby, and a failover loses jobs.');
call rowqueue._finding(
    'damage_ignored', 'error', 'zero_damaged_pages or ignore_checksum_failure is on',
    'Damaged pages are read as if nothing had happened: jobs vanish silently.');
call rowqueue._finding(
    'table_unlogged', 'error', 'a table of rowqueue is unlogged',
    'A crash empties it, and a standby never has it.');

-- Settings that decide whether what is committed stays.
create or replace function rowqueue._find_unsafe_settings()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select kind, format('%s = %s', setting, rowqueue._setting(setting)),
        format('alter system set %s = %s; select pg_reload_conf();', setting, safe)
    from (
        values
            ('fsync_off', 'fsync', 'off', 'on'),
            ('full_page_writes_off', 'full_page_writes', 'off', 'on'),
            ('synchronous_commit_off', 'synchronous_commit', 'off', 'on'),
            ('damage_ignored', 'zero_damaged_pages', 'on', 'off'),
            ('damage_ignored', 'ignore_checksum_failure', 'on', 'off')
    ) as rule(kind, setting, unsafe, safe)
    where rowqueue._setting(setting) = unsafe
    union all
    select
        'synchronous_commit_off',
        concat_ws(' ', 'synchronous_commit = off', 'for role ' || nullif(s.setrole, 0)::regrole, 'in database ' || d.datname),
        format('alter %s reset synchronous_commit;',
            case
                when s.setrole = 0 then format('database %I', d.datname)
                else concat_ws(' in database ', format('role %s', s.setrole::regrole), quote_ident(d.datname))
            end)
    from pg_db_role_setting as s
    left join pg_database as d on d.oid = s.setdatabase
    where (s.setdatabase = 0 or d.datname = current_database()) and 'synchronous_commit=off' = any (s.setconfig)
    union all
    select 'commits_not_replicated', 'synchronous_commit = local',
        'alter system set synchronous_commit = on; select pg_reload_conf();'
    where rowqueue._setting('synchronous_commit') = 'local' and rowqueue._setting('synchronous_standby_names') <> ''
    union all
    select 'table_unlogged', format('%s is unlogged', c.oid::regclass), format('alter table %s set logged;', c.oid::regclass)
    from pg_class as c
    where c.relnamespace = 'rowqueue'::regnamespace and c.relkind in ('r', 'p') and c.relpersistence = 'u'
$$;

revoke all on function rowqueue._find_unsafe_settings from public;
