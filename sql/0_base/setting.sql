-- A setting of the server, as this session has it. No SET clause, so that the planner inlines it.
create or replace function rowqueue._setting(name text)
returns text
language sql
stable
security invoker
as $$ select pg_catalog.current_setting($1, true) $$;

revoke all on function rowqueue._setting from public;
