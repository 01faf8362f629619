-- Removes old finished jobs.
-- State: completed | failed | cancelled -> gone | Locks: jobs_finished 100 ms at most for a drop; else the rows | Writes: jobs_finished
create or replace function rowqueue.purge_finished(older_than interval default '30 days', max_jobs int default 10000)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '100ms'
as $$
declare
    v_before timestamptz;
    v_month record;
    v_count bigint;
    v_purged bigint := 0;
begin
    if purge_finished.older_than is null or purge_finished.older_than not between interval '0' and interval '1000 years' then
        perform rowqueue._reject('older_than', 'must be between nothing and 1000 years');
    elsif purge_finished.max_jobs is null or purge_finished.max_jobs not between 1 and 10000000 then
        perform rowqueue._reject('max_jobs', 'must be between 1 and 10000000');
    end if;
    v_before := rowqueue._now() - purge_finished.older_than;

    for v_month in
        select c.relname as name
        from pg_inherits as i
        join pg_class as c on c.oid = i.inhrelid
        where i.inhparent = 'rowqueue.jobs_finished'::regclass
        and c.relname ~ '^jobs_finished_\d{4}_\d{2}$'
        and to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= v_before
        order by c.relname
    loop
        begin
            execute format('select count(*) from rowqueue.%I', v_month.name) into v_count;
            execute format('drop table rowqueue.%I', v_month.name);
            v_purged := v_purged + v_count;
        exception when lock_not_available then
            -- Somebody reads it. Its rows are old all the same: they go below.
            null;
        end;
    end loop;

    begin
        with old as materialized (
            select f.id, f.completed_at
            from rowqueue.jobs_finished as f
            where f.completed_at < v_before
            limit purge_finished.max_jobs
            for update skip locked
        )
        delete from rowqueue.jobs_finished as f
        using old as o
        where f.id = o.id and f.completed_at = o.completed_at;
        get diagnostics v_count = row_count;
    exception when lock_not_available then
        -- Another purge has dropped a month and not committed.
        v_count := 0;
    end;
    return v_purged + v_count;
end
$$;

revoke all on function rowqueue.purge_finished from public;
call rowqueue._grant('execute on function rowqueue.purge_finished', 'admin');

comment on function rowqueue.purge_finished is
'Removes jobs that finished longer than older_than ago (up to 1000 years). Months that are old as a whole are dropped, whatever max_jobs says; where somebody reads one, and for the month that is partly old, up to max_jobs (1 to 10000000) rows are deleted. Waits 100 ms at most for a lock. Call it in a transaction of its own: after a drop, other sessions cannot finish jobs until it ends.
Returns: how many jobs were removed.
Raises: 22023 for an argument out of range.
State: completed, failed or cancelled -> gone.
Role: admin.
Repeat: removes the next ones; call it until it returns 0.';
