"""Counting where only this side can read the number."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

from ..._engine import MISSING, SealedValue
from . import tagged

if TYPE_CHECKING:
    from ..._engine import ByteStore
    from .backend import ByteBackend

__all__ = ["Counting", "count"]

#: How often a counter is tried to be created where every attempt finds neither an old value nor
#: room for a new one, before that is reported as the backend's failure.
_COUNTER_ATTEMPTS = 3


class Counting:
    """What a backend that stores bytes counts with, at once where its store can."""

    #: Where numbers are exchanged; None: in the store of all entries.
    _counting_store: Any = None

    def inc(self: Any, key: str, delta: int = 1) -> int | None:
        """Add ``delta`` to the number under ``key``, atomically; the entry keeps its lifetime.

        A missing key counts from 0 and gets the default timeout.

        :return: the sum; None where it could not be stored.
        :raises TypeError: the value under ``key`` is not a number.
        """
        wire_key = self._encode_key(key)
        if self._native_counters and self._signer is None:
            try:
                total: int = self._store.incr(wire_key, delta, timeout=self._timeout(None))
            except TypeError:
                # A number with metadata is none that the server counts.
                if not tagged.is_sealed(self._store, wire_key):
                    raise
            else:
                return total
        by_exchange: int | None = self._inc_by_exchange(key, wire_key, delta)
        return by_exchange

    def _inc_by_exchange(self: Any, key: str, wire_key: bytes, delta: int) -> int | None:
        return count(self, key, wire_key, delta)

    def dec(self: Any, key: str, delta: int = 1) -> int | None:
        """Subtract ``delta``; otherwise as :meth:`inc`."""
        difference: int | None = self.inc(key, -delta)
        return difference


def count(backend: ByteBackend, key: str, wire_key: bytes, delta: int) -> int | None:
    """Count where only this side can read the number: write if nobody else was faster."""
    failures = 0
    store: ByteStore = backend._counting_store or backend._store
    while failures < _COUNTER_ATTEMPTS:
        stored = store.get(wire_key)
        value = MISSING if stored is None else backend._unpack(key, wire_key, stored)
        metadata = value.metadata if type(value) is SealedValue else None
        if metadata is not None:
            value = tagged.current(backend, [value])[0]
        if value is MISSING or value is None:
            total = delta
        elif isinstance(value, numbers.Number):
            total = value + delta  # type: ignore[operator]
        else:
            raise TypeError(
                f"the value under cache key {key!r} is not a number: {type(value).__name__}"
            )
        if metadata is None or value is MISSING:
            # Of an entry that is not current nothing is left.
            packed = backend._pack(key, wire_key, total)
        else:
            entry = backend._encode(key, total, is_open=True)
            backend._seal(entry, metadata)
            packed = entry.data, entry.flags
        timeout = backend._timeout(None)
        if stored is None or (value is MISSING and metadata is None):
            if store.add(wire_key, *packed, timeout=timeout):
                return total
            failures += 1
        elif value is MISSING and stored is not None:
            if store.set_if(wire_key, stored, packed, timeout=timeout):
                return total
        elif store.compare_exchange(wire_key, stored, packed, timeout=timeout):
            return total
        else:
            failures = 0
    return None
