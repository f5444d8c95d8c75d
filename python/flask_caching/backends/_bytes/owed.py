"""Deletions that a server is owed, because it could not be asked for what they need."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...errors import CacheBackendError

if TYPE_CHECKING:
    from ..._engine import ByteStore
    from .backend import ByteBackend

__all__ = ["delete_each", "owe", "owe_guarded", "owing"]


def owe(backend: Any, keys: Sequence[str]) -> bool:
    """Have ``keys`` deleted before any of them is read or written again.

    The server has just failed, so it is not asked now.

    :param backend: any backend.
    :return: whether it is remembered: only the engine's own stores do that, not client objects and
        not other people's backends.
    :raises CacheBackendError: there is no room to remember it.
    """
    store = _store_of(backend)
    if store is None:
        return False
    store.owe([backend._encode_key(key) for key in keys])
    return True


def owe_guarded(backend: Any, prefix: str, guards: Sequence[str]) -> bool:
    """:func:`owe`, of a key that cannot be made yet.

    It is ``prefix`` and the str that are stored under ``guards`` by the time of its deletion.

    :param prefix: no other keys may begin with it.
    """
    store = _store_of(backend)
    if store is None:
        return False
    # The store is the backend's own: what it is owed must not keep both alive.
    reader = weakref.ref(backend)

    def read(wire_key: bytes, data: bytes, flags: int) -> bytes | None:
        backend = reader()
        return None if backend is None else _text(backend, wire_key, data, flags)

    store.owe_guarded(
        backend._encode_key(prefix), [backend._encode_key(guard) for guard in guards], read
    )
    return True


@contextmanager
def owing(backend: Any, keys: Sequence[str]) -> Iterator[None]:
    """What is done inside puts others in the place of the entries under ``keys``.

    Where it fails they are deleted, before they are read again.

    :raises CacheBackendError: it failed.
    """
    try:
        yield
    except CacheBackendError:
        owe(backend, keys)
        raise


def delete_each(store: ByteStore, keys: list[bytes]) -> Iterable[Exception | None]:
    """Remove all ``keys``; for each, why it may not be gone."""
    if hasattr(store, "delete_each"):
        # All servers at once.
        return store.delete_each(keys)
    return [_failure(store, key) for key in keys]


def _failure(store: ByteStore, key: bytes) -> Exception | None:
    try:
        store.delete(key)
    except CacheBackendError as error:
        return error
    return None


def _store_of(backend: Any) -> Any | None:
    store = getattr(backend, "_store", None)
    return store if hasattr(store, "owe_guarded") and hasattr(backend, "_encode_key") else None


def _text(backend: ByteBackend, wire_key: bytes, data: bytes, flags: int) -> bytes | None:
    """The str of a stored entry as it stands in keys; None where it holds none."""
    try:
        data = backend._unwrap(wire_key, data, flags)
        text = backend._load(repr(wire_key), data, flags)
    except Exception:
        # Whoever reads such a version finds none, removes it, and makes a new one.
        return None
    return text.encode("utf-8", "surrogatepass") if type(text) is str else None
