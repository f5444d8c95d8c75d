"""Computations that are under way, so that a deletion wins over a result that comes late."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["Computation", "InFlight", "under_way"]

#: The computations under way on any backend of this process.
under_way: set[Computation] = set()


class Computation:
    """One run of a decorated function, from its miss until its result is stored."""

    __slots__ = ("keys", "lock", "superseded")

    def __init__(self, keys: tuple[Any, ...]) -> None:
        #: The key of its result, and those of the versions that are part of it.
        self.keys = keys
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
        self._reset()
        _all.add(self)

    def _reset(self) -> None:
        self._by_key: dict[Any, list[Computation]] = {}
        #: How many are replacing a version, by its key.
        self._replacing: dict[str, int] = {}
        # Reentrant: the garbage collector may run an application's code that deletes.
        self._lock = threading.RLock()

    def begin(self, *keys: Any) -> Computation:
        """Enter a computation of what belongs under a key, with the keys of the versions in it.

        The caller guarantees to end it.
        """
        computation = Computation(keys)
        under_way.add(computation)
        with self._lock:
            for key in keys:
                self._by_key.setdefault(key, []).append(computation)
                if key in self._replacing:
                    computation.superseded = True
        return computation

    def end(self, computation: Computation) -> None:
        """The computation is over, stored or not."""
        under_way.discard(computation)
        with self._lock:
            for key in computation.keys:
                running = self._by_key.get(key)
                # It is gone where this process was forked meanwhile.
                if running is not None and computation in running:
                    running.remove(computation)
                    if not running:
                        del self._by_key[key]

    def keys_under(self, prefix: str) -> list[str]:
        """The keys of computations under way that begin with ``prefix``."""
        with self._lock:
            return [key for key in self._by_key if type(key) is str and key.startswith(prefix)]

    def delete(self, keys: Iterable[Any], action: Callable[[], Any]) -> Any:
        """Run ``action``, which deletes ``keys``; no earlier computation stores after it."""
        if not self._by_key:
            return action()
        try:
            with self._lock:
                affected = [c for key in keys for c in self._by_key.get(key, ())]
        except TypeError:
            # A key that cannot be hashed: nothing is computed under it, and the backend says so.
            affected = []
        return self._supersede(affected, action)

    def replace(self, keys: list[str], action: Callable[[], Any]) -> Any:
        """Run ``action``, which replaces or deletes the versions under ``keys``.

        What begins meanwhile, and may have read the old version, does not store either: a backend
        without lifetimes to extend would be given the old version again.
        """
        replacing = self._replacing
        with self._lock:
            for key in keys:
                replacing[key] = replacing.get(key, 0) + 1
        try:
            return self.delete(keys, action)
        finally:
            with self._lock:
                for key in keys:
                    replacing[key] -= 1
                    if not replacing[key]:
                        del replacing[key]

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


_all: weakref.WeakSet[InFlight] = weakref.WeakSet()


def _forget_other_threads() -> None:
    # A forked child has none of its parent's other threads, which may have held a lock.
    under_way.clear()
    for in_flight in list(_all):
        in_flight._reset()


os.register_at_fork(after_in_child=_forget_other_threads)
