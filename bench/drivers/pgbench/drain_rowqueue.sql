select coalesce(array_agg(c.id), '{}') as ids, coalesce(array_agg(c.token), '{}') as tokens
from rowqueue.claim_next('bench', max_jobs => :batch) as c \gset
select count(*) from rowqueue.complete_many(:ids::uuid[], :tokens::bigint[]);
