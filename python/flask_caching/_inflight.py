"""Computations that are under way, so that a deletion wins over a result that comes late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["Computation", "InFlight"]


class Computation:
    """One run of a decorated function, from its miss until its result is stored."""

    __slots__ = ("key", "lock", "superseded")

    def __init__(self, key: Any) -> None:
        self.key = key
        # Held while the result is stored and while the key is deleted, so that one comes after the
        # other. Reentrant: storing may run the application's code, which may delete.
        self.lock = threading.RLock()
        self.superseded = False


class InFlight:
    """The computations under way on one backend of one process.

    A computation that began before a deletion of its key, or before a clear, may not store its
    result.
    """

    def __init__(self) -> None:
        self._by_key: dict[Any, list[Computation]] = {}
        self._lock = threading.Lock()

    def begin(self, key: Any) -> Computation:
        """Enter a computation of what belongs under ``key``. The caller guarantees to end it."""
        computation = Computation(key)
        with self._lock:
            self._by_key.setdefault(key, []).append(computation)
        return computation

    def end(self, computation: Computation) -> None:
        """The computation is over, stored or not."""
        with self._lock:
            running = self._by_key.get(computation.key)
            if running is None or computation not in running:
                return
            running.remove(computation)
            if not running:
                del self._by_key[computation.key]

    def delete(self, keys: Iterable[Any], action: Callable[[], Any]) -> Any:
        """Run ``action``, which deletes ``keys``; no earlier computation stores after it."""
        if not self._by_key:
            return action()
        with self._lock:
            affected = [c for key in keys for c in self._by_key.get(key, ())]
        return self._supersede(affected, action)

    def clear(self, action: Callable[[], Any]) -> Any:
        """Run ``action``, which deletes everything."""
        if not self._by_key:
            return action()
        with self._lock:
            affected = [c for running in self._by_key.values() for c in running]
        return self._supersede(affected, action)

    @staticmethod
    def _supersede(affected: list[Computation], action: Callable[[], Any]) -> Any:
        for computation in affected:
            with computation.lock:
                computation.superseded = True
        return action()
