"""The methods of ``Cache`` that hand on what they are given to the active application's backend.

An application may override them; the decorators go through what it puts in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._engine import CacheFlags, NativeProxies, supersede_flights
from .context import active_context
from .fragments import PREFIX, Fragments, is_fragment

if TYPE_CHECKING:
    from ..backends.simplecache import SimpleCache
    from .state import AppState

__all__ = ["Proxies"]

#: Those that the decorators use.
_USED = ("get", "has", "set", "add", "get_many", "set_many", "delete", "delete_many")


class Proxies(NativeProxies):
    """The proxies of :class:`~flask_caching.Cache`, but for those of its native base class."""

    _flags: CacheFlags
    _fragments: Fragments
    _chooses_backend: bool

    if TYPE_CHECKING:

        @property
        def cache(self) -> SimpleCache:
            """The backend; see ``Cache``."""
            ...

        def _place(self) -> tuple[AppState, Any]:
            """The state and the backend; see ``Cache``."""
            ...

        def _owner_of_flights(self, backend: Any) -> Any:
            """What tells computations apart; see ``Cache``."""
            ...

    def _set_up_proxies(self) -> None:
        # A subclass that chooses its backend itself is asked for it, each time.
        if not self._chooses_backend:
            self._direct(active_context, PREFIX)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _USED:
            self._flags.replace(versions=name not in ("get", "set", "has"))
        super().__setattr__(name, value)

    def _get_fallback(self, *args: Any, **kwargs: Any) -> Any:
        """``get`` where the key may be one of a fragment, or is given by name."""
        args, kwargs = _by_position(args, kwargs)
        if args and is_fragment(args[0]):
            return self._fragments.get(*args, **kwargs)
        return self.cache.get(*args, **kwargs)

    def _has_fallback(self, *args: Any, **kwargs: Any) -> bool:
        """``has`` where the key may be one of a fragment, or is given by name."""
        args, kwargs = _by_position(args, kwargs)
        if args and is_fragment(args[0]):
            return any(self.cache.has(place) for place in self._fragments.places(args[0]))
        return self.cache.has(*args, **kwargs)

    def _set_fallback(self, *args: Any, **kwargs: Any) -> bool | None:
        """``set`` where the key may be one of a fragment, or is given by name."""
        args, kwargs = _by_position(args, kwargs)
        if args:
            args = (self._fragments.places(args[0])[0], *args[1:])
        return self.cache.set(*args, **kwargs)

    def _add_fallback(self, *args: Any, **kwargs: Any) -> bool:
        """``add`` where the key may be one of a fragment, or is given by name."""
        args, kwargs = _by_position(args, kwargs)
        if args:
            args = (self._fragments.places(args[0])[0], *args[1:])
        return self.cache.add(*args, **kwargs)

    def _delete_fallback(self, *args: Any, **kwargs: Any) -> bool:
        """``delete`` as in ``_has_fallback``."""
        args, kwargs = _by_position(args, kwargs)
        backend = self._place()[1]
        places = self._fragments.places(args[0]) if args else ()
        supersede_flights(self._owner_of_flights(backend), places)
        if args and is_fragment(args[0]):
            deleted = [bool(backend.delete(place)) for place in places]
            return any(deleted)
        result: bool = backend.delete(*args, **kwargs)
        return result

    def _delete_many_fallback(self, *args: Any, **kwargs: Any) -> list[str]:
        """``delete_many`` as in ``_has_fallback``."""
        return self._delete_each(self._place()[1].delete_many, args, kwargs)

    def unlink(self, *args: Any, **kwargs: Any) -> list[str]:
        """Delete keys, the server freeing their memory later where the backend can."""
        unlink = getattr(self._place()[1], "unlink", None)
        if not callable(unlink):
            return self.delete_many(*args, **kwargs)
        return self._delete_each(unlink, args, kwargs)

    def _delete_each(
        self, delete: Callable[..., Any], keys: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[str]:
        places = self._fragments.all_places(keys)
        supersede_flights(self._owner_of_flights(self._place()[1]), places)
        named: list[str] = self._fragments.named(keys, delete(*places, **kwargs))
        return named

    def clear(self) -> bool:
        """Delete everything; see the backend's ``clear()`` for what else that may mean."""
        backend = self._place()[1]
        supersede_flights(self._owner_of_flights(backend), None)
        return bool(backend.clear())

    def _get_many_fallback(self, *args: Any, **kwargs: Any) -> list[Any]:
        """``get_many`` where a key may be one of a fragment."""
        if any(map(is_fragment, args)):
            return self._fragments.get_many(args, **kwargs)
        return self.cache.get_many(*args, **kwargs)

    def set_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Store values; see the backend's ``set_many(mapping, timeout=None)``.

        :return: the keys that are stored.
        """
        keys = tuple(args[0]) if args and isinstance(args[0], dict) else ()
        backend: SimpleCache | None = self._backend_for_all(keys)
        if backend is not None:
            return backend.set_many(*args, **kwargs)
        if not any(map(is_fragment, keys)):
            return self.cache.set_many(*args, **kwargs)
        placed = {self._fragments.places(key)[0]: value for key, value in args[0].items()}
        stored = self.cache.set_many(placed, *args[1:], **kwargs)
        named: list[Any] = self._fragments.named(keys, stored)
        return named

    def _get_dict_fallback(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """``get_dict`` where a key may be one of a fragment."""
        if any(map(is_fragment, args)):
            return dict(zip(args, self._fragments.get_many(args, **kwargs), strict=True))
        return self.cache.get_dict(*args, **kwargs)

    def inc(self, *args: Any, **kwargs: Any) -> int | None:
        """Add to a number; see the backend's ``inc(key, delta=1)``.

        :return: the sum.
        """
        result: int | None = self.cache.inc(*args, **kwargs)
        return result

    def dec(self, *args: Any, **kwargs: Any) -> int | None:
        """Subtract from a number; see the backend's ``dec(key, delta=1)``.

        :return: the difference.
        """
        result: int | None = self.cache.dec(*args, **kwargs)
        return result


def _by_position(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a proxy, with a key that is given by name in its place."""
    if args or "key" not in kwargs:
        return args, kwargs
    rest = dict(kwargs)
    return (rest.pop("key"),), rest
