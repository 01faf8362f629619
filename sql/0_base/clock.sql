-- All time comes from here. A test replaces this function to own the clock; in production nothing can set it.
-- It is the time of the call, not of the transaction: a lease taken late in a long transaction must not be born expired.
-- No SET clause, so that the planner inlines it.
create or replace function rowqueue._now()
returns timestamptz
language sql
volatile
security invoker
as $$ select pg_catalog.clock_timestamp() $$;

revoke all on function rowqueue._now from public;

-- The clock for a transaction that will write a run_after or draw a ticket. The transaction id comes first, so that whoever
-- sees this id ended has also seen everything that was written with an earlier clock (see 6_maintain/_raise_floors.sql).
create or replace function rowqueue._write_clock()
returns timestamptz
language sql
volatile
security invoker
as $$ select case when pg_catalog.pg_current_xact_id() is not null then rowqueue._now() end $$;

revoke all on function rowqueue._write_clock from public;

-- Milliseconds since 1970, the unit in which the clock sequences keep an instant.
create or replace function rowqueue._epoch_ms(at timestamptz)
returns bigint
language sql
immutable
security invoker
as $$ select (extract(epoch from $1) * 1000)::pg_catalog.int8 $$;

revoke all on function rowqueue._epoch_ms from public;
