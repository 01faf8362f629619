"""``rowqueue demo``: the queue at work on real input, with its faults and its recoveries."""

from rowqueue.demo.run import run_demo

__all__ = ["run_demo"]
