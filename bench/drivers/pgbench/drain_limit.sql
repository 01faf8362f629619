with claimed as (
    update least.jobs
    set state = state + 1
    where ctid = any(array(select ctid from least.jobs where state = 0 order by id limit :batch for update skip locked))
    returning id
)
select coalesce(array_agg(id), '{}') as ids from claimed \gset
update least.jobs set state = state + 1 where id = any(:ids::bigint[]);
