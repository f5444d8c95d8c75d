"""Template fragments: where they are stored, and how they are rendered, read and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _access
from ._access import MISSING
from ._context import active_context
from .errors import UnstorableValueError
from .utils import TEMPLATE_FRAGMENT_KEY_TEMPLATE, FragmentKey

if TYPE_CHECKING:
    from .cache import Cache

__all__ = ["PREFIX", "Fragments", "is_fragment"]

PREFIX = TEMPLATE_FRAGMENT_KEY_TEMPLATE % ("", "")


def is_fragment(key: Any) -> bool:
    """Whether a key is the public one of a fragment."""
    return isinstance(key, str) and key.startswith(PREFIX)


class _Aliases:
    """Of each public key that unnamed blocks of several templates share, the last one stored.

    Blocks of templates without a file have only their line for a name; they are stored by a digest
    of the template, and can still be looked up and deleted by the name.
    """

    #: Templates made at run time would otherwise add to it without end.
    LIMIT = 1000

    def __init__(self) -> None:
        self._storage: dict[str, str] = {}

    def note(self, public: str, storage: str) -> None:
        if len(self._storage) >= self.LIMIT:
            self._storage.pop(next(iter(self._storage)))
        self._storage[public] = storage

    def get(self, public: str) -> str | None:
        return self._storage.get(public)


class Fragments:
    """The fragments of one ``Cache``."""

    #: Names may come from requests.
    MOST_KNOWN = 4096

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._aliases = _Aliases()
        self._known: dict[tuple[str, ...], FragmentKey] = {}

    # For the proxies of the cache, which are given public keys.

    def places(self, key: Any) -> tuple[Any, ...]:
        """Where what ``key`` names may be stored, the likeliest first.

        :param key: any key; only one that names a fragment is stored elsewhere.
        """
        if not is_fragment(key):
            return (key,)
        if isinstance(key, FragmentKey):
            if key.is_place:
                return (key.storage,)
            places = [key.storage]
        else:
            # A plain string does not say where the name ends: take all of it as the name, too.
            places = [str(key), FragmentKey(key[len(PREFIX) :]).storage]
        alias = self._aliases.get(str(key))
        if alias is not None:
            places.append(alias)
        return tuple(dict.fromkeys(places))

    def all_places(self, keys: tuple[Any, ...]) -> tuple[Any, ...]:
        """Where what ``keys`` name may be stored."""
        if not any(map(is_fragment, keys)):
            return keys
        return tuple(place for key in keys for place in self.places(key))

    def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        """What ``get`` of the first place that has a value returns."""
        values = (self._cache.cache.get(place, *args, **kwargs) for place in self.places(key))
        return next((value for value in values if value is not None), None)

    def get_many(self, keys: tuple[Any, ...], **kwargs: Any) -> list[Any]:
        """What ``get_many`` returns, of the first places that have a value."""
        places = self.all_places(keys)
        found = dict(zip(places, self._cache.cache.get_many(*places, **kwargs), strict=True))
        return [
            next((found[place] for place in self.places(key) if found[place] is not None), None)
            for key in keys
        ]

    def named(self, keys: tuple[Any, ...], places: Any) -> Any:
        """Those of ``keys`` that are stored in one of ``places``, as a backend listed them."""
        if not isinstance(places, list) or not any(map(is_fragment, keys)):
            return places
        return [key for key in keys if any(place in places for place in self.places(key))]

    # For the tag.

    def find(self, names: tuple[str, ...]) -> Any:
        """A fragment that is in the in-process store, by the names it was rendered with before.

        :return: the fragment; MISSING where it is not there, or has to be asked for.
        """
        place = self._known.get(names)
        return MISSING if place is None else self._cache._read(active_context(None), place)

    def learn(self, names: tuple[str, ...], place: FragmentKey) -> None:
        """Remember where the fragment of these names is stored."""
        if len(self._known) >= self.MOST_KNOWN:
            self._known.clear()
        self._known[names] = place

    def place_of_unnamed(self, key: FragmentKey, mark: str) -> FragmentKey:
        """The key of a block that has no name but the place it is written at.

        :param key: made of that place.
        :param mark: what tells the block apart from others written there.
        """
        place = FragmentKey.at(f"{key}#{mark}")
        self._aliases.note(str(key), str(place))
        return place

    def forget(self, key: FragmentKey) -> None:
        """Delete a fragment; a cache that fails does not break the page."""
        cache = self._cache
        state, backend = cache._place()
        try:
            cache.delete(key)
        except Exception as error:
            state.failed(backend, error, "storing", "a template fragment")

    def render(self, key: FragmentKey, timeout: Any, caller: Callable[[], str]) -> Any:
        """A fragment from the cache, or rendered, once, and stored.

        :param key: where it is stored.
        :param timeout: its timeout, as backends take it.
        :param caller: renders the block.
        """
        cache = self._cache
        state, backend = cache._place()
        try:
            value = _access.read(cache, backend, key, cache_none=False)
        except Exception as error:
            state.failed(backend, error, "reading", "a template fragment")
            value = MISSING
        else:
            if state.failures:
                state.worked(backend, "reading")
        if value is not MISSING:
            return value
        computation = state.in_flight.begin(key)
        try:
            rendered = caller()
            try:
                with computation.lock:
                    if not computation.superseded:
                        self._store(backend, key, rendered, timeout)
            except Exception as error:
                state.failed(backend, error, "storing", "a template fragment")
            else:
                if state.failures:
                    state.worked(backend, "storing")
            return rendered
        finally:
            state.in_flight.end(computation)

    def _store(self, backend: Any, key: str, rendered: str, timeout: Any) -> None:
        try:
            _access.write(self._cache, backend, key, rendered, timeout)
        except UnstorableValueError:
            # A serializer such as JSON has no Markup; what the tag puts out is not escaped again.
            _access.write(self._cache, backend, key, str(rendered), timeout)
