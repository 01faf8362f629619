-- Why a document cannot be stored and read back by every client, or null when it can. What accepts it must be able to
-- hand it out again: a job that a worker cannot decode would be a job that nobody can run.
-- The checks go from cheap to dear, and most documents pass at the first: 64 levels take 512 bytes, and a number beyond a double
-- takes more than 300 characters. A larger document is not written out as text before its numbers have been looked at:
-- 1e131071 takes 30 bytes in jsonb and 131,000 as text. No SET clause, so that the planner inlines it.
create or replace function rowqueue._json_problem(doc jsonb)
returns text
language sql
stable
security invoker
as $$
    select case
        -- In an array of its own, for a value read from a table may be compressed, and count as small.
        when pg_catalog.pg_column_size(pg_catalog.jsonb_build_array($1)) < 512
            and pg_catalog.octet_length($1::pg_catalog.text) < 300 then null
        when pg_catalog.pg_column_size(pg_catalog.jsonb_build_array($1)) > 1048576 then 'is larger than 1 MiB'
        when $1 operator(pg_catalog.@?) 'strict $.**{64}' then 'is nested deeper than 63 levels'
        when $1 operator(pg_catalog.@?) '$.** ? (@.type() == "number"
            && (@ > 1e308 || @ < -1e308 || (@ != 0 && @ < 1e-307 && @ > -1e-307)))'
            then 'has a number beyond the range of a double (1e-307 to 1e308)'
        -- A zero may carry 16,383 decimals in 12 bytes: below 768 bytes even those stay within 1 MiB.
        when pg_catalog.pg_column_size(pg_catalog.jsonb_build_array($1)) >= 768
            and pg_catalog.octet_length($1::pg_catalog.text) > 1048576 then 'is larger than 1 MiB as text'
    end
$$;

revoke all on function rowqueue._json_problem from public;

-- The first `bytes` bytes of a text, cut between characters: left() counts characters, and an é takes two bytes.
create or replace function rowqueue._clip(words text, bytes int)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_clipped text := left(_clip.words, _clip.bytes);
begin
    while octet_length(v_clipped) > _clip.bytes loop
        v_clipped := left(v_clipped, least(length(v_clipped) - 1, length(v_clipped) * _clip.bytes / octet_length(v_clipped)));
    end loop;
    return v_clipped;
end
$$;

revoke all on function rowqueue._clip from public;
