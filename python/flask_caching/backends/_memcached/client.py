"""What applications reach for under ``cache.cache._client``: a client in pylibmc's manner.

:class:`MemcachedClient` is that, over the engine's store. :class:`ClientStore` is the reverse: a
store over a client object that the application made.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cachelib.serializers import BaseSerializer

from ..._engine import memcached_wire_key, timeout_seconds
from ...codecs.pylibmc import Pylibmc
from .options import Behaviors, MemcachedOptions

if TYPE_CHECKING:
    from ..._engine import ByteStore

__all__ = ["ClientStore", "MemcachedClient"]

#: The protocol takes larger numbers of seconds as points in time.
_LONGEST_RELATIVE = 60 * 60 * 24 * 30

_CODEC = Pylibmc(BaseSerializer())


class MemcachedClient:
    """A client and a pool of clients in pylibmc's manner; keys are given with their prefix.

    :param store: returns the store in force.
    :param read: returns the options in force.
    :param write: puts other options in force.
    """

    def __init__(
        self,
        store: Callable[[], ByteStore],
        read: Callable[[], MemcachedOptions],
        write: Callable[[MemcachedOptions], None],
    ) -> None:
        self._store = store
        self._options = read
        self._reopen = write
        self._behaviors = Behaviors(read, write)

    @property
    def behaviors(self) -> Behaviors:
        """The behaviors: a mapping; called with changes, or assigned to, it applies them."""
        return self._behaviors

    @behaviors.setter
    def behaviors(self, changes: Mapping[str, Any]) -> None:
        self._behaviors(changes)

    @property
    def addresses(self) -> list[str]:
        """The servers."""
        return list(self._options().servers)

    @property
    def binary(self) -> bool:
        """Whether the binary protocol is spoken."""
        return self._options().binary

    @contextlib.contextmanager
    def reserve(self, block: bool = True) -> Iterator[MemcachedClient]:
        """The client itself, for ``with``: connections are reserved as they are needed."""
        yield self

    def get(self, key: str | bytes, default: Any = None) -> Any:
        """The value under ``key``."""
        stored = self._store().get(_bytes(key))
        return default if stored is None else _CODEC.decode(*stored)

    def get_multi(self, keys: list[str], key_prefix: str = "") -> dict[str, Any]:
        """The values of those of ``keys`` that have one."""
        stored = self._store().get_many([_bytes(key_prefix + key) for key in keys])
        return {
            key: _CODEC.decode(*entry)
            for key, entry in zip(keys, stored, strict=True)
            if entry is not None
        }

    def set(self, key: str | bytes, value: Any, time: int = 0) -> bool:
        """Store ``value``, for ``time`` seconds or, where that is more than 30 days, until then."""
        data, flags = _CODEC.encode(value)
        return self._store().set(_bytes(key), data, flags, timeout=_seconds(time))

    def add(self, key: str | bytes, value: Any, time: int = 0) -> bool:
        """Store ``value`` unless there is one; ``time`` as in :meth:`set`."""
        data, flags = _CODEC.encode(value)
        return self._store().add(_bytes(key), data, flags, timeout=_seconds(time))

    def set_multi(
        self, mapping: Mapping[str, Any], time: int = 0, key_prefix: str = ""
    ) -> list[str]:
        """Store all of ``mapping``; the keys that were not stored."""
        entries = [
            (_bytes(key_prefix + key), *_CODEC.encode(value)) for key, value in mapping.items()
        ]
        stored = self._store().set_many(entries, timeout=_seconds(time))
        return [key for key, done in zip(mapping, stored, strict=True) if not done]

    def delete(self, key: str | bytes) -> bool:
        """Remove ``key``; whether it was there."""
        return self._store().delete(_bytes(key))

    def delete_multi(self, keys: list[str], key_prefix: str = "") -> bool:
        """Remove ``keys``; whether all were there."""
        return all(self._store().delete_many([_bytes(key_prefix + key) for key in keys]))

    def incr(self, key: str | bytes, delta: int = 1) -> int:
        """Add ``delta`` to a number; one that is not there counts from 0."""
        return self._store().incr(_bytes(key), delta, timeout=0)

    def decr(self, key: str | bytes, delta: int = 1) -> int:
        """Subtract ``delta`` from a number."""
        return self.incr(key, -delta)

    def flush_all(self) -> bool:
        """Empty the servers."""
        return self._store().clear()

    def disconnect_all(self) -> None:
        """Let go of the connections; the next operation makes new ones."""
        self._reopen(self._options())


def _bytes(key: str | bytes) -> bytes:
    return key if isinstance(key, bytes) else key.encode("utf-8", "surrogatepass")


def _seconds(until: int) -> float:
    return until - time.time() if until > _LONGEST_RELATIVE else until


class ClientStore:
    """An object like ``memcache.Client``, used as it is, as a store.

    What it stores is not bytes but what it is given: the client serializes by itself. Counting and
    exchanging are as atomic as reading and writing by the client are: not.

    :param client: it has get, get_multi, set, set_multi, add, delete, delete_multi and flush_all.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def get(self, key: bytes) -> tuple[Any, int] | None:
        value = self._client.get(_text(key))
        return None if value is None else (value, 0)

    def get_many(self, keys: list[bytes]) -> list[tuple[Any, int] | None]:
        names = [_text(key) for key in keys]
        found = self._client.get_multi(names)
        values = [found.get(name) for name in names]
        return [None if value is None else (value, 0) for value in values]

    def set(self, key: bytes, data: Any, flags: int = 0, timeout: Any = None) -> bool:
        return bool(self._client.set(_text(key), data, _exptime(timeout)))

    def add(self, key: bytes, data: Any, flags: int = 0, timeout: Any = None) -> bool:
        return bool(self._client.add(_text(key), data, _exptime(timeout)))

    def set_many(self, entries: list[tuple[bytes, Any, int]], timeout: Any = None) -> list[bool]:
        mapping = {_text(key): data for key, data, _ in entries}
        failed = self._client.set_multi(mapping, _exptime(timeout)) or []
        return [_text(key) not in failed for key, _, _ in entries]

    def delete(self, key: bytes) -> bool:
        return bool(self._client.delete(_text(key)))

    def delete_many(self, keys: list[bytes]) -> list[bool]:
        done = bool(self._client.delete_multi([_text(key) for key in keys]))
        return [done] * len(keys)

    def has(self, key: bytes) -> bool:
        return self.get(key) is not None

    def incr(self, key: bytes, delta: int, timeout: Any = None) -> Any:
        stored = self.get(key)
        total = delta if stored is None else stored[0] + delta
        self.set(key, total, timeout=timeout)
        return total

    def extend(self, key: bytes, timeout: Any = None) -> bool:
        stored = self.get(key)
        return stored is not None and self.set(key, stored[0], timeout=timeout)

    def set_extending(
        self, key: bytes, data: Any, flags: int, timeout: Any, extended: list[bytes]
    ) -> tuple[bool, list[bool]]:
        if not self.set(key, data, flags, timeout):
            return False, []
        return True, [self.extend(name, timeout) for name in extended]

    def compare_exchange(self, key: bytes, expected: Any, new: Any, timeout: Any = None) -> bool:
        if self.get(key) != expected:
            return False
        return self.delete(key) if new is None else self.set(key, new[0], timeout=timeout)

    def clear(self) -> bool:
        # python-memcached returns nothing.
        result = self._client.flush_all()
        return result is None or bool(result)


def _text(key: bytes) -> str:
    """A key that every client can send."""
    return memcached_wire_key(key).decode("utf-8", "backslashreplace")


def _exptime(timeout: float | timedelta | None) -> int:
    """Seconds, or a point in time where they are too many; 0: for ever; -1: over."""
    seconds = 0 if timeout is None else timeout_seconds(timeout)
    if seconds < 0:
        return -1
    whole = math.ceil(seconds)
    return whole if whole <= _LONGEST_RELATIVE else int(time.time()) + whole
