"""One configuration of several: defaults, the application's, and the layers over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._warn import warn_of_negative
from ..backends import _registry
from ..backends.spec import BackendSpec, Setting, check
from ..errors import CacheConfigError
from ..mistakes import warn_of_unknown_settings
from ..utils import normalize_timeout
from .general import DEFAULT_TIMEOUT, DEFAULTS, GENERAL

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["resolve_config"]


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
        DEFAULT_TIMEOUT.check(config)
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
