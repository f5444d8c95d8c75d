"""``CACHE_*`` values: defaults, what each may be, and the backend that they describe."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cachelib import BaseCache as CachelibBaseCache
from cachelib.serializers import BaseSerializer
from werkzeug.utils import import_string

from ._warn import warn
from .backends.base import BaseCache
from .errors import CacheConfigError, CacheConfigTypeError, UnknownCacheTypeError
from .utils import normalize_timeout

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["DEFAULTS", "make_backend", "make_serializer", "resolve_config"]

#: The values that apply where the configuration has none.
DEFAULTS: dict[str, Any] = {
    "CACHE_TYPE": "NullCache",
    "CACHE_NO_NULL_WARNING": False,
    "CACHE_ARGS": [],
    "CACHE_OPTIONS": None,
    "CACHE_DEFAULT_TIMEOUT": 300,
    "CACHE_IGNORE_ERRORS": False,
    "CACHE_THRESHOLD": 500,
    "CACHE_KEY_PREFIX": "flask_cache_",
    "CACHE_SOURCE_CHECK": False,
    "CACHE_HASH_METHOD": hashlib.sha256,
    "CACHE_SERIALIZER": None,
    "CACHE_SIGNING_KEY": None,
    "CACHE_ENABLE_SIGNALS": False,
    "CACHE_MEMCACHED_SERVERS": None,
    "CACHE_DIR": None,
    "CACHE_FILE_HASH_METHOD": hashlib.sha256,
}

#: What CACHE_TYPE may be without a dot, and where it is.
BUILT_IN_TYPES = {
    **{
        name: f"flask_caching.backends.{name}"
        for name in (
            "NullCache",
            "SimpleCache",
            "FileSystemCache",
            "RedisCache",
            "RedisSentinelCache",
            "RedisClusterCache",
            "MemcachedCache",
            "SASLMemcachedCache",
            "SpreadSASLMemcachedCache",
        )
    },
    "UWSGICache": "flask_caching.contrib.uwsgicache.UWSGICache",
    "GoogleCloudStorageCache": (
        "flask_caching.contrib.googlecloudstoragecache.GoogleCloudStorageCache"
    ),
}

#: Names of former releases and of the documentation, and what they are called now.
DEPRECATED_TYPES = {
    "null": "NullCache",
    "simple": "SimpleCache",
    "filesystem": "FileSystemCache",
    "redis": "RedisCache",
    "redissentinel": "RedisSentinelCache",
    "rediscluster": "RedisClusterCache",
    "uwsgi": "UWSGICache",
    "memcached": "MemcachedCache",
    "gaememcached": "MemcachedCache",
    "saslmemcached": "SASLMemcachedCache",
    "spreadsaslmemcached": "SpreadSASLMemcachedCache",
    "spreadsaslmemcachedcache": "SpreadSASLMemcachedCache",
    "RedisSentinel": "RedisSentinelCache",
    "RedisCluster": "RedisClusterCache",
}


class _Kind:
    """What a value may be: a test, and the words for it."""

    def __init__(self, words: str, *types: type, test: Callable[[Any], bool] | None = None) -> None:
        self.words = words
        self._types = types
        self._test = test

    def accepts(self, value: Any) -> bool:
        return isinstance(value, self._types) or (self._test is not None and self._test(value))


def _is_number_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip().isascii() and value.strip().isdigit()


_FLAG = _Kind("True or False", bool, type(None), test=lambda v: v in (0, 1))
_TIMEOUT = _Kind(
    "a number of seconds or a datetime.timedelta",
    timedelta,
    test=lambda v: (
        (isinstance(v, (int, float)) and not isinstance(v, bool) and v == v) or _is_number_text(v)
    ),
)
_SECONDS = _Kind(
    "a positive number of seconds",
    test=lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and v > 0,
)
_COUNT = _Kind(
    "a whole number, 0 or more",
    test=lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0,
)
_PORT = _Kind(
    "a port number from 1 to 65535",
    test=lambda v: (
        ((isinstance(v, int) and not isinstance(v, bool)) or _is_number_text(v))
        and 0 < int(v) < 65536
    ),
)
_NUMBER = _Kind(
    "a whole number, 0 or more",
    test=lambda v: (
        ((isinstance(v, int) and not isinstance(v, bool)) or _is_number_text(v)) and int(v) >= 0
    ),
)
_TEXT = _Kind("a string", str)
_OPTIONAL_TEXT = _Kind("a string or None", str, type(None))
_SECRET = _Kind("a string or None", str, bytes, type(None))
_ADDRESSES = _Kind("a list or tuple of server addresses", list, tuple)
_CALLABLE = _Kind("a hash constructor, for example hashlib.sha256", test=callable)

#: The kinds of the values that every backend shares.
_GENERAL: dict[str, _Kind] = {
    "CACHE_NO_NULL_WARNING": _FLAG,
    "CACHE_ARGS": _Kind("a list or tuple", list, tuple),
    "CACHE_OPTIONS": _Kind("a dict or None", Mapping, type(None)),
    "CACHE_DEFAULT_TIMEOUT": _TIMEOUT,
    "CACHE_IGNORE_ERRORS": _FLAG,
    "CACHE_SOURCE_CHECK": _FLAG,
    "CACHE_ENABLE_SIGNALS": _FLAG,
    "CACHE_HASH_METHOD": _CALLABLE,
    "CACHE_SIGNING_KEY": _Kind(
        "a string, bytes, a list of them, or None", str, bytes, list, tuple, type(None)
    ),
}

_NETWORK = {
    "CACHE_KEY_PREFIX": _Kind(
        "a string, a callable that returns one, or None", str, type(None), test=callable
    ),
    "CACHE_CONNECT_TIMEOUT": _SECONDS,
    "CACHE_OPERATION_TIMEOUT": _SECONDS,
    "CACHE_BREAKER_FAILURES": _COUNT,
    "CACHE_BREAKER_RESET": _SECONDS,
}
_MEMCACHED = {
    **_NETWORK,
    # A client object is used as it is.
    "CACHE_MEMCACHED_SERVERS": _Kind(
        "a list or tuple of server addresses, or a client object",
        list,
        tuple,
        type(None),
        test=lambda v: hasattr(v, "get_multi") or (hasattr(v, "get") and hasattr(v, "set")),
    ),
}
_SASL = {
    **_MEMCACHED,
    "CACHE_MEMCACHED_USERNAME": _OPTIONAL_TEXT,
    "CACHE_MEMCACHED_PASSWORD": _SECRET,
}
_REDIS = {
    **_NETWORK,
    "CACHE_REDIS_HOST": _Kind(
        "a host name or a Redis client object", str, test=lambda v: hasattr(v, "get")
    ),
    "CACHE_REDIS_PORT": _PORT,
    "CACHE_REDIS_PASSWORD": _SECRET,
    "CACHE_REDIS_DB": _NUMBER,
    "CACHE_REDIS_URL": _OPTIONAL_TEXT,
}

#: The kinds of the values that one backend reads; for the others they do not matter.
_BY_TYPE: dict[str, dict[str, _Kind]] = {
    "SimpleCache": {"CACHE_THRESHOLD": _COUNT},
    "FileSystemCache": {
        "CACHE_THRESHOLD": _COUNT,
        "CACHE_DIR": _Kind("the path of a directory", str, os.PathLike),
        "CACHE_FILE_HASH_METHOD": _CALLABLE,
    },
    "RedisCache": _REDIS,
    "RedisSentinelCache": {
        **_NETWORK,
        "CACHE_REDIS_SENTINELS": _ADDRESSES,
        "CACHE_REDIS_SENTINEL_MASTER": _OPTIONAL_TEXT,
        "CACHE_REDIS_SENTINEL_PASSWORD": _SECRET,
        "CACHE_REDIS_PASSWORD": _SECRET,
        "CACHE_REDIS_DB": _NUMBER,
    },
    "RedisClusterCache": {
        **_NETWORK,
        "CACHE_REDIS_CLUSTER": _OPTIONAL_TEXT,
        "CACHE_REDIS_PASSWORD": _SECRET,
        "CACHE_REDIS_URL": _OPTIONAL_TEXT,
    },
    "MemcachedCache": _MEMCACHED,
    "SASLMemcachedCache": _SASL,
    "SpreadSASLMemcachedCache": _SASL,
    "UWSGICache": {"CACHE_UWSGI_NAME": _OPTIONAL_TEXT},
    "GoogleCloudStorageCache": {"CACHE_GCS_BUCKET": _TEXT, "CACHE_KEY_PREFIX": _OPTIONAL_TEXT},
}

#: Keys whose values no message may show.
_SECRETS = (
    "ARGS",
    "CLUSTER",
    "HOST",
    "OPTIONS",
    "PASSWORD",
    "PORT",
    "SENTINELS",
    "SERVERS",
    "SIGNING_KEY",
    "URL",
    "USERNAME",
)


def resolve_config(app: Flask, *layers: dict[str, Any] | None) -> dict[str, Any]:
    """The configuration of one cache: defaults, the application's, and the layers over it.

    :param app: the application.
    :param layers: dictionaries, the later over the earlier.
    :raises CacheConfigError: a value that every backend reads is of the wrong kind.
    """
    config = dict(app.config)
    for layer in layers:
        config.update(layer or {})
    for key, default in DEFAULTS.items():
        config.setdefault(key, list(default) if isinstance(default, list) else default)
    _check(config, _GENERAL)
    options = config["CACHE_OPTIONS"] or {}
    if "default_timeout" in options:
        config["CACHE_DEFAULT_TIMEOUT"] = options["default_timeout"]
        _check(config, {"CACHE_DEFAULT_TIMEOUT": _TIMEOUT})
    config["CACHE_DEFAULT_TIMEOUT"] = normalize_timeout(config["CACHE_DEFAULT_TIMEOUT"])
    return config


def _check(config: Mapping[str, Any], kinds: Mapping[str, _Kind]) -> None:
    for key, kind in kinds.items():
        if key in config and not kind.accepts(config[key]):
            shown = type(config[key]).__name__ if key.endswith(_SECRETS) else repr(config[key])
            raise CacheConfigTypeError(f"{key} must be {kind.words}, not {shown}")


def make_backend(app: Flask, config: dict[str, Any]) -> Any:
    """Make the backend that a configuration describes.

    :param app: the application.
    :param config: what :func:`resolve_config` returned.
    :raises UnknownCacheTypeError: ``CACHE_TYPE`` names nothing.
    :raises CacheConfigError: a value cannot be used; the message names its key.
    """
    target, name = _find_type(config["CACHE_TYPE"])
    built_in = getattr(target, "__module__", "").startswith("flask_caching.")
    if built_in:
        _check(config, _BY_TYPE.get(target.__name__, {}))
        _warn_of(target.__name__, config)
    args = list(config["CACHE_ARGS"])
    kwargs = {
        "default_timeout": config["CACHE_DEFAULT_TIMEOUT"],
        "ignore_delete_many_errors": bool(config["CACHE_IGNORE_ERRORS"]),
        **(config["CACHE_OPTIONS"] or {}),
    }
    if built_in:
        kwargs["default_timeout"] = config["CACHE_DEFAULT_TIMEOUT"]
        _check_options(target, config["CACHE_OPTIONS"] or {})
    if name.startswith("cachelib.") and _is_class_of(target, CachelibBaseCache):
        return target(*args, **{**kwargs, "default_timeout": config["CACHE_DEFAULT_TIMEOUT"]})
    factory = target.factory if _is_class_of(target, BaseCache) else target
    if _takes_config(factory):
        return factory(app, config, args, kwargs)
    return factory(app, args, kwargs)


def _find_type(cache_type: Any) -> tuple[Any, str]:
    """What CACHE_TYPE names, and its import string."""
    if callable(cache_type):
        return cache_type, f"{cache_type.__module__}.{getattr(cache_type, '__qualname__', '')}"
    if not isinstance(cache_type, str) or not cache_type:
        raise CacheConfigTypeError(
            f"CACHE_TYPE must be the name or import string of a backend, not {cache_type!r}. "
            f"Names: {', '.join(BUILT_IN_TYPES)}"
        )
    if "://" in cache_type:
        raise CacheConfigTypeError(
            "CACHE_TYPE is a URL; it must be the name or import string of a backend. "
            "The URL of a Redis server goes into CACHE_REDIS_URL"
        )
    name = cache_type
    if name in DEPRECATED_TYPES:
        name = DEPRECATED_TYPES[name]
        warn(f"CACHE_TYPE {cache_type!r} is deprecated; use {name!r} instead.", DeprecationWarning)
    import_name = (
        name if "." in name else BUILT_IN_TYPES.get(name, f"flask_caching.backends.{name}")
    )
    try:
        return import_string(import_name), import_name
    except ImportError as error:
        if name in BUILT_IN_TYPES:
            raise CacheConfigError(f"CACHE_TYPE {cache_type!r} cannot be used: {error}") from error
        hint = (
            f"it cannot be imported: {_cause(error)}"
            if "." in name
            else f"there is no such backend. Names: {', '.join(BUILT_IN_TYPES)}; any other backend "
            "is given by its import string, 'package.module.name'"
        )
        raise UnknownCacheTypeError(
            f"CACHE_TYPE is {cache_type!r}, and {hint}", import_name, error
        ) from error


def _cause(error: BaseException) -> str:
    original = getattr(error, "exception", None) or error
    return str(original)


def _warn_of(name: str, config: Mapping[str, Any]) -> None:
    if name == "NullCache" and not config["CACHE_NO_NULL_WARNING"]:
        warn(
            "CACHE_TYPE is NullCache: nothing is cached. "
            "Set CACHE_NO_NULL_WARNING to silence this.",
            UserWarning,
        )


def _check_options(target: Any, options: Mapping[str, Any]) -> None:
    """Refuse CACHE_OPTIONS that a built-in backend does not know, and list those that it does."""
    parameters = inspect.signature(target.__init__).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        # The backend knows more options than its signature names, and checks them itself.
        return
    known = [p.name for p in parameters if p.name != "self"]
    unknown = [repr(name) for name in options if name not in known]
    if unknown:
        raise CacheConfigTypeError(
            f"CACHE_OPTIONS of {target.__name__} has the unknown {', '.join(unknown)}. "
            f"Known: {', '.join(known)}"
        )


def _is_class_of(target: Any, base: type) -> bool:
    return isinstance(target, type) and issubclass(target, base)


def _takes_config(factory: Callable[..., Any]) -> bool:
    """Whether a factory is ``(app, config, args, kwargs)``, not ``(app, args, kwargs)``."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return True
    return _binds(signature, 4) or not _binds(signature, 3)


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def make_serializer(serializer: Any) -> BaseSerializer | None:
    """The serializer that ``CACHE_SERIALIZER`` describes; None: the backend's own.

    :param serializer: None, a subclass of cachelib's ``BaseSerializer``, or an instance of one.
    :raises CacheConfigError: it is something else, or cannot be made.
    """
    if serializer is None or isinstance(serializer, BaseSerializer):
        return serializer
    if not _is_class_of(serializer, BaseSerializer):
        raise CacheConfigTypeError(
            "CACHE_SERIALIZER must be a subclass of cachelib.serializers.BaseSerializer or an "
            f"instance of one, not {serializer!r}"
        )
    try:
        made: BaseSerializer = serializer()
    except Exception as error:
        raise CacheConfigError(
            f"CACHE_SERIALIZER: Couldn't instantiate serializer {serializer.__name__} without "
            f"arguments: {error}"
        ) from error
    return made
