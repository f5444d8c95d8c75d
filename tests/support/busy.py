"""What a busy machine takes of a test's time."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

__all__ = ["Stopwatch"]


def _waited() -> dict[str, int]:
    """For how many nanoseconds threads of this process were ready to run, without a processor."""
    waited = {}
    for task in os.listdir("/proc/self/task"):
        # One that ends meanwhile, or a kernel that does not count it.
        with contextlib.suppress(OSError):
            waited[task] = int(Path(f"/proc/self/task/{task}/schedstat").read_text().split()[1])
    return waited


class Stopwatch:
    """For what has a deadline: on a quiet machine the time, and on a busy one no more."""

    def __init__(self) -> None:
        self._waited, self._start = _waited(), time.perf_counter()

    def waited(self) -> float:
        """Seconds for which, since it was made, threads waited for a processor, added up."""
        waited = sum(now - self._waited.get(task, 0) for task, now in _waited().items())
        return waited / 1e9

    def seconds(self) -> float:
        """Seconds since it was made, without those."""
        return time.perf_counter() - self._start - self.waited()
