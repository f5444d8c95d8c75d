"""How the decorators reach a backend.

Where an application overrides a proxy of :class:`~flask_caching.Cache` (in a subclass, on an
instance,
by patching), or the backend is not one of ours, they go through the proxies. Elsewhere they use
what
only our backends have: a read that tells a stored None from a miss, a write that says why a value
cannot be stored, a lifetime that can be extended without rewriting the value.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cachelib import BaseCache as CachelibBaseCache

from ._engine import MISSING

if TYPE_CHECKING:
    from .cache import Cache

__all__ = [
    "MISSING",
    "add_versions",
    "extend_versions",
    "read",
    "read_many",
    "reads_directly",
    "saves_round_trips",
    "write",
    "write_extending",
]

#: What each internal method stands in for.
_INTERNAL = {
    "_read": "get",
    "_read_many": "get_many",
    "_set": "set",
    "_extend": "set_many",
    "_set_extending": "set",
    "add": "add",
}


class _Providers:
    """For each backend class, whether its public methods are those its internal ones belong to."""

    def __init__(self) -> None:
        self._known: dict[tuple[type, str], tuple[Any, bool]] = {}

    def trusts(self, backend: Any, internal: str) -> bool:
        kind = type(backend)
        public = _INTERNAL[internal]
        current = getattr(kind, public, None)
        known = self._known.get((kind, internal))
        if known is None or known[0] is not current:
            owner = self._owner(kind, internal)
            known = (current, owner is not None and owner is self._owner(kind, public))
            self._known[kind, internal] = known
        return known[1] and public not in getattr(backend, "__dict__", ())

    @staticmethod
    def _owner(kind: type, name: str) -> type | None:
        return next((base for base in kind.__mro__ if name in vars(base)), None)


_providers = _Providers()


def reads_directly(cache: Cache, backend: Any, internal: str) -> bool:
    """Whether ``backend.<internal>`` may be used in place of the proxy of ``cache``."""
    return not cache._overrides(_INTERNAL[internal]) and _providers.trusts(backend, internal)


def read(cache: Cache, backend: Any, key: str, cache_none: bool) -> Any:
    """The value under ``key``, or MISSING.

    :param cache_none: whether a stored None is a value; otherwise it is a miss.
    """
    if reads_directly(cache, backend, "_read"):
        value = backend._read(key)
        return MISSING if value is None and not cache_none else value
    value = cache.get(key)
    if value is not None:
        return value
    if not cache_none or not cache.has(key):
        return MISSING
    # The key may have been written between the two questions: ask for the value once more.
    return cache.get(key)


def read_many(cache: Cache, backend: Any, keys: list[str]) -> list[Any]:
    """The values under ``keys``; None for those that have none."""
    if reads_directly(cache, backend, "_read_many"):
        return [None if value is MISSING else value for value in backend._read_many(*keys)]
    return list(cache.get_many(*keys))


def write(cache: Cache, backend: Any, key: str, value: Any, timeout: Any) -> Any:
    """Store ``value``.

    :raises UnstorableValueError: it cannot be stored (our backends only).
    """
    if reads_directly(cache, backend, "_set"):
        return backend._set(key, value, timeout=timeout)
    return cache.set(key, value, timeout=timeout)


def saves_round_trips(cache: Cache, backend: Any) -> bool:
    """Whether asking for several things at once is worth it: each question waits for a server."""
    return (
        getattr(backend, "_saves_round_trips", False)
        and reads_directly(cache, backend, "_read")
        and reads_directly(cache, backend, "_read_many")
    )


def write_extending(
    cache: Cache,
    backend: Any,
    key: str,
    value: Any,
    timeout: Any,
    versions: dict[str, str],
    longest: dict[str, Any],
) -> tuple[Any, list[str]]:
    """Store ``value``, and let the versions that its key is made of live as long.

    :param versions: as in :func:`extend_versions`, as is ``longest``.
    :return: False where the value is not stored; the keys of the versions that are gone.
    :raises UnstorableValueError: it cannot be stored (our backends only).
    """
    if (
        getattr(backend, "_saves_round_trips", False)
        and reads_directly(cache, backend, "_set_extending")
        and reads_directly(cache, backend, "_extend")
    ):
        names = list(versions)
        done, live = backend._set_extending(key, value, timeout, names)
        return done, [name for name, lives in zip(names, live, strict=False) if not lives]
    done = write(cache, backend, key, value, timeout)
    if done is False:
        return False, []
    return done, extend_versions(cache, backend, versions, timeout, longest)


def add_versions(
    cache: Cache, backend: Any, versions: dict[str, str], timeout: Any
) -> dict[str, str]:
    """Store new versions; where another process was faster, its version is the one."""
    overridden = cache._overrides("set_many") or cache._overrides("add")
    # The `add` that a backend inherits from cachelib's base class stores nothing.
    if overridden or getattr(type(backend), "add", None) is CachelibBaseCache.add:
        cache.set_many(versions, timeout=timeout)
        return versions
    for key, version in versions.items():
        if backend.add(key, version, timeout=timeout):
            continue
        current = backend.get(key)
        if isinstance(current, str):
            versions = {**versions, key: current}
        else:
            # Some backends' `add` refuses a key whose entry has expired.
            backend.set(key, version, timeout=timeout)
    return versions


def extend_versions(
    cache: Cache, backend: Any, versions: dict[str, str], timeout: Any, longest: dict[str, Any]
) -> list[str]:
    """Let versions live as long as an entry written just now.

    :param versions: the versions of the entry, by key.
    :param timeout: the entry's timeout.
    :param longest: for each version, the longest timeout of an entry so far; kept up to date.
        Where a lifetime can only be set with the value, a shorter one must not cut off the longer
        entries.
    :return: the keys of those that are not there any more.
    """
    if reads_directly(cache, backend, "_extend"):
        return [key for key in versions if not backend._extend(key, timeout)]
    keys = list(versions)
    current = dict(zip(keys, read_many(cache, backend, keys), strict=False))
    for key, version in versions.items():
        if len(longest) > 10_000:
            longest.clear()
        longest[key] = _longer(backend, longest.get(key, timeout), timeout)
        # A version that was deleted or replaced meanwhile stays so.
        if current.get(key) != version:
            current.pop(key, None)
    by_timeout: dict[Any, dict[str, str]] = {}
    for key in current:
        by_timeout.setdefault(longest[key], {})[key] = versions[key]
    for longest_timeout, kept in by_timeout.items():
        cache.set_many(kept, timeout=longest_timeout)
    return [key for key in keys if key not in current]


def lifetime(backend: Any, timeout: Any) -> float:
    """How many seconds a backend keeps what is stored with a timeout."""
    seconds: Any = getattr(backend, "default_timeout", 300) if timeout is None else timeout
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    return math.inf if seconds == 0 else max(0.0, float(seconds))


def _longer(backend: Any, one: Any, other: Any) -> Any:
    """The longer of two timeouts; None is the backend's default, 0 never ends."""
    return one if lifetime(backend, one) >= lifetime(backend, other) else other
