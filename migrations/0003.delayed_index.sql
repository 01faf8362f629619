-- depends: 0002.faster_enqueue
-- transactional: false
--
-- By hand, all of it: the index of delayed jobs without the status in its condition, which 0004 needs for its claims. It is built
-- while the queue is in use, and takes the place of jobs_live_due_idx in 0004.

-- One that was left unfinished is of no use.
drop index concurrently if exists rowqueue.jobs_live_delayed_idx;

-- step: a statement that builds an index concurrently is sent by itself
create index concurrently jobs_live_delayed_idx on rowqueue.jobs_live (queue, run_after)
where ticket is null;
