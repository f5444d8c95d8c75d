"""A clock that tests move, instead of waiting."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from datetime import timedelta

from .._engine import clock_advance, clock_resume, clock_stop

__all__ = ["ManualClock", "manual_clock"]

_lock = threading.Lock()
_users = 0


class ManualClock:
    """A clock that stands still until it is told to go on; see :func:`manual_clock`."""

    def advance(self, seconds: float | timedelta) -> None:
        """Let time pass.

        :param seconds: how much: a number of seconds, fractions included, or a ``timedelta``.
        :raises ValueError: it is negative; time does not go back.
        """
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        clock_advance(seconds)


@contextlib.contextmanager
def manual_clock() -> Iterator[ManualClock]:
    """Stop the clock of the in-process and the file system cache, for this process.

    ::

        with manual_clock() as clock:
            cache.set("key", "value", timeout=60)
            clock.advance(61)
            assert cache.get("key") is None

    Inside another ``manual_clock`` it is the same clock. It runs again when the outermost one ends,
    however it ends. Caches on a server keep the server's time.

    :return: a context manager that yields a :class:`ManualClock`.
    """
    global _users
    with _lock:
        _users += 1
        clock_stop()
    try:
        yield ManualClock()
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                clock_resume()
