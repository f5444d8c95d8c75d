"""What belongs to one process: threads, and what they hold."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerProcess"]

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Something that is made when it is first called for, and anew in a child of ``fork()``.

    :param make: makes it. It is not called before: gevent may still patch threads.
    """

    _made: T | None
    _lock: threading.Lock

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self) -> T:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def _forget(self) -> None:
        self._made = None
        self._lock = threading.Lock()
