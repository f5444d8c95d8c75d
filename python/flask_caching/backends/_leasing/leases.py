"""Leases: of all processes, one has a name for so long. All that takes is an atomic ``add``.

A lease is an entry of the cache: its value is a token that nobody else knows, its lifetime is what
a holder that is killed or frozen costs the others at most. Only the token's owner renews it, or
frees it.
"""

from __future__ import annotations

import secrets
from typing import Any

from cachelib import BaseCache as CachelibBaseCache

from ..._engine import MISSING
from .._bytes.backend import ByteBackend

__all__ = ["Lease", "add_lease", "can_lease", "is_in_use", "note_use", "token_under"]

_in_use = False


def note_use() -> None:
    """Entries may be leases of calls from now on."""
    global _in_use
    _in_use = True


def is_in_use() -> bool:
    """Whether a deletion may be one of something that is being computed under a lease."""
    return _in_use


def can_lease(backend: Any) -> bool:
    """Whether a backend adds a key in one atomic step; what cachelib's base class has is none."""
    add = getattr(type(backend), "add", None)
    return add is not None and add is not CachelibBaseCache.add


def token_under(backend: Any, key: str) -> Any:
    """The token of whoever has a lease now; None: nobody does. No copy nearby knows that."""
    if getattr(backend, "_near", None) is None:
        return backend.get(key)
    token = backend._ask_many(key)[0]
    return None if token is MISSING else token


def add_lease(store: Any, key: bytes, stored: tuple[bytes, int], seconds: float) -> bool:
    """Put a lease where nothing is, in one atomic step."""
    # Not every store ends entries to the moment by itself.
    add = getattr(store, "add_lease", store.add)
    return bool(add(key, *stored, timeout=seconds))


class Lease:
    """One lease, which may be held or not.

    :param backend: where it is kept.
    :param key: its key.
    :param seconds: how long it lives without being renewed.
    """

    __slots__ = ("_backend", "_seconds", "_token", "key")

    def __init__(self, backend: Any, key: str, seconds: float) -> None:
        self._backend = backend
        self.key = key
        self._seconds = seconds
        self._token = secrets.token_hex(16)

    def take(self) -> bool:
        """Take it, unless somebody has it.

        :raises Exception: what the backend raises.
        """
        backend = self._backend
        if isinstance(backend, ByteBackend) and hasattr(backend._store, "add_lease"):
            return add_lease(*self._stored(backend), self._seconds)
        return bool(backend.add(self.key, self._token, timeout=self._seconds))

    def put(self) -> bool:
        """Take it, from whoever has it."""
        return self._backend.set(self.key, self._token, timeout=self._seconds) is not False

    def is_held(self) -> bool:
        """Whether it is still there, and is this one."""
        return bool(self.present() == self._token)

    def present(self) -> Any:
        """The token of whoever has it now; None: nobody does."""
        return token_under(self._backend, self.key)

    def watching(self, token: Any) -> Lease:
        """The lease of whoever has it now, whose ``token`` is known: it can be looked at."""
        watched = Lease(self._backend, self.key, self._seconds)
        watched._token = token
        return watched

    def renew(self) -> bool:
        """Let it live as long again as at first; False: it is not held any more."""
        backend = self._backend
        if not isinstance(backend, ByteBackend):
            return self.is_held() and bool(
                backend.set(self.key, self._token, timeout=self._seconds)
            )
        store, key, stored = self._stored(backend)
        return bool(store.set_if(key, stored, stored, timeout=self._seconds))

    def free(self) -> bool:
        """Let others have it; False: it was not held any more."""
        backend = self._backend
        if not isinstance(backend, ByteBackend):
            return self.is_held() and bool(backend.delete(self.key))
        store, key, stored = self._stored(backend)
        return bool(store.compare_exchange(key, stored, None, timeout=self._seconds))

    def _stored(self, backend: ByteBackend) -> tuple[Any, bytes, tuple[bytes, int]]:
        """The backend's store, and the key and the token as they are there."""
        key = backend._encode_key(self.key)
        return backend._store, key, backend._pack(self.key, key, self._token)
