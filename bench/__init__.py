"""Measurements of rowqueue beside other queues and baselines, each on a PostgreSQL of its own."""
