call rowqueue._finding(
    'transaction_ids_low', 'error', 'the oldest transaction id, or multixact, of a database is more than a billion behind',
    'Half of them are used. At two billion the server takes no more writes, of any database, until it is vacuumed by hand. Something keeps autovacuum from freezing.');
call rowqueue._finding(
    'version_unsupported', 'warning', 'this major version of PostgreSQL gets no more fixes',
    'Defects and security holes that are found from now on stay.');

-- Whether the server will last.
create or replace function rowqueue._find_old_server()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select
        'transaction_ids_low',
        format('database %s: %s transactions and %s multixacts behind', d.datname, age(d.datfrozenxid), mxid_age(d.datminmxid)),
        'vacuum (freeze); -- in that database, as superuser, once no old transaction, slot or prepared transaction is left'
    from pg_database as d
    where greatest(age(d.datfrozenxid), mxid_age(d.datminmxid)) > 1000000000
    union all
    select
        'version_unsupported',
        format('PostgreSQL %s gets no more fixes since %s', current_setting('server_version'), support.ends),
        '-- Upgrade to a newer major version: https://www.postgresql.org/support/versioning/'
    from (
        values (15, date '2027-11-11'), (16, date '2028-11-09'), (17, date '2029-11-08'), (18, date '2030-11-14')
    ) as support(major, ends)
    where support.major = current_setting('server_version_num')::int / 10000 and support.ends <= rowqueue._now()
$$;

revoke all on function rowqueue._find_old_server from public;
