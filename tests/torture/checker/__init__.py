"""The checker: reads what the processes and the database say of a run, and judges it.

install(db)                  # the flight recorder, before the run
verdict = judge(db, folder)  # once the queue is drained
print(verdict.report())
"""

from torture.checker.facts import Facts
from torture.checker.recorder import install
from torture.checker.verdict import CHECKS, Verdict, judge

__all__ = ["CHECKS", "Facts", "Verdict", "install", "judge"]
