"""What all processes have counted: each leaves its counts in the cache that they share.

A process claims one of a fixed number of keys, so that they can be read where a server lists none.
It writes the key anew every few seconds; of one that has died, it expires.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._engine import unobserved
from ..backends._observed.traced import UNWATCHED
from ._counting import stats_of
from ._wire import read, written

if TYPE_CHECKING:
    from flask import Flask

    from ..cache import Cache
    from ._counts import CacheStats

__all__ = ["MARK", "share_counts", "stats_of_all"]

logger = logging.getLogger("flask_caching")

#: What the keys begin with, behind the prefix of the cache.
MARK = "flask_caching_stats/"
#: How many processes can leave their counts.
_MOST_PROCESSES = 256
#: The shortest and the longest time between two times that counts are left, in seconds.
_SHORTEST, _LONGEST = 0.1, 86_400.0
#: Counts outlive so many intervals in which they are not written.
_LIFE = 3


def stats_of_all(cache: Cache) -> CacheStats:
    """The counts of this process, and those that others have left.

    :raises CacheBackendError: the backend failed.
    """
    state, backend = cache._place()
    own = unobserved(stats_of, cache, True)
    app = state.app()
    if app is None or not _is_shared(backend):
        return own
    share = _share_of(cache, app)
    processes = 1
    for text in unobserved(backend.get_many, *_keys(cache, app)):
        found = read(text)
        if found is not None and found[0] != share.name:
            own, processes = own._with(found[1]), processes + 1
    return replace(own, processes=processes)


def share_counts(app: Flask, cache: Cache) -> None:
    """Leave the counts of this process in the cache from now on, if it is shared.

    :param app: an application that has a request; the first counts are left seconds later.
    """
    state, backend = cache._states[app], app.extensions["cache"][cache]
    if state.stats_shared > 0 and _is_shared(backend):
        interval = min(max(state.stats_shared, _SHORTEST), _LONGEST)
        _publisher.add(_share_of(cache, app), interval)


class _Share:
    """What this process leaves of one cache and application."""

    def __init__(self, cache: Cache, app: Flask) -> None:
        self.cache, self.app = weakref.ref(cache), weakref.ref(app)
        self.name = secrets.token_hex(8)
        self.pid = os.getpid()
        self._key: str | None = None

    def write(self, interval: float) -> bool:
        """Write the counts; False where the cache is gone."""
        cache, app = self.cache(), self.app()
        if cache is None or app is None:
            return False
        backend = app.extensions["cache"].get(cache)
        if backend is None:
            return False
        with app.app_context():
            text, life = (
                written(self.name, _own_counts(cache, backend)),
                max(int(interval * _LIFE), 2),
            )
            if self._key is not None:
                there = read(backend.get(self._key))
                if there is None or there[0] == self.name:
                    backend.set(self._key, text, timeout=life)
                    return True
                # Another process took it while this one slept.
            keys = _keys(cache, app)
            taken = backend.get_many(*keys)
            self._key = next(
                (
                    key
                    for key, there in zip(keys, taken, strict=True)
                    if there is None and backend.add(key, text, timeout=life)
                ),
                None,
            )
        return True


def _own_counts(cache: Cache, backend: Any) -> CacheStats:
    """What this process has counted itself."""
    stats = stats_of(cache)
    if stats.backend is not None and backend._evicts_for_all:
        return replace(stats, backend=replace(stats.backend, evictions=None))
    return stats


_shares: weakref.WeakKeyDictionary[Cache, dict[int, _Share]] = weakref.WeakKeyDictionary()


def _share_of(cache: Cache, app: Flask) -> _Share:
    by_app = _shares.setdefault(cache, {})
    share = by_app.get(id(app))
    if share is None or share.app() is not app or share.pid != os.getpid():
        for key in [key for key, other in by_app.copy().items() if other.app() is None]:
            by_app.pop(key, None)
        share = by_app[id(app)] = _Share(cache, app)
    return share


class _Publisher:
    """One thread a process, which writes what is to be shared."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shares: dict[_Share, float] = {}
        self._pid = 0

    def add(self, share: _Share, interval: float) -> None:
        with self._lock:
            self._shares[share] = interval
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
        threading.Thread(target=self._run, name="flask-caching statistics", daemon=True).start()

    def _run(self) -> None:
        # No request asks for it.
        UNWATCHED.set(True)
        pause = threading.Event()
        while True:
            with self._lock:
                shares = dict(self._shares)
                if not shares:
                    self._pid = 0
                    return
            interval = min(shares.values())
            pause.wait(interval)
            for share in shares:
                if not self._write(share, interval):
                    with self._lock:
                        self._shares.pop(share, None)

    def _write(self, share: _Share, interval: float) -> bool:
        try:
            return unobserved(share.write, interval)
        except Exception as error:
            # The log has one of the outage where it matters to somebody.
            logger.debug("the counts of this process are not left in the cache: %s", error)
            return True

    def begin_anew(self) -> None:
        """In a child of ``fork()``: what its parent shared, it shares under a name of its own."""
        shares = self._shares
        self.__init__()  # type: ignore[misc]
        for share, interval in shares.items():
            cache, app = share.cache(), share.app()
            if cache is not None and app is not None:
                self.add(_share_of(cache, app), interval)


_publisher = _Publisher()
os.register_at_fork(after_in_child=_publisher.begin_anew)


def _is_shared(backend: Any) -> bool:
    """Whether other processes see what is in a backend, and writing costs little."""
    return bool(getattr(backend, "_shares_counts", False))


def _keys(cache: Cache, app: Flask) -> list[str]:
    # The caches of an application are told apart by their order, which is the same in each process.
    number = list(app.extensions["cache"]).index(cache)
    return [f"{MARK}{app.import_name}/{number}/{slot}" for slot in range(_MOST_PROCESSES)]
