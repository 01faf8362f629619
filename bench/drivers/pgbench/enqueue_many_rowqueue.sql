select count(*) from rowqueue.enqueue_many((select b.jobs from batch as b));
