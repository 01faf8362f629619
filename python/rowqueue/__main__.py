"""``python -m rowqueue`` is the command ``rowqueue``."""

from rowqueue.cli import main

main()
