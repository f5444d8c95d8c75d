"""``Cache.get_or_set``: a value under a key, computed where it is missing."""

from __future__ import annotations

import inspect
from functools import lru_cache
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
        try:
            hash(tuple(options.values()))
        except TypeError:
            return self._new_decorated(**options)
        # By their types as well: True equals 1, and is not a number of seconds.
        return self._known(**options)

    def _new_decorated(self, **options: Any) -> Any:
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
