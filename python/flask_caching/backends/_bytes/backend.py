"""The base of every backend that stores bytes: what it does with values and keys.

Storage is a :class:`flask_caching._engine.ByteStore`; here values become bytes and come back.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from ..._engine import MISSING, Metadata
from ...errors import UnstorableValueError
from . import tagged
from .counting import Counting
from .entries import Entries
from .owed import delete_each

__all__ = ["ByteBackend"]

logger = logging.getLogger("flask_caching")


class ByteBackend(Counting, Entries):
    """A cache over a store of bytes.

    A backend sets ``_store`` and, where it differs, overrides :meth:`_encode_key` and
    :meth:`_make_codec`.

    :param default_timeout: seconds an entry lives where a write names no timeout; 0: for ever.
    :param ignore_delete_many_errors: go on with the remaining keys when deleting one of many fails.
    """

    #: Whether the store itself counts (``incr``) in the bytes that :meth:`_dump` makes of an int.
    _native_counters = False

    #: Whether :meth:`delete_many` removes the first key first, for whoever looks.
    _deletes_in_order = False

    #: Whether :meth:`_extend` prolongs lifetimes.
    _extends_lifetimes = True

    #: Whether an operation waits for a server; and may be made in any thread, so that an event loop
    #: need not wait with it.
    _is_remote = True
    #: What its servers are, as OpenTelemetry calls them.
    _db_system = "other"
    #: Makes a store of a store, whose operations are watched; None: nobody watches.
    _trace: Callable[[Any], Any] | None = None
    #: Seconds that a lease lives at least: more where only whole ones are counted.
    _shortest_lease = 0.0
    #: Whether processes leave their counts in it for each other.
    _shares_counts = True
    #: Whether each process says how many entries all of them have evicted.
    _evicts_for_all = False

    def __init__(
        self,
        default_timeout: float | timedelta = 300,
        ignore_delete_many_errors: bool = False,
    ) -> None:
        super().__init__(ignore_delete_many_errors=ignore_delete_many_errors)
        # Not through cachelib, which rounds fractions up.
        self.default_timeout = default_timeout  # type: ignore[assignment]

    def _watched(self, store: Any) -> Any:
        """A store as it is to be asked, where somebody watches what goes to its servers."""
        return store if self._trace is None else self._trace(store)

    def get(self, key: str) -> Any:
        """The value under ``key``, or None."""
        value = self._read(key, foreign_text=True)
        return None if value is MISSING else value

    def get_many(self, *keys: str) -> list[Any]:
        """The values of ``keys`` in their order, None for each that is missing."""
        values = self._read_many(*keys, foreign_text=True)
        return [None if value is MISSING else value for value in values]

    def get_dict(self, *keys: str) -> dict[str, Any]:
        """The values of ``keys`` by key, None for each that is missing."""
        return dict(zip(keys, self.get_many(*keys), strict=True))

    def set(
        self,
        key: str,
        value: Any,
        timeout: float | timedelta | None = None,
        tags: Iterable[str] | None = None,
    ) -> bool:
        """Store ``value`` under ``key``.

        :param timeout: seconds to live; None: the default; 0: for ever; negative: expired at once.
        :param tags: names; ``Cache.delete_tags`` with one of them makes the entry a miss.
        :return: whether it was stored; where it was refused (see the log) the key has no value.
        """
        if tags:
            return bool(tagged.set_many(self, {key: value}, timeout, tags))
        try:
            return self._set(key, value, timeout)
        except UnstorableValueError as error:
            tagged.log_unstorable(key, error)
            return False

    def add(
        self,
        key: str,
        value: Any,
        timeout: float | timedelta | None = None,
        tags: Iterable[str] | None = None,
    ) -> bool:
        """Store ``value`` unless ``key`` has one already, in one atomic step.

        :param timeout: as in :meth:`set`.
        :param tags: as in :meth:`set`.
        :return: whether it was stored.
        """
        return tagged.add(self, key, value, timeout, tags)

    def set_many(
        self,
        mapping: dict[str, Any],
        timeout: float | timedelta | None = None,
        tags: Iterable[str] | None = None,
    ) -> list[Any]:
        """Store every value of ``mapping``.

        :param timeout: as in :meth:`set`.
        :param tags: as in :meth:`set`.
        :return: the keys that were stored. A value that is refused does not keep the others back.
        """
        if tags:
            return tagged.set_many(self, mapping, timeout, tags)
        entries: list[tuple[bytes, bytes, int]] = []
        keys: list[str] = []
        refused: list[bytes] = []
        for key, value in mapping.items():
            wire_key = self._encode_key(key)
            try:
                entries.append((wire_key, *self._pack(key, wire_key, value)))
            except UnstorableValueError as error:
                tagged.log_unstorable(key, error)
                refused.append(wire_key)
            else:
                keys.append(key)
        if refused:
            self._store.delete_many(refused)
        if not entries:
            return []
        stored = self._store.set_many(entries, timeout=self._timeout(timeout))
        return [key for key, done in zip(keys, stored, strict=True) if done]

    def delete(self, key: str) -> bool:
        """Remove ``key``; whether there was something to remove."""
        return self._store.delete(self._encode_key(key))

    def delete_many(self, *keys: str) -> list[Any]:
        """Remove all ``keys``.

        :return: the keys that are gone, those that were not there included.
        :raises CacheBackendError: one could not be removed and errors are not ignored.
        """
        wire_keys = [self._encode_key(key) for key in keys]
        if not self.ignore_delete_many_errors:
            self._store.delete_many(wire_keys)
            return list(keys)
        gone = []
        for key, error in zip(keys, delete_each(self._store, wire_keys), strict=True):
            if error is None:
                gone.append(key)
            else:
                logger.warning("The cache key %r was not deleted: %s", key, error)
        return gone

    def has(self, key: str) -> bool:
        """Whether ``key`` has a value."""
        if self._signer is None:
            is_sealed = tagged.is_sealed(self._store, self._encode_key(key))
            if not is_sealed:
                return is_sealed is not None
        # Only reading tells whether an entry is one of ours, and current.
        return self._read(key) is not MISSING

    def clear(self) -> bool:
        """Remove every entry of this cache."""
        return self._store.clear()

    def _details(self, key: str) -> tuple[int, float | None, float, list[str]] | None:
        """How many bytes are stored under ``key``, the seconds that they have left, and those for
        which they are fresh; and the keys of their tags."""
        wire_key = self._encode_key(key)
        stored = self._store.get(wire_key)
        if stored is None:
            return None
        try:
            data = self._unwrap(wire_key, *stored)
            metadata = Metadata.unseal(data)[1] if type(data) is bytes else None
        except Exception:
            # It cannot be used, which reading it says.
            return None
        fresh_for, tags = math.inf, list[str]()
        if metadata is not None:
            fresh_for, tags = metadata.fresh_for, [name for name, _ in metadata.tags]
        remaining = getattr(self._store, "remaining", None)
        return len(stored[0]), None if remaining is None else remaining(wire_key), fresh_for, tags

    def _shown_keys(self, wire_keys: list[bytes]) -> list[str]:
        """Keys of the store, as the cache is given them."""
        prefix = len(self._encode_key(""))
        return [key[prefix:].decode("utf-8", "backslashreplace") for key in wire_keys]

    def _set(self, key: str, value: Any, timeout: float | timedelta | None = None) -> bool:
        """:meth:`set`, which says why a value cannot be stored.

        :raises UnstorableValueError: it cannot; the key has no value then.
        """
        try:
            encoded = self._encode(key, value)
        except UnstorableValueError:
            self._discard(key)
            raise
        return self._write(encoded, timeout)
