"""What was meant by a setting, a name or an argument that cannot be meant as it is written."""

from __future__ import annotations

import difflib
import hashlib
import inspect
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from cachelib import BaseCache as CachelibBaseCache
from flask import Flask
from flask.views import View

from ._engine import timeout_seconds
from ._warn import warn, warn_of_negative
from .backends import _registry
from .errors import CacheConfigTypeError
from .utils import normalize_timeout

__all__ = [
    "check_app",
    "check_cache",
    "check_decorated",
    "check_hash_method",
    "check_ignored_arguments",
    "check_jinja2_flag",
    "check_timeout",
    "close_to",
    "explain_call",
    "meant_type",
    "needs_arguments",
    "unexpected_argument",
    "warn_of_unknown_settings",
    "why_no_factory",
]

_PREFIX = "CACHE_"

#: What settings are called elsewhere, or by heart.
_OTHER_NAMES = {
    "CACHE_TIMEOUT": "CACHE_DEFAULT_TIMEOUT",
    "CACHE_TTL": "CACHE_DEFAULT_TIMEOUT",
    "CACHE_BACKEND": "CACHE_TYPE",
    "CACHE_PREFIX": "CACHE_KEY_PREFIX",
    "CACHE_DIRECTORY": "CACHE_DIR",
    "CACHE_PATH": "CACHE_DIR",
    "CACHE_REDIS_PASS": "CACHE_REDIS_PASSWORD",
    "CACHE_MAX_ENTRIES": "CACHE_THRESHOLD",
    "CACHE_MAX_SIZE": "CACHE_MAX_BYTES",
    "CACHE_COMPRESS": "CACHE_COMPRESSION",
    "CACHE_MEMCACHED_HOST": "CACHE_MEMCACHED_SERVERS",
    "CACHE_LEASE_TIMEOUT": "CACHE_LEASE_TTL",
    "CACHE_NEAR_BYTES": "CACHE_NEAR_MAX_BYTES",
    "CACHE_NEAR_TTL": "CACHE_NEAR_TIMEOUT",
}


def close_to(name: str, known: Iterable[str], cutoff: float = 0.75) -> str | None:
    """The one of ``known`` that ``name`` is most likely to mean, whatever its case; or None.

    :param cutoff: how alike they have to be, from 0 to 1.
    """
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


# Settings.


def warn_of_unknown_settings(known: Collection[str], names: Iterable[str]) -> None:
    """Warn of settings that are nearly, but not quite, called like one that there is.

    :param known: the names of all settings.
    :param names: those that a configuration has.
    """
    for name in names:
        meant = None if name in known else _meant_setting(name, known)
        if meant is not None:
            warn(f"{name} is no setting, and is not used: did you mean {meant}?", UserWarning)


def _meant_setting(name: str, known: Collection[str]) -> str | None:
    upper = name.upper()
    if upper != name:
        # Flask reads no other settings either.
        return upper if upper.startswith(_PREFIX) and upper in known else None
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    # One of the application's own may be numbered.
    if name[-1].isdigit():
        return None
    short = [one.removeprefix(_PREFIX) for one in known]
    word = name.removeprefix(_PREFIX)
    # Letters change places most easily in short names, which are not much alike then.
    shuffled = [one for one in short if sorted(one) == sorted(word)]
    meant = shuffled[0] if shuffled else close_to(word, short, cutoff=0.85)
    return None if meant is None else _PREFIX + meant


# The backend.


#: What backends are called elsewhere.
_OTHER_TYPES = {
    **dict.fromkeys(("memory", "inmemory", "locmem", "local", "dict", "ram"), "SimpleCache"),
    **dict.fromkeys(("file", "files", "disk", "filebased"), "FileSystemCache"),
    **dict.fromkeys(("mem", "memcache", "pymemcache", "pylibmc"), "MemcachedCache"),
    **dict.fromkeys(("none", "dummy", "disabled", "off"), "NullCache"),
    **dict.fromkeys(("gcs", "googlecloudstorage"), "GoogleCloudStorageCache"),
}


def meant_type(name: str) -> str:
    """A question for the backend that a ``CACHE_TYPE`` nearly names, and a blank; or nothing."""
    last = name.rpartition(".")[2]
    known = {one: spec.name for spec in _registry.specs() for one in (spec.name, *spec.deprecated)}
    by_lower = {one.lower(): one for one in known}
    word = re.sub(r"\W|_", "", last.lower())
    other = _OTHER_TYPES.get(word.removesuffix("cache").removesuffix("backend"))
    close = other or by_lower.get(f"{word}cache") or close_to(last, known)
    return "" if close is None else f"Did you mean {known[close]!r}? "


