"""The cache in the files of a directory."""

from __future__ import annotations

import hashlib
import operator
import os
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any

from cachelib.serializers import BaseSerializer, FileSystemSerializer

from .._engine import MISSING, FileByteStore, expires_at
from ..codecs.files import PICKLED, contents
from ..errors import CacheBackendError, CacheConfigError
from ._bytes.backend import ByteBackend, logger
from ._bytes.directory import InDirectory, directory, whole_number
from ._bytes.encoded import Encoded
from ._like_cachelib import ancestors
from ._like_cachelib.overrides import follow_overrides
from ._like_cachelib.steps import NO_LIMIT, follow_steps, replaces
from ._settings.common import DIRECTORY, FILE_HASH_METHOD, MAX_BYTES, THRESHOLD, bytes_limit
from .spec import BackendSpec

if TYPE_CHECKING:
    from ..codecs import Codec

__all__ = ["FileSystemCache"]

#: The hashes that the engine computes itself; any other is called.
_BUILT_IN = {
    getattr(hashlib, name): name for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
}

#: Values of so many bytes are written and read without a pickle between.
_LONG = range(64 * 1024, 2**32)

#: The attributes that the open directory depends on.
_OPENED_WITH = frozenset(
    {"serializer", "_path", "_threshold", "_mode", "_hash_method", "_max_bytes"}
)


