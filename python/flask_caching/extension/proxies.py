"""The methods of ``Cache`` that hand on what they are given to the active application's backend.

An application may override them; the decorators go through what it puts in their place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .._engine import CacheFlags, NativeProxies, supersede_flights
from .._types import Timeout
from ..backends._leasing.claims import end_leases
from ..backends._leasing.leases import note_use
from ..calls.fragments import PREFIX, Fragments, is_fragment
from ..keys.tags import EPOCH, tag_keys
from ..mistakes import explain_call
from ..requests.context import active_context

if TYPE_CHECKING:
    from ..backends.simplecache import SimpleCache
    from .state import AppState

__all__ = ["Proxies"]

P = ParamSpec("P")
R = TypeVar("R")

#: Those that the decorators use.
_USED = ("get", "has", "set", "add", "get_many", "set_many", "delete", "delete_many")


def _called_as(
    prototype: Callable[P, R],
) -> Callable[[Callable[..., Any]], Callable[P, R]]:
    """Show a method that takes anything with the signature of ``prototype``."""

    def decorate(method: Any) -> Any:
        method.__signature__ = inspect.signature(prototype)
        method.__annotations__ = prototype.__annotations__
        return method

    return decorate


def _called(method: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    """What a backend's method returns; its error says what may have been meant."""
    try:
        return method(*args, **kwargs)
    except (TypeError, AttributeError) as error:
        explain_call(error, method, args, kwargs)
        raise


def _set_many(
    self: Proxies,
    mapping: Mapping[str, Any],
    timeout: Timeout | None = None,
    tags: Iterable[str] | None = None,
) -> list[Any]:
    raise NotImplementedError


