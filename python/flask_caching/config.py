"""``CACHE_*`` values: the configuration of a cache, and the backend that it describes.

What a backend reads of it stands in the backend's own ``backend_spec``.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sized
from typing import TYPE_CHECKING, Any

from cachelib import BaseCache as CachelibBaseCache
from cachelib.serializers import BaseSerializer
from werkzeug.utils import import_string

from ._warn import warn, warn_of_negative
from .backends import _registry
from .backends._settings import COMPRESSION, FOR_EVERY_FACTORY
from .backends.base import BaseCache
from .backends.spec import (
    CALLABLE,
    COUNT,
    DURATION,
    FLAG,
    INTERVAL,
    OPTIONAL_DURATION,
    SHARE,
    TIMEOUT,
    BackendSpec,
    Kind,
    Setting,
    as_flag,
    as_number,
    check,
    seconds_of,
)
from .errors import CacheConfigError, CacheConfigTypeError, UnknownCacheTypeError
from .mistakes import close_to, meant_type, warn_of_unknown_settings, why_no_factory
from .utils import normalize_timeout

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["DEFAULTS", "GENERAL", "make_backend", "make_serializer", "resolve_config"]


def _unless_empty(value: Any) -> Any:
    """None in the place of what is empty, whatever it is: environments know only text."""
    is_empty = isinstance(value, Sized) and not len(value)
    return None if is_empty else value


_ANY = Kind("anything", object)
_LEASE_TIME = Kind(
    "a number of seconds or a datetime.timedelta, above 0",
    test=lambda v: 0 < seconds_of(v) < float("inf"),
    read=as_number,
)
_DEFAULT_TIMEOUT = Setting(
    "CACHE_DEFAULT_TIMEOUT",
    TIMEOUT,
    "the lifetime of an entry where none is given: seconds, or a `timedelta`; `0` does not expire",
    default=300,
)

#: The settings that are read whatever the backend is.
GENERAL = (
    # Checked where it is looked up.
    Setting(
        "CACHE_TYPE", _ANY, "which backend: its name, or an import string", default="NullCache"
    ),
    _DEFAULT_TIMEOUT,
    Setting(
        "CACHE_ARGS",
        Kind("a list or tuple", list, tuple, read=_unless_empty),
        "a list of positional arguments for the backend",
        default=[],
        secret=True,
    ),
    Setting(
        "CACHE_OPTIONS",
        Kind("a dict or None", Mapping, read=_unless_empty),
        "a dictionary of keyword arguments for the backend",
        secret=True,
    ),
    Setting(
        "CACHE_IGNORE_ERRORS",
        FLAG,
        "`True`: `delete_many` goes on where a key cannot be deleted",
        default=False,
    ),
    # Checked by `make_serializer`.
    Setting("CACHE_SERIALIZER", _ANY, "a cachelib serializer, class or instance"),
    Setting(
        "CACHE_NO_NULL_WARNING", FLAG, "no warning where the type is `NullCache`", default=False
    ),
    Setting(
        "CACHE_HASH_METHOD",
        CALLABLE,
        "the hash that keys are built with",
        default=hashlib.sha256,
    ),
    Setting(
        "CACHE_SOURCE_CHECK",
        FLAG,
        "put the source of a decorated function into its keys",
        default=False,
    ),
    Setting("CACHE_ENABLE_SIGNALS", FLAG, "announce hits and misses as signals", default=False),
    Setting(
        "CACHE_SINGLE_FLIGHT",
        FLAG,
        "of calls of one process that miss at the same time, one computes and the others get its "
        "result",
        default=True,
    ),
    Setting(
        "CACHE_WAIT",
        DURATION,
        "the longest time that a call waits for another one that computes the same, before it "
        "computes itself: seconds, or a `timedelta`",
        default=5,
    ),
    Setting(
        "CACHE_STATS_SHARED",
        INTERVAL,
        "how often each process leaves its counts in a shared cache, for "
        "`cache.stats(all_processes=True)`: seconds, or a `timedelta`; `0` or False: never",
        default=5,
    ),
    Setting(
        "CACHE_STALE_WHILE_REVALIDATE",
        OPTIONAL_DURATION,
        "for how long after its timeout an old value is answered at once while one refresh runs in "
        "the background: seconds, or a `timedelta`",
    ),
    Setting(
        "CACHE_STALE_IF_ERROR",
        OPTIONAL_DURATION,
        "for how long after its timeout an old value is answered where the function raises, or the "
        "view answers with a status of 5xx: seconds, or a `timedelta`",
    ),
    Setting(
        "CACHE_STALE_RETRY",
        DURATION,
        "after a failed refresh the next is tried no sooner: seconds, or a `timedelta`",
        default=1,
    ),
    Setting(
        "CACHE_REFRESH_WORKERS",
        COUNT,
        "threads of a process that refresh in the background; `0`: one of the callers does",
        default=2,
    ),
    Setting(
        "CACHE_JITTER",
        SHARE,
        "lifetimes are shortened by a random share of up to this, from 0 to 1",
        default=0.0,
    ),
    Setting(
        "CACHE_LEASE",
        FLAG,
        "of calls of all processes that miss at the same time, one computes and the others get its "
        "result",
        default=False,
    ),
    Setting(
        "CACHE_LEASE_TTL",
        _LEASE_TIME,
        "what a process that was killed or frozen while it computed costs the others at most: "
        "seconds, or a `timedelta`",
        default=10,
    ),
    Setting(
        "CACHE_STORE_PRIVATE",
        FLAG,
        "store what a view made for one visitor, and give it to others: a response that sets a "
        "cookie, for example",
        default=False,
    ),
    Setting(
        "CACHE_PAGES_IN_FRONT",
        FLAG,
        "`True`: pages with `in_front=True` are answered before Flask is entered",
        default=False,
    ),
    Setting(
        "CACHE_PAGE_MAX_BYTES",
        COUNT,
        "the largest body of a page that is stored, in bytes",
        default=1 << 20,
    ),
    Setting(
        "CACHE_STATUS_HEADER",
        FLAG,
        "say in the header `Cache-Status` of a page what the cache did",
        default=True,
    ),
    Setting(
        "CACHE_SIGNING_KEY",
        Kind("a string, bytes, a list of them, or None", str, bytes, list, tuple, type(None)),
        "a secret that entries are signed with, or a list of them with the newest first",
        secret=True,
    ),
    *COMPRESSION,
)

#: The values that apply where the configuration has none.
DEFAULTS: dict[str, Any] = {
    setting.name: setting.default for setting in (*GENERAL, *FOR_EVERY_FACTORY)
}


def resolve_config(app: Flask, *layers: dict[str, Any] | None) -> dict[str, Any]:
    """The configuration of one cache: defaults, the application's, and the layers over it.

    :param app: the application.
    :param layers: dictionaries, the later over the earlier.
    :raises CacheConfigError: a value that every backend reads is of the wrong kind.
    """
    config = dict(app.config)
    for layer in layers:
        config.update(layer or {})
    _look_for_unknown_settings(config)
    for setting in _settings_of(config.get("CACHE_TYPE")):
        # A backend's own default, where it has another one.
        if setting.name in DEFAULTS:
            config.setdefault(setting.name, setting.default)
    for key, default in DEFAULTS.items():
        config.setdefault(key, list(default) if isinstance(default, list) else default)
    check(GENERAL, config)
    if config["CACHE_LEASE"] and not config["CACHE_SINGLE_FLIGHT"]:
        raise CacheConfigError(
            "CACHE_LEASE=True with CACHE_SINGLE_FLIGHT=False: calls of one process would wait for "
            "each other through the cache; leave CACHE_SINGLE_FLIGHT out"
        )
    options = config["CACHE_OPTIONS"] = dict(config["CACHE_OPTIONS"] or {})
    if "default_timeout" in options:
        config["CACHE_DEFAULT_TIMEOUT"] = options["default_timeout"]
        _DEFAULT_TIMEOUT.check(config)
    config["CACHE_DEFAULT_TIMEOUT"] = timeout = normalize_timeout(config["CACHE_DEFAULT_TIMEOUT"])
    if timeout is not None and timeout < 0:
        warn_of_negative("CACHE_DEFAULT_TIMEOUT", timeout)
    return config


def _look_for_unknown_settings(config: Mapping[str, Any]) -> None:
    """Warn of names that are nearly those of settings."""
    names = {name for name in config if isinstance(name, str) and name[:6].upper() == "CACHE_"}
    names.difference_update(DEFAULTS)
    if names:
        spec = _spec_of(config.get("CACHE_TYPE"))
        names.difference_update(setting.name for setting in (spec.settings if spec else ()))
    if names:
        # Only then are the modules of the other backends loaded.
        of_backends = (setting.name for spec in _registry.specs() for setting in spec.settings)
        warn_of_unknown_settings({*DEFAULTS, *of_backends}, sorted(names))


def _settings_of(cache_type: Any) -> tuple[Setting, ...]:
    """What the backend reads of the configuration, if it is one of this package."""
    if isinstance(cache_type, str) and "." in cache_type.removeprefix("flask_caching.backends."):
        # Somebody else's backend: those of this package are not loaded to look for it.
        return ()
    spec = _spec_of(cache_type)
    return spec.settings if spec else ()


def _spec_of(cache_type: Any) -> BackendSpec | None:
    """What the built-in backend says of itself that ``CACHE_TYPE`` names, or is."""
    backend = cache_type
    if isinstance(cache_type, str):
        backend = _registry.find(cache_type.rpartition(".")[2])
    spec = vars(backend).get("backend_spec") if isinstance(backend, type) else None
    return spec if isinstance(spec, BackendSpec) else None


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
        spec = getattr(target, "backend_spec", None)
        if isinstance(spec, BackendSpec):
            check(spec.settings, config)
            for setting in spec.settings:
                setting.check_option(config["CACHE_OPTIONS"])
    _check_near(target, config)
    args = list(config["CACHE_ARGS"])
    kwargs = {
        "default_timeout": config["CACHE_DEFAULT_TIMEOUT"],
        "ignore_delete_many_errors": config["CACHE_IGNORE_ERRORS"],
        **config["CACHE_OPTIONS"],
    }
    if built_in:
        kwargs["default_timeout"] = config["CACHE_DEFAULT_TIMEOUT"]
        _check_options(target, config["CACHE_OPTIONS"])
    if name.startswith("cachelib.") and _is_class_of(target, CachelibBaseCache):
        return target(*args, **{**kwargs, "default_timeout": config["CACHE_DEFAULT_TIMEOUT"]})
    factory = target.factory if _is_class_of(target, BaseCache) else target
    why = why_no_factory(factory, _binds)
    if why is not None:
        raise CacheConfigTypeError(
            f"CACHE_TYPE is {config['CACHE_TYPE']!r}, {why}. {meant_type(name)}Names: {_names()}"
        )
    made = factory(app, *([config] if _takes_config(factory) else []), args, kwargs)
    if not (hasattr(made, "get") and hasattr(made, "set")):
        raise CacheConfigTypeError(
            f"CACHE_TYPE is {config['CACHE_TYPE']!r}, which made a {type(made).__name__} and no "
            "backend: that has get() and set() at least"
        )
    return made


def _check_near(target: Any, config: Mapping[str, Any]) -> None:
    """Refuse copies nearby where nobody says when the originals change."""
    if not as_flag(config.get("CACHE_NEAR")):
        return
    spec = getattr(target, "backend_spec", None)
    why = "nobody tells this process when an entry changes"
    if isinstance(spec, BackendSpec):
        if spec.keeps_copies is True:
            return
        why = spec.keeps_copies or why
    raise CacheConfigError(
        f"CACHE_NEAR is set, and {getattr(target, '__name__', target)} can have no copies nearby: "
        f"{why}. They are for RedisCache, RedisSentinelCache and RedisClusterCache"
    )


def _find_type(cache_type: Any) -> tuple[Any, str]:
    """What CACHE_TYPE names, and its import string."""
    if callable(cache_type):
        return cache_type, _import_name(cache_type)
    if not isinstance(cache_type, str) or not cache_type:
        raise CacheConfigTypeError(
            f"CACHE_TYPE must be the name or import string of a backend, not {cache_type!r}. "
            f"Names: {_names()}"
        )
    if "://" in cache_type:
        raise CacheConfigTypeError(
            "CACHE_TYPE is a URL; it must be the name or import string of a backend. "
            "The URL of a Redis server goes into CACHE_REDIS_URL"
        )
    built_in = None if "." in cache_type else _registry.find(cache_type)
    if built_in is not None:
        name = built_in.backend_spec.name
        if name != cache_type:
            warn(
                f"CACHE_TYPE {cache_type!r} is deprecated; use {name!r} instead.",
                DeprecationWarning,
            )
        return built_in, _import_name(built_in)
    import_name = cache_type if "." in cache_type else f"flask_caching.backends.{cache_type}"
    try:
        return import_string(import_name), import_name
    except ImportError as error:
        meant = meant_type(cache_type)
        hint = (
            f"it cannot be imported: {_cause(error)}{'. ' + meant.rstrip() if meant else ''}"
            if "." in cache_type
            else f"there is no such backend. {meant}Names: {_names()}; any other backend "
            "is given by its import string, 'package.module.name'"
        )
        raise UnknownCacheTypeError(
            f"CACHE_TYPE is {cache_type!r}, and {hint}", import_name, error
        ) from error


def _import_name(target: Any) -> str:
    return f"{target.__module__}.{getattr(target, '__qualname__', '')}"


def _names() -> str:
    return ", ".join(spec.name for spec in _registry.specs())


def _cause(error: BaseException) -> str:
    original = getattr(error, "exception", None) or error
    return str(original)


def _check_options(target: Any, options: Mapping[str, Any]) -> None:
    """Refuse CACHE_OPTIONS that a built-in backend does not know, and list those that it does."""
    parameters = inspect.signature(target.__init__).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        # The backend knows more options than its signature names, and checks them itself.
        return
    known = [p.name for p in parameters if p.name != "self"]
    unknown = [repr(name) for name in options if name not in known]
    if unknown:
        meant = [close_to(name, known) for name in options if name not in known]
        raise CacheConfigTypeError(
            f"CACHE_OPTIONS of {target.__name__} has the unknown {', '.join(unknown)}. "
            + (f"Did you mean {meant[0]!r}? " if meant[0] else "")
            + f"Known: {', '.join(known)}"
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