class FileSystemCache(InDirectory, ancestors.FileSystemCache):
    """A cache in the files of one directory, which many processes may share.

    Files that are not entries of this cache are left alone. An entry that belongs to another user,
    or is a symbolic link, is never read.

    :param cache_dir: the directory; it is made where it is missing.
    :param threshold: the most entries that are kept; 0: no limit. When it is reached, what has
        expired goes first, then what was not used for the longest time.
    :param default_timeout: seconds an entry lives where a write names no timeout; 0: for ever.
    :param mode: the permissions of the files: an int (``0o640``) or its octal digits (``"640"``).
    :param hash_method: the hash that names the file of a key: a constructor as in :mod:`hashlib`.
    :param ignore_delete_many_errors: go on with the remaining keys when deleting one of many fails.
    :param ignore_errors: the deprecated name of ``ignore_delete_many_errors``.
    :param max_bytes: the most bytes that the files of all entries take; 0: no limit. What has
        expired goes first, then the entries whose size times the time for which they were not used
        is the largest. An entry that takes more than a quarter of it is not stored.
    :raises CacheConfigError: one of these cannot be used; the message says why.
    """

    _opened = (*InDirectory._opened, "_files", "_codec")

    backend_spec = BackendSpec(
        "FileSystemCache",
        "in files of a directory, for all processes of this machine",
        settings=(DIRECTORY, THRESHOLD, FILE_HASH_METHOD, MAX_BYTES),
        deprecated=("filesystem",),
        keeps_copies="a file tells nobody that it was changed",
    )

    #: What the names of bookkeeping files end with.
    _fs_transaction_suffix = ".__wz_cache"
    #: The key of the number of entries.
    _fs_count_file = "__wz_cache_count"

    serializer: BaseSerializer = FileSystemSerializer()

    #: Of what was pickled by a former version, which had none.
    _max_bytes = 0

    def __init__(
        self,
        cache_dir: str | os.PathLike[str],
        threshold: int = 500,
        default_timeout: float | timedelta = 300,
        mode: int | str | None = 0o600,
        hash_method: Callable[..., Any] = hashlib.sha256,
        ignore_delete_many_errors: bool = False,
        ignore_errors: bool | None = None,
        *,
        max_bytes: int = 0,
    ) -> None:
        if ignore_errors is not None:
            warnings.warn(
                "'ignore_errors' is deprecated and will be removed; use "
                "'ignore_delete_many_errors' instead",
                DeprecationWarning,
                stacklevel=2,
            )
            ignore_delete_many_errors = ignore_errors
        super().__init__(default_timeout, ignore_delete_many_errors)
        self._path = directory(
            cache_dir, "CACHE_DIR must be the path of the directory of the cache"
        )
        self._threshold = whole_number(
            threshold, 0, "CACHE_THRESHOLD must be the number of entries to keep, or 0 for no limit"
        )
        self._mode = _mode(mode)
        self._hash_method = _hash_method(hash_method)
        self._max_bytes = bytes_limit(max_bytes)
        self._open()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        follow_steps(cls, FileSystemCache, "_prune", "_normalize_timeout", "_update_count")
        follow_overrides(cls, FileSystemCache)

    def delete(self, key: str) -> bool:
        """Remove ``key``; True as well where there was nothing to remove, False where it failed."""
        try:
            super().delete(key)
        except CacheBackendError as error:
            logger.warning("The cache key %r was not deleted: %s", key, error)
            return False
        return True

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # `CACHE_SERIALIZER` is set after construction, and decides how files are laid out; the
        # others are what applications reach for.
        if name in _OPENED_WITH and "_files" in self.__dict__:
            self._open()

    def _usage(self) -> tuple[int | None, int | None, int]:
        """Entries and their bytes, where they are kept count of, and evictions of this process."""
        entries = self._files.count() if self._threshold else None
        return entries, self._files.bytes() if self._max_bytes else None, self._files.evicted()

    def _ask_usage(self) -> tuple[int, int | None, int]:
        """As :meth:`_usage`, by looking at each file; of very many only how many there are."""
        return (*self._files.held(), self._files.evicted())

    def _list_keys(self, prefix: str, most: int) -> list[str]:
        """:raises NotImplementedError: always."""
        raise NotImplementedError(
            f"its {self._files.held()[0]} entries are in files that are named by a digest of "
            "their key, from which no key can be had"
        )

    def _open(self) -> None:
        kind, self._codec = contents(self.serializer)
        self._files = FileByteStore(
            self._path,
            # Where a subclass removes entries itself, they are only counted.
            NO_LIMIT if self._threshold and self._prunes_itself() else self._threshold,
            self._mode,
            self._name_of if self._names_itself() else _for_engine(self._hash_method),
            kind,
            self.default_timeout,
            self._max_bytes,
        )
        self._store = self._files

    # Of one class with what stands in for them: so these are known to do what they do.
    get = ByteBackend.get
    set = ByteBackend.set
    _set = ByteBackend._set

    def _find(self, key: str, foreign_text: bool = False) -> Any:
        if self._signer is not None or self._codec is not PICKLED:
            return super()._find(key, foreign_text)
        wire_key = self._encode_key(key)
        stored = self._files.load(wire_key)
        if isinstance(stored, tuple):
            return self._unpack(key, wire_key, stored, foreign_text)
        return MISSING if stored is None else stored

    def _encode(
        self, key: str, value: Any, extended: Sequence[str] = (), is_open: bool = False
    ) -> Encoded:
        if (
            not is_open
            and type(value) in (bytes, str)
            and len(value) in _LONG
            and self._signer is None
            and self._compressor is None
            and self._codec is PICKLED
            # Of other text the engine would have to make a copy.
            and (type(value) is bytes or value.isascii())
        ):
            wire_keys = [self._encode_key(name) for name in extended]
            return _Long(self._files, self._encode_key(key), value, wire_keys)
        return super()._encode(key, value, extended, is_open)

    def _decode(self, key: str, encoded: Encoded) -> Any:
        return encoded.value if isinstance(encoded, _Long) else super()._decode(key, encoded)

    def _write(self, encoded: Encoded, timeout: float | timedelta | None = None) -> bool:
        if isinstance(encoded, _Long):
            stored = encoded.files.dump(encoded.key, encoded.value, self._timeout(timeout))
            return bool(stored)
        return super()._write(encoded, timeout)

    def _write_extending(
        self, encoded: Encoded, timeout: float | timedelta | None = None
    ) -> tuple[bool, list[bool]]:
        if not self._write(encoded, timeout):
            return False, []
        timeout = self._timeout(timeout)
        return True, [encoded.store.extend(key, timeout=timeout) for key in encoded.extended]

    def _present_codec(self) -> Codec:
        return self._codec

    def _prunes_itself(self) -> bool:
        return replaces(type(self), FileSystemCache, "_prune")

    def _names_itself(self) -> bool:
        return replaces(type(self), FileSystemCache, "_get_filename")

    def _name_of(self, key: bytes) -> str:
        """The name that a subclass gives the file of ``key``."""
        folder, name = os.path.split(self._get_filename(key.decode("utf-8", "surrogatepass")))
        if os.path.abspath(folder) != os.path.abspath(self._path):
            raise CacheConfigError(
                f"{type(self).__name__}._get_filename() must return a path in CACHE_DIR itself, "
                f"not one in {folder!r}"
            )
        return name

    def _get_filename(self, key: str) -> str:
        """The path of the file of ``key``, which may not exist. A subclass may name it otherwise,
        in the same directory.
        """
        if self._names_itself():
            return os.path.join(
                self._path, str(self._hash_method(self._encode_key(key)).hexdigest())
            )
        return self._in_path(self._files.path_of(self._encode_key(key)))

    def _safe_stream_open(self, path: str, mode: str) -> IO[Any]:
        """Open a file of the cache; subclasses that read entries themselves rely on it."""
        return open(path, mode)

    def _list_dir(self) -> list[str]:
        """The paths of the files of all entries, expired ones included."""
        return [self._in_path(path) for path in self._files.paths()]

    def _in_path(self, path: str) -> str:
        """The engine's absolute ``path`` below ``_path`` as it was given."""
        return os.path.join(self._path, os.path.basename(path))

    def _is_mgmt(self, name: str) -> bool:
        """Whether a file of this name in the directory is none of the entries."""
        return os.path.join(self._path, name) not in set(self._list_dir())

    @property
    def _file_count(self) -> int:
        return self._files.count()

    def _over_threshold(self) -> bool:
        return self._threshold != 0 and self._file_count > self._threshold

    def _remove_expired(self, now: float) -> None:
        """Remove every entry that has expired at ``now``, seconds since 1970."""
        self._files.remove_expired(now)

    def _prune(self) -> None:
        """Remove what is over the threshold. Writes do so without being asked, unless a subclass
        has another method in its place: that is called before each of them, and nothing else is
        done.
        """
        if self._over_threshold():
            self._remove_older()

    def _normalize_timeout(self, timeout: float | timedelta | None) -> int:
        """When an entry expires that is stored now, in seconds since 1970; 0: never. A subclass may
        have another method in its place.
        """
        return int(expires_at(timeout, self.default_timeout))

    def _remove_older(self) -> bool:
        """Remove what was not used for the longest time, where there is more than the threshold."""
        if self._over_threshold():
            self._files.prune(self._threshold)
        return True

    def _update_count(self, delta: int | None = None, value: int | None = None) -> None:
        """Nothing is to be done: whatever changes the directory counts. That of a subclass is
        called for each entry that is new or gone.
        """


