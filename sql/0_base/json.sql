-- What is wrong with a document's numbers or with its length as text, or null. Twelve bytes may hold a number of 131,000 digits
-- (1e131071) or a zero with 16,000 decimals (0e-16383), so the document is written out as a whole only after its numbers were,
-- 64 at a time, up to the first that says enough. A number beyond a double has 300 digits: only where they are does it compare.
create or replace function rowqueue._text_problem(doc jsonb)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    c_most constant int := 1048576;
    v_numbers jsonb := jsonb_path_query_array(_text_problem.doc, 'strict $.** ? (@.type() == "number")');
    v_some jsonb;
    v_text text;
    v_length int := 0;
begin
    for v_first in 0..jsonb_array_length(v_numbers) - 1 by 64 loop
        v_some := jsonb_path_query_array(
            v_numbers, '$[$first to $last]', jsonb_build_object('first', v_first, 'last', v_first + 63));
        v_text := v_some::text;
        if v_text ~ '[0-9]{255}'
            and v_some @? '$[*] ? (@ > 1e308 || @ < -1e308 || (@ != 0 && @ < 1e-307 && @ > -1e-307))' then
            return 'has a number beyond the range of a double (1e-307 to 1e308)';
        end if;
        v_length := v_length + octet_length(v_text);
        exit when v_length > c_most;
    end loop;
    if v_length > c_most or octet_length(_text_problem.doc::text) > c_most then
        return 'is larger than 1 MiB as text';
    end if;
    return null;
end
$$;

revoke all on function rowqueue._text_problem from public;

-- Why a document cannot be stored and read back by every client, or null when it can. What accepts it must be able to
-- hand it out again: a job that a worker cannot decode would be a job that nobody can run.
-- The checks go from cheap to dear, and most documents pass at the first: 64 levels take 512 bytes, and a number beyond a double
-- takes more than 300 characters. No SET clause, so that the planner inlines it.
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
        when $1 is not null then rowqueue._text_problem($1)
    end
$$;

revoke all on function rowqueue._json_problem from public;

-- The first `bytes` bytes of a text, cut between characters: left() counts characters, and an é takes two bytes.
create or replace function rowqueue._clip(words text, bytes int)
returns text
language plpgsql
immutable
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
