"""Faults of the servers: failover, poolers, full disks, limits, copies, damage."""
