"""What SIGTERM and SIGINT mean to a worker."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` at the first SIGTERM or SIGINT; the second ends the process at once.

    The second finds the signal's default action in place, which works whatever the process is
    doing, and which a shell shows as status 143 or 130. Outside the main thread signals cannot
    be handled, and are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        stop()

    before = {each: signal.signal(each, first) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
