"""Names that the demo and its workers, which are other processes, agree on."""

QUEUE = "demo"
"""The queue of all its jobs: no other worker gets them, and its workers get no others."""

FOLDER_VARIABLE = "ROWQUEUE_DEMO_FOLDER"
"""The environment variable that tells a worker where files go."""

WORKER_VARIABLE = "ROWQUEUE_DEMO_WORKER"
"""The environment variable that tells a worker its name."""
