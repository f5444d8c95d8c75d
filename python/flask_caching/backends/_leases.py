"""Leases: of all processes, one has a name for so long. All that takes is an atomic ``add``.

A lease is an entry of the cache: its value is a token that nobody else knows, its lifetime is what
a holder that is killed or frozen costs the others at most. Only the token's owner renews it, or
frees it.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from typing import Any

from cachelib import BaseCache as CachelibBaseCache

from ._byte_backend import ByteBackend

__all__ = ["Lease", "can_lease", "pauses"]

#: Seconds from one question whether a lease is free to the next: the first ones, and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25


def pauses() -> Iterator[float]:
    """Seconds from one question to the next: ever more, and no two who wait ask in step."""
    pause = _FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.75, 1.0)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def can_lease(backend: Any) -> bool:
    """Whether a backend adds a key in one atomic step; what cachelib's base class has is none."""
    add = getattr(type(backend), "add", None)
    return add is not None and add is not CachelibBaseCache.add


class Lease:
    """One lease, which may be held or not.

    :param backend: where it is kept.
    :param key: its key.
    :param seconds: how long it lives without being renewed.
    """

    __slots__ = ("__weakref__", "_backend", "_key", "_seconds", "_token")

    def __init__(self, backend: Any, key: str, seconds: float) -> None:
        self._backend = backend
        self._key = key
        self._seconds = seconds
        self._token = secrets.token_hex(16)

    def take(self) -> bool:
        """Take it, unless somebody has it.

        :raises Exception: what the backend raises.
        """
        return bool(self._backend.add(self._key, self._token, timeout=self._seconds))

    def is_held(self) -> bool:
        """Whether it is still there, and is this one."""
        return bool(self._backend.get(self._key) == self._token)

    def renew(self) -> bool:
        """Let it live as long again as at first; False: it is not held any more."""
        backend = self._backend
        if not isinstance(backend, ByteBackend):
            return self.is_held() and bool(
                backend.set(self._key, self._token, timeout=self._seconds)
            )
        store, key, stored = self._stored(backend)
        # The exchange knows whose it is, and sets a lifetime where the store cannot extend one.
        return bool(
            store.compare_exchange(key, stored, stored, timeout=self._seconds)
        ) and store.extend(key, timeout=self._seconds)

    def free(self) -> bool:
        """Let others have it; False: it was not held any more."""
        backend = self._backend
        if not isinstance(backend, ByteBackend):
            return self.is_held() and bool(backend.delete(self._key))
        store, key, stored = self._stored(backend)
        return bool(store.compare_exchange(key, stored, None, timeout=self._seconds))

    def _stored(self, backend: ByteBackend) -> tuple[Any, bytes, tuple[bytes, int]]:
        """The backend's store, and the key and the token as they are there."""
        key = backend._encode_key(self._key)
        return backend._store, key, backend._pack(self._key, key, self._token)
