"""``Cache.get_or_set``: a value under a key, computed where it is missing."""

from __future__ import annotations

import inspect
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from types import BuiltinMethodType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from .._engine import CallParts
from ..mistakes import close_to, needs_arguments
from ..utils import normalize_timeout
from .fragments import is_fragment
from .policy import CallOptions, CallPolicy, Description
from .wrapper import wrap

if TYPE_CHECKING:
    from ..cache import Cache
    from ..extension.state import AppState

__all__ = ["GetOrSet"]

#: Options that differ in every call, such as lambdas, would otherwise add up.
_MOST_POLICIES = 64

#: Classes whose objects are told apart without code of the application.
_PLAIN = (type(None), bool, int, float, str, timedelta, FunctionType, BuiltinMethodType)


class _ValuePolicy(CallPolicy):
    """The policy of calls with the same options; their arguments are key, default and timeout."""

    def __init__(self, cache: Cache, options: CallOptions) -> None:
        super().__init__(cache, _default_of, options)
        self.name, self.module = "get_or_set", ""

    def parts(self) -> CallParts:
        return CallParts.unknown()

    def description(
        self, state: AppState, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Description:
        key, _, timeout = args
        place = self.cache._fragments.places(key)[0] if is_fragment(key) else key
        return Description(place, timeout=timeout)

    # What the call is made of is no business of the options.

    def is_stale_value(
        self, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> bool | None:
        return super().is_stale_value(value, (), {})

    def is_refreshed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool | None:
        return super().is_refreshed((), {})


def _default_of(key: Any, default: Any, timeout: Any) -> Any:
    if not callable(default):
        return default
    try:
        return default()
    except TypeError as error:
        if needs_arguments(default):
            name = getattr(default, "__name__", repr(default))
            raise TypeError(
                f"get_or_set() calls its default without arguments, and {name} needs some: give it "
                f"a function that calls it, as lambda: {name}(...)"
            ) from error
        raise


class _Same:
    """An option that is told from others by being another object, whatever it says it equals."""

    __slots__ = ("is_",)

    def __init__(self, option: Any) -> None:
        self.is_ = option

    def __eq__(self, other: object) -> bool:
        return type(other) is _Same and other.is_ is self.is_

    def __hash__(self) -> int:
        return id(self.is_)


def _told_apart(name: str, option: Any) -> Any:
    """An option, or what stands for it where options are compared."""
    if name == "cache_none":
        # Only its truth counts.
        return bool(option)
    kind = type(option)
    if kind in _PLAIN:
        return option
    if kind is MethodType and type(option.__func__) is FunctionType:
        # Made anew whenever it is asked for; it equals those of the same object.
        return option
    if name == "tags" and not isinstance(option, (str, bytes)) and not callable(option):
        with suppress(TypeError):
            option = tuple(option)
            if all(type(tag) is str for tag in option):
                return option
    return _Same(option)


class GetOrSet:
    """The calls of one ``Cache``.

    :param cache: the cache.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._known = lru_cache(_MOST_POLICIES, typed=True)(self._new_decorated)

    def __call__(self, key: str, default: Any, timeout: Any, options: dict[str, Any]) -> Any:
        """What is under ``key``, or what ``default`` stands for, which is stored."""
        if not isinstance(key, str):
            raise TypeError(f"a cache key must be a str, not {type(key).__name__}")
        if inspect.iscoroutinefunction(default):
            raise TypeError(
                "get_or_set() cannot await its default; decorate the coroutine function with "
                "cached(key_prefix=...) instead"
            )
        decorated, timeout = self._decorated(options), normalize_timeout(timeout)
        decorated._flask_caching_policy.options.check_with(timeout)
        return decorated(key, default, timeout)

    def _decorated(self, options: dict[str, Any]) -> Any:
        """The decorated function that answers calls with these options."""
        # By their types as well: True equals 1, and is not a number of seconds.
        return self._known(**{name: _told_apart(name, it) for name, it in options.items()})

    def _new_decorated(self, **told_apart: Any) -> Any:
        options = {name: it.is_ if type(it) is _Same else it for name, it in told_apart.items()}
        unknown = [name for name in options if name not in _OPTIONS]
        if unknown:
            meant = close_to(unknown[0], ("timeout", *_OPTIONS))
            raise TypeError(
                f"get_or_set() has no option {', '.join(map(repr, unknown))}. "
                + (f"Did you mean {meant!r}? " if meant else "")
                + f"Options: timeout, {', '.join(_OPTIONS)}"
            )
        return wrap(_ValuePolicy(self._cache, CallOptions(**options)), None)


#: Those of the decorators that are about a value, and not about a key.
_OPTIONS = tuple(
    name
    for name in CallOptions.__dataclass_fields__
    if name not in ("unless", "hash_method", "source_check")
)
