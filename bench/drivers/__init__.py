"""The programs that do the work: one a system, each run as a process of its own."""
