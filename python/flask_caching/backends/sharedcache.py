"""The cache that all processes of a machine share, without a server."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cachelib.serializers import BaseSerializer, RedisSerializer

from .._engine import METHODS, MISSING, SharedByteStore
from ..codecs.redis import RedisCodec
from ._bytes.directory import InDirectory, directory, whole_number
from ._settings.common import DIRECTORY, THRESHOLD
from .spec import COUNT, BackendSpec, Setting

if TYPE_CHECKING:
    from ..codecs import Codec

__all__ = ["SharedCache"]

_MAX_BYTES = 256 * 1024 * 1024
_LEAST_BYTES = 1024 * 1024

#: What the engine reads the simplest values of by itself.
_SERIALIZER = RedisSerializer()

#: Attributes that say whether it does so.
_TELLING = frozenset(("serializer", "signing_keys", *METHODS))


class SharedCache(InDirectory):
    """A cache in a directory that all processes of a machine share through their memory.

    Reading takes no lock: no reader waits for a writer. What one process writes or deletes, the
    others see at once; a process that is killed damages nothing. After a reboot the cache is empty.

    :param cache_dir: a directory of the local file system, of this user alone; it is made where it
        is missing.
    :param max_bytes: how many bytes the entries may take, 1 MiB or more. The file is at most a
        tenth larger. When they are reached, what has expired goes first, then what is used least.
    :param threshold: the most entries that are kept; 0: no limit.
    :param default_timeout: seconds an entry lives where a write names no timeout; 0: for ever.
    :param ignore_delete_many_errors: go on with the remaining keys when deleting one of many fails.
    :raises CacheConfigError: one of these cannot be used, or the directory; the message says why.
    :raises CacheBackendError: the system refuses to open what is in the directory.
    """

    _opened = (*InDirectory._opened, "_quick")
    _evicts_for_all = True
    _native_counters = True

    backend_spec = BackendSpec(
        "SharedCache",
        "in memory that all processes of this machine share, backed by a directory",
        settings=(
            DIRECTORY,
            Setting(
                "CACHE_MAX_BYTES",
                COUNT,
                "how many bytes the entries may take; the file is at most a tenth larger",
                default=_MAX_BYTES,
                option="max_bytes",
            ),
            THRESHOLD.but(default=0),
        ),
        keeps_copies="its entries are in the memory of this machine already",
    )

    serializer: BaseSerializer = _SERIALIZER

    _store: SharedByteStore

    #: The store, where the engine reads values by itself.
    _quick: SharedByteStore | None = None

    def __init__(
        self,
        cache_dir: str | os.PathLike[str],
        max_bytes: int = _MAX_BYTES,
        threshold: int = 0,
        default_timeout: float | timedelta = 300,
        ignore_delete_many_errors: bool = False,
    ) -> None:
        super().__init__(default_timeout, ignore_delete_many_errors)
        self._path = directory(
            cache_dir,
            "SharedCache needs CACHE_DIR, the path of a directory of the local file system that "
            "belongs to this cache",
        )
        self._max_bytes = whole_number(
            max_bytes,
            _LEAST_BYTES,
            f"CACHE_MAX_BYTES must be a number of bytes, {_LEAST_BYTES} or more",
        )
        self._threshold = whole_number(
            threshold, 0, "CACHE_THRESHOLD must be a number of entries, 0 or more"
        )
        self._open()

    def _usage(self) -> tuple[int, int, int]:
        """Entries, the bytes that they take, and how many entries had to make room."""
        return self._store.held()

    def _list_keys(self, prefix: str, most: int) -> list[str]:
        """The keys that begin with ``prefix``; about ``most``."""
        return self._shown_keys(self._store.keys(self._encode_key(prefix), most))

    def _open(self) -> None:
        self._store = SharedByteStore(  # pyright: ignore[reportIncompatibleVariableOverride]
            self._path, self._max_bytes, self._threshold, self.default_timeout
        )
        self._choose_quick()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _TELLING:
            self._choose_quick()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name in _TELLING:
            self._choose_quick()

    def _choose_quick(self) -> None:
        usual = (
            self.serializer is _SERIALIZER
            and self._signer is None
            and not _alters(type(self))
            and self.__dict__.keys().isdisjoint(METHODS)
        )
        self._quick = self.__dict__.get("_store") if usual else None

    def get(self, key: str) -> Any:
        """The value under ``key``, or None."""
        value = self._read(key, foreign_text=True)
        return None if value is MISSING else value

    def _find(self, key: str, foreign_text: bool = False) -> Any:
        quick = self._quick
        if quick is not None:
            stored = quick.load(key)
            if type(stored) is not tuple:
                return stored
            return self._unpack(key, self._encode_key(key), stored, foreign_text)
        return super()._find(key, foreign_text)

    def _make_codec(self, serializer: BaseSerializer) -> Codec:
        return RedisCodec(serializer)


def _alters(kind: type[SharedCache]) -> bool:
    """Whether a subclass has other keys or bytes."""
    return kind is not SharedCache and (
        kind._encode_key,
        kind._load,
        kind._unpack,
        kind._read,
        kind._make_codec,
    ) != (
        SharedCache._encode_key,
        SharedCache._load,
        SharedCache._unpack,
        SharedCache._read,
        SharedCache._make_codec,
    )
