"""The backend, and the serializer, that a configuration describes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cachelib import BaseCache as CachelibBaseCache
from cachelib.serializers import BaseSerializer
from werkzeug.utils import import_string

from .._warn import warn
from ..backends import _registry
from ..backends.base import BaseCache
from ..backends.spec import BackendSpec, as_flag, check
from ..errors import CacheConfigError, CacheConfigTypeError, UnknownCacheTypeError
from ..mistakes import close_to, meant_type, why_no_factory

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["make_backend", "make_serializer"]


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
