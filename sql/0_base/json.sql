-- Why a document cannot be stored and read back by every client, or null when it can. What accepts it must be able to
-- hand it out again: a job that a worker cannot decode would be a job that nobody can run.
-- The checks go from cheap to dear. A number is checked before the document is ever written out as text: 1e131071 takes
-- 30 bytes in jsonb and 131,000 as text. Measured worst case below 1 MiB: 51 ms.
create or replace function rowqueue._json_problem(doc jsonb)
returns text
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if pg_column_size(_json_problem.doc) > 1048576 then
        return 'is larger than 1 MiB';
    elsif _json_problem.doc @? 'strict $.**{64}' then
        return 'is nested deeper than 63 levels';
    elsif _json_problem.doc @? '$.** ? (@.type() == "number"
        && (@ > 1e308 || @ < -1e308 || (@ != 0 && @ < 1e-307 && @ > -1e-307)))' then
        return 'has a number beyond the range of a double (1e-307 to 1e308)';
    -- A zero may carry 16,000 decimals in 28 bytes, so text can be 600 times as long.
    elsif pg_column_size(_json_problem.doc) > 1700 and octet_length(_json_problem.doc::text) > 1048576 then
        return 'is larger than 1 MiB as text';
    end if;
    return null;
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
