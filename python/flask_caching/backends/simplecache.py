"""The in-process cache."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import timedelta
from typing import Any, Self

from cachelib.serializers import BaseSerializer, SimpleSerializer

from .._engine import MemoryBackend, clock_wall, expires_at, time_left
from ..errors import CacheConfigError
from ._like_cachelib import ancestors
from ._like_cachelib.locking import lock_by, lock_of, locking, uses_lock
from ._like_cachelib.overrides import follow_overrides
from ._like_cachelib.steps import NO_LIMIT, follow_steps, put_below, replaces
from ._settings.common import MAX_BYTES, THRESHOLD, bytes_limit
from .base import BaseCache
from .spec import BackendSpec

__all__ = ["SimpleCache"]

_METHODS = frozenset(
    name for name in vars(MemoryBackend) if callable(getattr(MemoryBackend, name))
) - {"__init__"}


def _get_threshold(self: Any) -> int:
    number: int = vars(self)["_own_threshold"]
    return number


def _set_threshold(self: Any, threshold: int) -> None:
    vars(self)["_own_threshold"] = threshold


#: The steps of making room, of which a subclass may replace any.
_PRUNING = ("_prune", "_over_threshold", "_remove_expired", "_remove_older")

#: The threshold of a subclass that prunes itself.
_THRESHOLD = property(_get_threshold, _set_threshold)


class SimpleCache(MemoryBackend, BaseCache, ancestors.SimpleCache):
    """A cache in the memory of this process, safe to use from many threads.

    Its methods are the engine's. What :meth:`get` returns is the caller's own: changing it does not
    change the cache. A full cache drops what has expired, then what is used least.

    :param threshold: the largest number of entries; 0: 500.
    :param default_timeout: seconds an entry lives where a write names no timeout; 0: for ever.
    :param ignore_delete_many_errors: kept for the interface; deleting from memory does not fail.
    :param ignore_errors: deprecated name of ``ignore_delete_many_errors``.
    :param max_bytes: the most bytes that all entries take: keys, values as ``sys.getsizeof`` sees
        their parts, and what the cache keeps of each; 0: no limit. An entry that takes more than a
        quarter of it is not stored.
    :raises CacheConfigError: ``threshold`` is not a number of entries, or ``max_bytes`` not one of
        bytes.
    """

    backend_spec = BackendSpec(
        "SimpleCache",
        "in the memory of this process",
        settings=(THRESHOLD, MAX_BYTES),
        deprecated=("simple",),
        keeps_copies="its entries are in the memory of this process already",
    )

    #: What makes bytes of the values that cannot be copied as they are; ``CACHE_SERIALIZER``
    #: replaces it, and then makes bytes of all.
    serializer: BaseSerializer = SimpleSerializer()

    def __init__(
        self,
        threshold: int = 500,
        default_timeout: float | timedelta = 300,
        ignore_delete_many_errors: bool = False,
        ignore_errors: bool | None = None,
        *,
        max_bytes: int = 0,
    ) -> None:
        if ignore_errors is not None:
            warnings.warn(
                "SimpleCache(ignore_errors=...) is deprecated; "
                "use ignore_delete_many_errors=... instead.",
                DeprecationWarning,
                stacklevel=2,
            )
            ignore_delete_many_errors = ignore_errors
        if not isinstance(threshold, int) or threshold < 0:
            raise CacheConfigError(
                "CACHE_THRESHOLD must be a number of entries, 1 or more (0 means 500), "
                f"not {threshold!r}"
            )
        if replaces(type(self), SimpleCache, *_PRUNING):
            self._threshold = threshold
            threshold = NO_LIMIT
        self._open(threshold, bytes_limit(max_bytes))
        BaseCache.__init__(self, ignore_delete_many_errors=ignore_delete_many_errors)
        self.default_timeout = default_timeout
        # A subclass may have one of its own.
        self.serializer = self.serializer

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The native many-operations do not call a subclass's get, set and delete.
        if uses_lock(cls):
            put_below(cls, SimpleCache, locking(SimpleCache))
        follow_steps(cls, SimpleCache, "_normalize_timeout", *_PRUNING)
        follow_overrides(cls, MemoryBackend)
        if replaces(cls, SimpleCache, *_PRUNING):
            # What it removes goes by this number; the store itself has no limit.
            cls._threshold = _THRESHOLD  # type: ignore[assignment]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _METHODS:
            # Nothing may go past what an application puts in place of a method.
            self._patch()
        super().__setattr__(name, value)
        if name == "serializer":
            self._use_serializer(value, native=_is_pickle(value))

    def __copy__(self) -> Self:
        """The cache itself: with cachelib's, too, a copy has the entries of what it is one of."""
        return self

    def _list_keys(self, prefix: str, most: int) -> list[str]:
        """The keys that begin with ``prefix``; at most ``most``."""
        keys = sorted(str(key) for key, _, _ in self._entries())
        return [key for key in keys if key.startswith(prefix)][:most]

    def _whereabouts(self) -> str:
        return f"{self._len()} of {self._threshold}"

    @property
    def _cache(self) -> MutableMapping[Any, tuple[float, bytes | None]]:
        """A view of the live entries as cachelib has them: {key: (expires, bytes)}."""
        return _LikeADict(self)

    @_cache.setter
    def _cache(self, entries: Mapping[Any, tuple[float, bytes | None]]) -> None:
        self.clear()
        self._cache.update(entries)

    @property
    def _lock(self) -> Any:
        """What the methods are done under, as cachelib's are, from when somebody asks for it or
        puts another one in its place; the store has locks of its own.
        """
        return lock_of(self)

    @_lock.setter
    def _lock(self, lock: Any) -> None:
        lock_by(self, lock)

    def _prune(self) -> None:
        """Remove what is over the threshold. Writes do so without being asked, unless a subclass
        has another method in its place: that is called before each of them, and nothing else is
        done.
        """
        if self._over_threshold():
            self._remove_expired(clock_wall())
            if self._over_threshold():
                self._remove_older()

    def _over_threshold(self) -> bool:
        """Whether there is more than the threshold."""
        return self._len() > self._threshold

    def _normalize_timeout(self, timeout: float | timedelta | None) -> int:
        """When an entry expires that is stored now, in seconds since 1970; 0: never. A subclass may
        have another method in its place.
        """
        return expires_at(timeout, self.default_timeout)  # type: ignore[return-value]

    def _remove_older(self) -> None:
        """Remove what is used least, where there is more than the threshold."""
        self._shrink(self._threshold)

    def _remove_expired(self, now: float) -> None:
        """Remove every entry that has expired at ``now``, seconds since 1970."""
        for key, (expires, _) in self._cache.items():
            if 0 < expires < now:
                self.delete(key)