class _Long(Encoded):
    """A value that is written as it is, with what pickle puts around it."""

    __slots__ = ("files", "value")

    def __init__(
        self, files: FileByteStore, key: bytes, value: bytes | str, extended: list[bytes]
    ) -> None:
        super().__init__(files, key, b"", 0, extended)
        self.files = files
        self.value = value


def _mode(mode: Any) -> int:
    if mode is None:
        return 0o600
    try:
        bits = int(mode, 8) if isinstance(mode, str) else operator.index(mode)
    except (TypeError, ValueError):
        bits = -1
    # The owner must be able to read what the cache wrote; 0o777 and not 777: that is 0o1411.
    if not 0o400 <= bits <= 0o777 or not bits & 0o400 or isinstance(mode, bool):
        raise CacheConfigError(
            "mode in CACHE_OPTIONS must be file permissions of three octal digits that let the "
            f"owner read, such as 0o600 or '640', not {mode!r}"
        )
    return bits


def _hash_method(hash_method: Any) -> Callable[..., Any]:
    if not callable(hash_method):
        raise CacheConfigError(
            "CACHE_FILE_HASH_METHOD must be a hash constructor such as hashlib.sha256, "
            f"not {hash_method!r}"
        )
    return hash_method  # type: ignore[no-any-return]


def _for_engine(hash_method: Callable[..., Any]) -> str | Callable[[bytes], str]:
    """The name of a hash that the engine computes itself, or what it is to call."""
    try:
        return _BUILT_IN[hash_method]
    except (KeyError, TypeError):
        return lambda key: str(hash_method(key).hexdigest())
