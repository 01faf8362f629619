"""``rowqueue bench``: what a database can do as a queue, and which settings are in the way.

A `run` takes its measures (`measuring`; `enqueue`, `drain` and `pickup` do the work) in a queue
that nobody else uses, and checks that every job was run once. `look` gathers facts before and
after, `findings` judges them, and `leftovers` sees to it that nothing stays.
"""

from rowqueue.benchmark.place import BenchmarkError
from rowqueue.benchmark.report import Report
from rowqueue.benchmark.run import run_benchmark
from rowqueue.benchmark.summary import print_summary

__all__ = ["BenchmarkError", "Report", "print_summary", "run_benchmark"]
