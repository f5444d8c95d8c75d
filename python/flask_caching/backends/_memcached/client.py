"""What applications reach for under ``cache.cache._client``: a client in pylibmc's manner."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from cachelib.serializers import BaseSerializer

from ... import errors
from ...codecs.pylibmc import Pylibmc
from .client_store import LONGEST_RELATIVE
from .options import Behaviors, MemcachedOptions

if TYPE_CHECKING:
    from ..._engine import MemcachedByteStore

__all__ = ["MemcachedClient"]

_CODEC = Pylibmc(BaseSerializer())


class MemcachedClient:
    """A client and a pool of clients in pylibmc's manner; keys are given with their prefix.

    Where pylibmc raises exceptions of its own, these are them as well where it is installed.

    :param store: returns the store in force.
    :param read: returns the options in force.
    :param write: puts other options in force.
    """

    def __init__(
        self,
        store: Callable[[], MemcachedByteStore],
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

    def clone(self) -> MemcachedClient:
        """Another client of the same servers."""
        return MemcachedClient(self._store, self._options, self._reopen)

    def __repr__(self) -> str:
        return f"MemcachedClient({self.addresses!r}, binary={self.binary!r})"

    def __contains__(self, key: str | bytes) -> bool:
        return self._store().has(_bytes(key))

    def __getitem__(self, key: str | bytes) -> Any:
        stored = self._store().get(_bytes(key))
        if stored is None:
            raise KeyError(key)
        return _CODEC.decode(*stored)

    def __setitem__(self, key: str | bytes, value: Any) -> None:
        if not self.set(key, value):
            raise KeyError(key)

    def __delitem__(self, key: str | bytes) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def get(self, key: str | bytes, default: Any = None) -> Any:
        """The value under ``key``."""
        stored = self._store().get(_bytes(key))
        return default if stored is None else _CODEC.decode(*stored)

    def gets(self, key: str | bytes) -> tuple[Any, int | None]:
        """The value under ``key`` and its token for :meth:`cas`; twice None where there is none."""
        stored = self._store().gets(_bytes(key))
        if stored is None:
            return None, None
        data, flags, token = stored
        return _CODEC.decode(data, flags), token

    def get_multi(self, keys: Iterable[str], key_prefix: str | None = None) -> dict[str, Any]:
        """The values of those of ``keys`` that have one."""
        keys = list(keys)
        stored = self._store().get_many(_prefixed(keys, key_prefix))
        return {
            key: _CODEC.decode(*entry)
            for key, entry in zip(keys, stored, strict=True)
            if entry is not None
        }

    def set(
        self,
        key: str | bytes,
        value: Any,
        time: int = 0,
        min_compress_len: int = 0,
        compress_level: int = -1,
    ) -> bool:
        """Store ``value``.

        :param time: for so many seconds or, where that is more than 30 days, until then; 0: for
            ever.
        :param min_compress_len: values of more bytes are compressed, where that makes them smaller;
            0: none is.
        :param compress_level: zlib's.
        :return: whether it was stored.
        """
        return _put(self._store().set, key, value, time, (min_compress_len, compress_level))

    def add(
        self,
        key: str | bytes,
        value: Any,
        time: int = 0,
        min_compress_len: int = 0,
        compress_level: int = -1,
    ) -> bool:
        """Store ``value`` unless there is one; as :meth:`set`."""
        return _put(self._store().add, key, value, time, (min_compress_len, compress_level))

    def replace(
        self,
        key: str | bytes,
        value: Any,
        time: int = 0,
        min_compress_len: int = 0,
        compress_level: int = -1,
    ) -> bool:
        """Store ``value`` where there is one; as :meth:`set`."""
        how = (min_compress_len, compress_level)
        return _put(self._store().replace, key, value, time, how)

    def _put(
        self,
        put: Callable[..., bool],
        key: str | bytes,
        value: Any,
        time: int,
        how: tuple[int, int],
    ) -> bool:
        return put(_bytes(key), *_CODEC.encode_compressed(value, *how), timeout=_seconds(time))

    def cas(self, key: str | bytes, value: Any, cas: int, time: int = 0) -> bool:
        """Store ``value`` where the one that is there still has the token ``cas`` of :meth:`gets`.

        :return: whether it was stored.
        :raises MemcachedNotFoundError: there is none.
        """
        entry = _CODEC.encode(value)
        is_stored = self._store().cas(_bytes(key), *entry, cas, timeout=_seconds(time))
        if is_stored is None:
            raise _not_found("cas")
        return is_stored

    def append(self, key: str | bytes, value: Any) -> bool:
        """Add ``value`` behind what is there; whether there was something."""
        return self._store().append(_bytes(key), _CODEC.encode(value)[0])

    def prepend(self, key: str | bytes, value: Any) -> bool:
        """Add ``value`` in front of what is there; whether there was something."""
        return self._store().prepend(_bytes(key), _CODEC.encode(value)[0])

    def touch(self, key: str | bytes, time: int) -> bool:
        """Let what is there live for ``time``, as in :meth:`set`; whether there was something."""
        return self._store().touch(_bytes(key), _seconds(time))

    def set_multi(
        self,
        mapping: Mapping[str, Any],
        time: int = 0,
        key_prefix: str | None = None,
        min_compress_len: int = 0,
        compress_level: int = -1,
    ) -> list[str]:
        """Store all of ``mapping``, as :meth:`set`; the keys that were not stored."""
        how = (min_compress_len, compress_level)
        entries = [
            (key, *_CODEC.encode_compressed(value, *how))
            for key, value in zip(_prefixed(mapping, key_prefix), mapping.values(), strict=True)
        ]
        stored = self._store().set_many(entries, timeout=_seconds(time))
        return [key for key, is_stored in zip(mapping, stored, strict=True) if not is_stored]

    def add_multi(
        self,
        mapping: Mapping[str, Any],
        time: int = 0,
        key_prefix: str | None = None,
        min_compress_len: int = 0,
        compress_level: int = -1,
    ) -> list[str]:
        """Store what of ``mapping`` is not there, as :meth:`set`; the keys that were not stored."""
        how = (time, min_compress_len, compress_level)
        keys = zip(mapping, _prefixed(mapping, key_prefix), strict=True)
        return [name for name, key in keys if not self.add(key, mapping[name], *how)]

    def delete(self, key: str | bytes) -> bool:
        """Remove ``key``; whether it was there."""
        return self._store().delete(_bytes(key))

    def delete_multi(self, keys: Iterable[str], key_prefix: str | None = None) -> bool:
        """Remove ``keys``; whether all were there."""
        return all(self._store().delete_many(_prefixed(keys, key_prefix)))

    def incr(self, key: str | bytes, delta: int = 1) -> int:
        """Add ``delta`` to a number.

        :return: the sum.
        :raises MemcachedNotFoundError: there is none.
        :raises MemcachedValueError: it is none that a server can count; it is a ``TypeError``.
        """
        return self._count(key, delta, is_down=False)

    def decr(self, key: str | bytes, delta: int = 1) -> int:
        """Subtract ``delta`` from a number, down to 0; as :meth:`incr`."""
        return self._count(key, delta, is_down=True)

    def incr_multi(
        self, keys: Iterable[str], key_prefix: str | None = None, delta: int = 1
    ) -> None:
        """Add ``delta`` to each of the numbers under ``keys``; as :meth:`incr`."""
        missing = 0
        for key in _prefixed(keys, key_prefix):
            try:
                self.incr(key, delta)
            except errors.MemcachedNotFoundError:
                missing += 1
        if missing:
            raise errors.MemcachedNotFoundError(f"{missing} keys not found")

    def _count(self, key: str | bytes, delta: int, is_down: bool) -> int:
        if delta < 0:
            raise ValueError(f"delta must not be negative: {delta}")
        total = self._store().count(_bytes(key), delta, is_down)
        if total is None:
            raise _not_found("decr" if is_down else "incr")
        return total

    def get_stats(self, args: str | bytes = "") -> list[tuple[bytes, dict[str, bytes]]]:
        """What each server says of itself, under its address.

        :param args: about what, as ``"items"`` or ``"slabs"``; in general where it is empty.
        :raises MemcachedValueError: a server knows nothing about that.
        """
        told = self._store().statistics(args if isinstance(args, str) else args.decode())
        return [
            (f"{address} ({place})".encode(), {name.decode(): value for name, value in pairs})
            for place, (address, pairs) in enumerate(told)
        ]

    def hash(self, key: str | bytes) -> int:
        """The place, among :attr:`addresses`, of the server that holds ``key``."""
        return self._store().place_of(_bytes(key))

    def serialize(self, value: Any) -> tuple[bytes, int]:
        """``value`` as it is stored: its bytes and its flags."""
        return _CODEC.encode(value)

    def deserialize(self, data: bytes, flags: int) -> Any:
        """The value that is stored as ``data`` with ``flags``."""
        return _CODEC.decode(data, flags)

    def get_behaviors(self) -> dict[str, Any]:
        """The behaviors in force."""
        return dict(self._behaviors)

    def set_behaviors(self, behaviors: Mapping[str, Any]) -> None:
        """Apply ``behaviors``."""
        self._behaviors(behaviors)

    def flush_all(self, time: int = 0) -> bool:
        """Empty the servers, ``time`` seconds from now."""
        if time:
            self._store().flush_after(time)
            return True
        return self._store().clear()

    def disconnect_all(self) -> None:
        """Let go of the connections; the next operation makes new ones."""
        self._reopen(self._options())


def _put(
    put: Callable[..., bool], key: str | bytes, value: Any, time: int, how: tuple[int, int]
) -> bool:
    return put(_bytes(key), *_CODEC.encode_compressed(value, *how), timeout=_seconds(time))


def _not_found(operation: str) -> Exception:
    return cast("Exception", errors.MemcachedNotFoundError(f"{operation}: there is no such key"))


def _bytes(key: str | bytes) -> bytes:
    if isinstance(key, bytes):
        return key
    if isinstance(key, str):
        return key.encode("utf-8", "surrogatepass")
    raise TypeError(f"a key must be str or bytes, not {type(key).__name__}")


def _prefixed(keys: Iterable[str | bytes], prefix: str | None) -> list[bytes]:
    start = b"" if prefix is None else _bytes(prefix)
    return [start + _bytes(key) for key in keys]


def _seconds(until: int) -> float:
    return until - time.time() if until > LONGEST_RELATIVE else until
