"""The cache that all processes of a machine share, without a server."""

from __future__ import annotations

import operator
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cachelib.serializers import BaseSerializer, RedisSerializer

from .._engine import METHODS, MISSING, SharedByteStore, Signer
from ..codecs.redis import RedisCodec
from ..errors import CacheConfigError
from ._bytes.backend import ByteBackend
from ._settings import DIRECTORY, THRESHOLD
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


class SharedCache(ByteBackend):
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

    _is_remote = False
    _evicts_for_all = True

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
        self._path = _directory(cache_dir)
        self._max_bytes = _whole(max_bytes, _LEAST_BYTES, "CACHE_MAX_BYTES", "bytes")
        self._threshold = _whole(threshold, 0, "CACHE_THRESHOLD", "entries")
        self._open()

    def _usage(self) -> tuple[int, int, int]:
        """Entries, the bytes that they take, and how many entries had to make room."""
        return self._store.held()

    def _list_keys(self, prefix: str, most: int) -> list[str]:
        """The keys that begin with ``prefix``; about ``most``."""
        found = self._store.keys(self._encode_key(prefix), most)
        return [key.decode("utf-8", "backslashreplace") for key in found]

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

    def _whereabouts(self) -> str:
        return repr(getattr(self, "_path", ""))

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_store", "_quick", "_made_codec", "_signer"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.signing_keys:
            self._signer = Signer(self.signing_keys)
        self._open()


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


def _directory(cache_dir: Any) -> str:
    try:
        directory = os.fsdecode(cache_dir)
    except TypeError:
        directory = ""
    if not directory or "\0" in directory:
        raise CacheConfigError(
            "SharedCache needs CACHE_DIR, the path of a directory of the local file system that "
            f"belongs to this cache, not {cache_dir!r}"
        )
    return directory


def _whole(number: Any, least: int, name: str, unit: str) -> int:
    try:
        whole = operator.index(number)
    except TypeError:
        whole = -1
    if whole < least or whole >= 2**63 or isinstance(number, bool):
        raise CacheConfigError(
            f"{name} must be a number of {unit}, {least} or more, not {number!r}"
        )
    return whole
