"""A store over a client object that the application made."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Any

from ..._engine import memcached_wire_key, timeout_seconds
from .._bytes.stepwise import Stepwise

__all__ = ["LONGEST_RELATIVE", "MemcachedClientStore"]

#: The protocol takes larger numbers of seconds as points in time.
LONGEST_RELATIVE = 60 * 60 * 24 * 30


class MemcachedClientStore(Stepwise):
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

    def incr(self, key: bytes, delta: int, timeout: Any = None) -> Any:
        stored = self.get(key)
        total = delta if stored is None else stored[0] + delta
        self.set(key, total, timeout=timeout)
        return total

    def extend(self, key: bytes, timeout: Any = None) -> bool:
        stored = self.get(key)
        return stored is not None and self.set(key, stored[0], timeout=timeout)

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
    return whole if whole <= LONGEST_RELATIVE else int(time.time()) + whole
