"""The exceptions of Flask-Caching. A miss is never one of them.

Some derive from a second exception as well, the one that an application may already catch for the
same mistake: a built-in one, or redis-py's or pylibmc's where these are installed.
"""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any, NamedTuple

from werkzeug.utils import ImportStringError

__all__ = [
    "CacheBackendError",
    "CacheConfigError",
    "CacheConfigTypeError",
    "CacheError",
    "CacheKeyError",
    "CacheLockError",
    "CacheNotInitializedError",
    "UnknownCacheTypeError",
    "UnstorableValueError",
]


class CacheError(Exception):
    """The base of every exception that this package raises itself."""


class CacheConfigError(CacheError, ValueError):
    """A ``CACHE_*`` value cannot be used; the message names key, value and what would be right."""


class CacheConfigTypeError(CacheConfigError, TypeError):
    """A ``CACHE_*`` value is of the wrong kind, or an option is unknown."""


class UnknownCacheTypeError(CacheConfigError, ImportStringError):
    """``CACHE_TYPE`` names nothing that can be imported."""

    def __init__(self, message: str, import_name: str, exception: BaseException) -> None:
        self.message = message
        self.import_name = import_name
        self.exception = exception
        Exception.__init__(self, message)

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"


class CacheLockError(CacheError, RuntimeError):
    """A lock of ``cache.lock`` could not be had, or is not held any more."""


class CacheNotInitializedError(CacheError, RuntimeError, AttributeError, KeyError):
    """A ``Cache`` was used with an application that it was not set up for."""

    #: Whether that application is in debug mode.
    debug: bool = False

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class CacheKeyError(CacheError, ValueError):
    """A cache key cannot be used."""


class CacheBackendError(CacheError, RuntimeError):
    """The backend could not do what was asked; the message names operation, place and cause."""


class UnstorableValueError(CacheError, TypeError):
    """A value cannot be stored, or could not be read back as what it was."""


class _Likeness(NamedTuple):
    """An exception that is one of a client library's as well.

    :param base: what it is here.
    :param module: where the library has its own.
    :param names: what they are called there, or what stands for those that a version has not.
    """

    base: type[Exception]
    module: str
    names: tuple[str, ...]


_REDIS = "redis.exceptions"
_PYLIBMC = "pylibmc"

#: The errors of servers. Each is made when it is first raised: only then is the library imported,
#: which takes longer than all of this package.
_LIKENESSES = {
    "RedisAuthenticationError": _Likeness(CacheBackendError, _REDIS, ("AuthenticationError",)),
    "RedisMasterNotFoundError": _Likeness(
        CacheBackendError, "redis.sentinel", ("MasterNotFoundError", "ConnectionError")
    ),
    "RedisBusyLoadingError": _Likeness(
        CacheBackendError, _REDIS, ("BusyLoadingError", "ConnectionError")
    ),
    "RedisClusterDownError": _Likeness(
        CacheBackendError, _REDIS, ("ClusterDownError", "ConnectionError")
    ),
    "RedisNoPermissionError": _Likeness(
        CacheBackendError, _REDIS, ("NoPermissionError", "ResponseError")
    ),
    "RedisOutOfMemoryError": _Likeness(
        CacheBackendError, _REDIS, ("OutOfMemoryError", "ResponseError")
    ),
    "RedisReadOnlyError": _Likeness(CacheBackendError, _REDIS, ("ReadOnlyError", "ResponseError")),
    "RedisConnectionError": _Likeness(CacheBackendError, _REDIS, ("ConnectionError",)),
    "RedisTimeoutError": _Likeness(CacheBackendError, _REDIS, ("TimeoutError",)),
    "RedisResponseError": _Likeness(CacheBackendError, _REDIS, ("ResponseError",)),
    "RedisProtocolError": _Likeness(CacheBackendError, _REDIS, ("InvalidResponse",)),
    # The base of all, so after them.
    "RedisClientError": _Likeness(CacheBackendError, _REDIS, ("RedisError",)),
    "RedisValueError": _Likeness(TypeError, _REDIS, ("ResponseError",)),
    "MemcachedConnectionError": _Likeness(
        # pylibmc raises the last one from the second failure on.
        CacheBackendError,
        _PYLIBMC,
        ("ConnectionError", "HostLookupError", "ServerDown"),
    ),
    "MemcachedResponseError": _Likeness(CacheBackendError, _PYLIBMC, ("ServerError",)),
    "MemcachedProtocolError": _Likeness(CacheBackendError, _PYLIBMC, ("ProtocolError",)),
    "MemcachedNotFoundError": _Likeness(CacheBackendError, _PYLIBMC, ("NotFound",)),
    "MemcachedValueError": _Likeness(TypeError, _PYLIBMC, ("ClientError",)),
}

_making = threading.RLock()


def __getattr__(name: str) -> Any:
    """The exceptions of :data:`_LIKENESSES`, when they are asked for."""
    if name not in _LIKENESSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _making:
        # Another thread may have been faster.
        return globals().get(name) or globals().setdefault(name, _make(name, _LIKENESSES[name]))


def _make(name: str, likeness: _Likeness) -> type[Exception]:
    theirs = _theirs(likeness)

    def __init__(self: Exception, *args: Any) -> None:
        for cls in theirs:
            # They keep attributes of their own.
            cls.__init__(self, *args)

    namespace = {
        "__init__": __init__,
        "__module__": __name__,
        # Theirs shows no message, and a pickle with their attributes needs their library.
        "__repr__": BaseException.__repr__,
        "__reduce__": lambda self: (type(self), self.args),
        "__doc__": f"A server's failure, which is {likeness.module}'s {likeness.names[0]} as well.",
    }
    return type(name, (likeness.base, *theirs), namespace)


def _theirs(likeness: _Likeness) -> tuple[type[Exception], ...]:
    """The library's exceptions; none where it is not installed, or is another by its name."""
    try:
        module = import_module(likeness.module)
        found = [getattr(module, name) for name in likeness.names if hasattr(module, name)]
    except Exception:
        # Whatever the library raises when it is imported must not hide what the server did.
        return ()
    are_plain = all(isinstance(cls, type) and issubclass(cls, Exception) for cls in found)
    return tuple(found) if are_plain else ()


def like_redis(error: Exception) -> type[Exception]:
    """The class of ours for what a client of redis-py, or one like it, has raised."""
    for name, likeness in _LIKENESSES.items():
        if name.startswith("Redis") and likeness.base is CacheBackendError:
            made: type[Exception] = __getattr__(name)
            if isinstance(error, made.__bases__[1:2]):
                return made
    return CacheBackendError