def why_no_factory(target: Any, binds: Callable[[inspect.Signature, int], bool]) -> str | None:
    """Why what ``CACHE_TYPE`` names cannot make a backend; None where it may.

    :param binds: whether a signature takes that many arguments.
    """
    if isinstance(target, ModuleType):
        return "which is a module: name the backend in it"
    if not callable(target):
        return f"which is a {type(target).__name__} and makes no backend"
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return None
    if binds(signature, 4) or binds(signature, 3):
        return None
    return (
        "which makes no backend: it has to be a function, or a class with a `factory`, that takes "
        "(app, config, args, kwargs)"
    )


# Cache().


def check_app(app: Any) -> None:
    """Refuse what is given in the place of an application.

    :raises CacheConfigTypeError: it is none; the message says what to write.
    """
    if hasattr(app, "config"):
        return
    if isinstance(app, Mapping):
        said = "a dict of settings goes by name: Cache(app, config={...})"
    elif isinstance(app, type):
        said = f"it is the class {app.__name__}: make an application of it first"
    else:
        said = "make a Cache with Cache(app), or call cache.init_app(app)"
    raise CacheConfigTypeError(f"the application is missing, not a {_kind(app)}: {said}")


def check_cache(cache: Any, call: str) -> None:
    """Refuse the application or the backend where their cache is to be shown or watched.

    :param call: how the function is called that was given it.
    :raises CacheConfigTypeError: it is one of these.
    """
    if isinstance(cache, (Flask, CachelibBaseCache)):
        raise CacheConfigTypeError(f"{call} takes the Cache, not a {_kind(cache)}")


def check_jinja2_flag(with_jinja2_ext: Any) -> None:
    """Warn where the settings were given in the place of another argument."""
    if isinstance(with_jinja2_ext, Mapping):
        warn(
            "the settings in Cache(app, {...}) are not used: the second argument is "
            "with_jinja2_ext. Write Cache(app, config={...})",
            UserWarning,
        )
    elif isinstance(with_jinja2_ext, str):
        warn(
            f"the second argument of Cache(app, {with_jinja2_ext!r}) is with_jinja2_ext, which is "
            "True or False. A backend is chosen by config={'CACHE_TYPE': ...}",
            UserWarning,
        )


#: What takes any number of keys, for what takes one.
_FOR_ONE = {"get": "get_many", "delete": "delete_many"}

#: What arguments are called elsewhere.
_OTHER_ARGUMENTS = {
    **dict.fromkeys(("ttl", "ex", "expire", "expires", "expiry", "expiration"), "timeout"),
    **dict.fromkeys(("seconds", "max_age", "lifetime", "time"), "timeout"),
    **dict.fromkeys(("amount", "by", "step", "count"), "delta"),
    **dict.fromkeys(("name", "k"), "key"),
    **dict.fromkeys(("val", "data", "v"), "value"),
}

#: The methods that take any number of keys.
_FOR_MANY = ("get_many", "get_dict", "delete_many", "unlink")


