"""Faults around a worker: it is killed, stopped, cut off, or its database goes away."""
