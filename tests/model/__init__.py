"""A small reference model of the queue, and what is tried against it."""
