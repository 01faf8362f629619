"""The invariants that are not judged here, and why."""

NOT_JUDGED = {
    "I-14": "enqueue takes no idempotency key beside unique_key, which is I-13",
    "I-15": "there are no concurrency limits",
    "I-16": "there are no rate limits",
    "I-17": "there are no schedules",
    "I-18": "there are no dependencies between jobs",
}
"""Not built."""

JUDGED_IN_PART = {
    "I-6": "retry leaves its trace in the flight recorder; the product keeps no audit rows",
    "I-9": "attempts are counted at the claim and settled by crash accounting, not by a start mark",
    "I-19": "a workspace is a column as yet: that a job comes to the one asked for is checked",
    "I-20": "whatever was accepted is run and ends; odd payloads are tried by the input tests",
}
"""Judged, as far as it goes."""