class Proxies(NativeProxies):
    """The proxies of :class:`~flask_caching.Cache` that its native base class does not have."""

    _flags: CacheFlags
    _fragments: Fragments
    _chooses_backend: bool
    #: Whether a computation may have a lease.
    _has_leases = False

    if TYPE_CHECKING:

        @property
        def cache(self) -> SimpleCache:
            """The backend; see ``Cache``."""
            ...

        def _place(self) -> tuple[AppState, Any]:
            """The state and the backend; see ``Cache``."""
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
        return _called(self.cache.get, args, kwargs)

    def _has_fallback(self, *args: Any, **kwargs: Any) -> bool:
        """``has`` where the key may be one of a fragment, or is given by name."""
        args, kwargs = _by_position(args, kwargs)
        if args and is_fragment(args[0]):
            return any(self.cache.has(place) for place in self._fragments.places(args[0]))
        return _called(self.cache.has, args, kwargs)

    def _set_fallback(self, *args: Any, **kwargs: Any) -> bool | None:
        """``set`` where the key may be one of a fragment, or is given by name."""
        return _called(self.cache.set, *self._placed(args, kwargs))

    def _add_fallback(self, *args: Any, **kwargs: Any) -> bool:
        """``add`` as in ``_set_fallback``."""
        return _called(self.cache.add, *self._placed(args, kwargs))

    def _placed(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a write, whose key is where a fragment is stored."""
        args, kwargs = _by_position(args, kwargs)
        return (self._fragments.places(args[0])[0], *args[1:]) if args else args, kwargs

    def _note_leases(self) -> None:
        """From now on entries may be leases, and deletions take away those that stand beside."""
        note_use()
        self._has_leases = True
        self._delete_by_fallback()

    def _end_leases(self, backend: Any, places: tuple[Any, ...]) -> None:
        if self._has_leases:
            end_leases(self, backend, places)

    def _delete_fallback(self, *args: Any, **kwargs: Any) -> bool:
        """``delete`` as in ``_has_fallback``."""
        args, kwargs = _by_position(args, kwargs)
        backend = self._place()[1]
        places = self._fragments.places(args[0]) if args else ()
        supersede_flights(self._owner_of_flights(backend), places)
        self._end_leases(backend, places)
        if args and is_fragment(args[0]):
            deleted = [bool(backend.delete(place)) for place in places]
            return any(deleted)
        result: bool = backend.delete(*args, **kwargs)
        return result

    def _delete_many_fallback(self, *args: Any, **kwargs: Any) -> list[str]:
        """``delete_many`` as in ``_has_fallback``."""
        return self._delete_each(self._place()[1].delete_many, args, kwargs)

    def unlink(self, *keys: str) -> list[str]:
        """Delete keys, the server freeing their memory later where the backend can.

        :param keys: each a str, or what ``make_template_fragment_key`` has returned.
        :return: the keys that are gone now, or what else the backend's ``unlink`` returns.
        :raises CacheBackendError: a server failed.
        """
        unlink = getattr(self._place()[1], "unlink", None)
        if not callable(unlink):
            return self.delete_many(*keys)
        self._note_asked(deletions=len(keys))
        return self._delete_each(unlink, keys, {})

    def _delete_each(
        self, delete: Callable[..., Any], keys: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[str]:
        places = self._fragments.all_places(keys)
        backend = self._place()[1]
        supersede_flights(self._owner_of_flights(backend), places)
        self._end_leases(backend, places)
        named: list[str] = self._fragments.named(keys, delete(*places, **kwargs))
        return named

    def clear(self) -> bool:
        """Delete everything; see the backend's ``clear()`` for what else that may mean.

        :return: whether everything is deleted.
        :raises CacheBackendError: a server failed.
        """
        backend = self._place()[1]
        self._note_asked(clears=1)
        supersede_flights(self._owner_of_flights(backend), None)
        # Some backends return nothing.
        done: bool = backend.clear()
        return done

    def delete_tags(self, *tags: str) -> None:
        """Make every entry with one of these tags a miss, at once and in every process.

        It costs one write a tag, and one of a key that stands for all tags, however many entries
        there are: one round trip on one Redis or memcached server, two on several. Computations
        that began before do not bring them back.

        :param tags: the names.
        :raises TypeError: one is no text.
        :raises ValueError: one is empty, or there are too many.
        :raises CacheBackendError: a server failed: the deletion is made up for when it is back.
        """
        names = tag_keys(tags)
        if not names:
            return
        backend = self._place()[1]
        supersede_flights(self._owner_of_flights(backend), (EPOCH, *names))
        # The epoch first: who stores an entry looks at this, and at the tags then.
        if getattr(backend, "_deletes_in_order", False):
            backend.delete_many(EPOCH, *names)
            return
        try:
            backend.delete(EPOCH)
        finally:
            backend.delete_many(*names)

    def _get_many_fallback(self, *args: Any, **kwargs: Any) -> list[Any]:
        """``get_many`` where a key may be one of a fragment."""
        if any(map(is_fragment, args)):
            return self._fragments.get_many(args, **kwargs)
        return self.cache.get_many(*args, **kwargs)

    @_called_as(_set_many)
    def set_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Store values, in one round trip where the backend can.

        :param mapping: the values by key.
        :param timeout: seconds or a ``timedelta``; 0: for ever; None: ``CACHE_DEFAULT_TIMEOUT``.
        :param tags: names; :meth:`delete_tags` with one of them makes the entries misses.
        :return: the keys that are stored.
        :raises CacheBackendError: a server failed.
        """
        keys = tuple(args[0]) if args and isinstance(args[0], dict) else ()
        self._note_asked(writes=len(keys))
        backend: SimpleCache | None = self._backend_for_all(keys)
        if backend is not None:
            return _called(backend.set_many, args, kwargs)
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

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add to a number, at once where the backend can. A missing one counts from 0.

        :param key: its key.
        :param delta: what is added.
        :return: the sum; None where it could not be stored.
        :raises TypeError: what is there is no number.
        :raises CacheBackendError: a server failed.
        """
        result: int | None = self.cache.inc(key, delta)
        return result

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Subtract from a number; otherwise as :meth:`inc`.

        :return: the difference; None where it could not be stored.
        """
        result: int | None = self.cache.dec(key, delta)
        return result


def _by_position(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a proxy, with a key that is given by name in its place."""
    if args or "key" not in kwargs:
        return args, kwargs
    rest = dict(kwargs)
    return (rest.pop("key"),), rest
