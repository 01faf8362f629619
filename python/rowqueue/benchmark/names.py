"""Names that a run, what it leaves and what clears it up agree on."""

from datetime import timedelta
from uuid import UUID

QUEUE = "rowqueue.bench"
"""The queue of all its jobs: no other worker gets them, and its workers get no others."""

JOB_TYPE = "noop"

WORKSPACE = UUID("0b5e7c1e-0000-4000-8000-726f77717565")
"""The workspace of each run's first job, by which a later run finds what was left behind."""

APPLICATION = "rowqueue bench"
"""What its sessions call themselves."""

WORKER = "bench"
"""The name under which it claims."""

LEASE = timedelta(seconds=30)
"""How long what a killed run had claimed stays out of reach."""

PAYLOAD = {"n": 0, "pad": "x" * 80}
"""What each job carries: about a hundred bytes."""