def _kind(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__


# The decorators.


def check_timeout(cache: Any, decorator: str, timeout: Any) -> None:
    """Refuse a function in the place of the timeout, and warn of what else is none.

    :param cache: whose decorator it is.
    :param decorator: ``cached``, ``memoize`` or ``page``.
    :raises TypeError: it is a function, or in the place of the cache.
    :raises ValueError: it is a text that is no number.
    """
    if not hasattr(cache, "init_app"):
        raise TypeError(
            f"{decorator} is called on the class: make a cache first, as cache = Cache(app), "
            f"and write @cache.{decorator}({cache!r})"
        )
    if callable(timeout) or isinstance(timeout, (classmethod, staticmethod)):
        name = getattr(timeout, "__name__", repr(timeout))
        raise TypeError(
            f"the timeout of {decorator} is the function {name}: write @cache.{decorator}() with "
            "parentheses"
        )
    if isinstance(timeout, bool):
        warn(
            f"timeout={timeout} is "
            + ("1 second" if timeout else "0, and what never expires: write 0 where it is meant")
            + ". To keep calls away from the cache there is unless=lambda: True",
            UserWarning,
        )
    timeout = normalize_timeout(timeout)
    if timeout is None:
        return
    try:
        seconds = timeout_seconds(timeout)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if seconds < 0:
        warn_of_negative("timeout", timeout)
    elif math.isnan(seconds):
        warn(
            f"timeout={timeout!r} is no timeout, so nothing is cached: write a number of seconds, "
            "a timedelta, or None for CACHE_DEFAULT_TIMEOUT",
            UserWarning,
        )


def check_hash_method(hash_method: Any) -> None:
    """Warn of a ``hash_method`` that cannot be called, so that no key can be made.

    What is false stands for the application's, as None does.
    """
    if not hash_method or callable(hash_method):
        return
    name = getattr(hash_method, "name", hash_method)
    known = isinstance(name, str) and name.lower() in hashlib.algorithms_available
    hint = f"hash_method=hashlib.{name.lower()}" if known else "as hash_method=hashlib.sha256"
    warn(
        f"hash_method={hash_method!r} cannot be called, so nothing is cached: it has to be the "
        f"constructor of a hash, {hint}",
        UserWarning,
    )


def check_decorated(f: Any) -> None:
    """Refuse what cannot be decorated, and warn of what is never cached.

    :raises TypeError: it is no function.
    """
    if isinstance(f, (classmethod, staticmethod)):
        raise TypeError(f"put @{type(f).__name__} above the cache's decorator: it is applied last")
    if not callable(f):
        raise TypeError(f"only a function can be cached, not {f!r}")
    if isinstance(f, type) and issubclass(f, View):
        raise TypeError(
            f"{f.__name__} is a class of views, and only functions are cached: write in it "
            "decorators = [cache.cached()], or decorate its methods"
        )
    if inspect.isasyncgenfunction(f):
        warn(
            f"{f.__qualname__} is not cached: what an asynchronous generator yields is not known "
            "until it is awaited. Return a list from a coroutine function",
            UserWarning,
        )


def needs_arguments(function: Callable[..., Any]) -> bool:
    """Whether a function cannot be called without any."""
    try:
        inspect.signature(function).bind()
    except TypeError:
        return True
    except ValueError:
        pass
    return False


def explain_call(
    error: Exception, method: Callable[..., Any], args: Sequence[Any], given: Collection[str]
) -> None:
    """Let the error of a call of ``method`` say what was meant, where that shows.

    Of misspelt arguments CPython says it itself, since 3.13, and of Python's functions only.

    :param error: what the call raised; it is changed.
    :param args: the arguments without a name.
    :param given: the names of the others.
    """
    text = str(error)
    name = getattr(method, "__name__", "")
    for_many = _FOR_ONE.get(name)
    if for_many and args and (len(args) > 1 or isinstance(args[0], (list, tuple, set, frozenset))):
        error.args = (f"{text}. It is for one key; for several: {for_many}(*keys)",)
        return
    if name in _FOR_MANY and args and isinstance(args[0], (list, tuple, set, frozenset)):
        error.args = (f"{text}. The keys go one by one: {name}(*keys)",)
        return
    if name == "set_many" and args and not hasattr(args[0], "items"):
        error.args = (f"{text}. The values go by key: set_many({{key: value}})",)
        return
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):
        return
    found = re.search(r"unexpected keyword argument '(\w+)'\Z", text)
    misspelt = found[1] if found else None
    if found is None and re.search(r"\(\) missing \d+ required ", text):
        # The name is wrong, not missing.
        misspelt = next((name for name in given if name not in parameters), None)
        text = f"{method.__qualname__}() got an unexpected keyword argument {misspelt!r}"
    if misspelt is None or misspelt not in given:
        return
    left = [name for name in parameters if name not in given]
    meant = close_to(misspelt, left)
    if meant is None and _OTHER_ARGUMENTS.get(misspelt) in left:
        meant = _OTHER_ARGUMENTS[misspelt]
    if meant is not None:
        error.args = (f"{text}. Did you mean {meant!r}?",)


def unexpected_argument(method: Callable[..., Any], given: Collection[str]) -> TypeError:
    """The error of a call of a native method with arguments that it does not know.

    :param given: their names.
    """
    name = next(iter(given))
    error = TypeError(f"{method.__qualname__}() got an unexpected keyword argument {name!r}")
    explain_call(error, method, (), given)
    return error


def check_ignored_arguments(f: Callable[..., Any], given: Any, takes_any: bool) -> None:
    """Warn of names in ``args_to_ignore`` that a function has no arguments of.

    :param given: what was given for ``args_to_ignore``.
    :param takes_any: whether the function takes arguments of any name.
    """
    if isinstance(given, str):
        warn(
            f"args_to_ignore={given!r} is one name: it has to be a list of them, as in "
            f"args_to_ignore={given.replace(',', ' ').split()!r}",
            UserWarning,
        )
        return
    if given is None or given is False:
        return
    if not isinstance(given, Iterable):
        warn(
            f"args_to_ignore={given!r} has to be a list of names, so nothing is cached", UserWarning
        )
        return
    others = [name for name in given if not isinstance(name, str)]
    if others:
        warn(f"args_to_ignore has {others[0]!r}, which is no name of an argument", UserWarning)
    if takes_any:
        return
    try:
        parameters = inspect.signature(f).parameters
    except (TypeError, ValueError):
        return
    for name in given:
        if isinstance(name, str) and name not in parameters:
            meant = close_to(name, parameters)
            hint = f"Did you mean {meant!r}?" if meant else f"It has: {', '.join(parameters)}"
            function = getattr(f, "__qualname__", repr(f))
            warn(f"args_to_ignore: {function} has no argument {name!r}. {hint}", UserWarning)