class _LikeADict(MutableMapping[Any, tuple[float, bytes | None]]):
    """The live entries of a :class:`SimpleCache`, for applications that look into it.

    The value of a key is the Unix time at which it expires (0: never) and the serialized value.
    """

    def __init__(self, cache: SimpleCache) -> None:
        self._of = cache

    def __getitem__(self, key: Any) -> tuple[float, bytes | None]:
        return self._all()[key]

    def __setitem__(self, key: Any, entry: tuple[float, bytes | None]) -> None:
        expires, data = entry
        value = None if data is None else self._of.serializer.loads(data)
        self._of.set(key, value, time_left(expires))

    def __delitem__(self, key: Any) -> None:
        if not self._of.delete(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self._of.has(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all())

    def __len__(self) -> int:
        return self._of._len()

    def __repr__(self) -> str:
        return f"<{len(self)} entries of {type(self._of).__name__}>"

    def clear(self) -> None:
        self._of.clear()

    def _all(self) -> dict[Any, tuple[float, bytes | None]]:
        dumps = self._of.serializer.dumps
        return {key: (round(expires), dumps(value)) for key, expires, value in self._of._entries()}


def _is_pickle(serializer: BaseSerializer) -> bool:
    """Whether ``serializer`` writes and reads what pickle does."""
    return (
        type(serializer).dumps is BaseSerializer.dumps
        and type(serializer).loads is BaseSerializer.loads
        and not vars(serializer).keys() & {"dumps", "loads"}
    )
