"""Template fragments: where they are stored, and how they are rendered, read and deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from . import _access
from ._access import MISSING
from ._engine import FragmentHits, MemoryBackend
from .errors import UnstorableValueError
from .utils import TEMPLATE_FRAGMENT_KEY_TEMPLATE, FragmentKey

if TYPE_CHECKING:
    from ._inflight import Computation
    from ._state import AppState
    from .cache import Cache

__all__ = ["NO_TIMEOUT", "PREFIX", "Fragments", "Tag", "is_fragment"]

#: What a tag says: its timeout, its name, its keys, and what tells it apart where it has no name.
Tag = tuple[Any, Any, list[Any], str]

#: Stands for the timeout of a tag that has none; no timeout is written like this.
NO_TIMEOUT = "default"

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
    """The fragments of one ``Cache``.

    :param originals: the class whose proxies nobody has replaced.
    """

    def __init__(self, cache: Cache, originals: type) -> None:
        self._cache = cache
        self._aliases = _Aliases()
        self.hits = FragmentHits(cache, cache._guard, originals, NO_TIMEOUT)

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

    def render(self, key: FragmentKey, timeout: Any, caller: Callable[[], str], tag: Tag) -> Any:
        """A fragment from the cache, or rendered, once, and stored.

        :param key: where it is stored.
        :param timeout: its timeout, as backends take it.
        :param caller: renders the block.
        :param tag: what it will be found by.
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
            self._remember(backend, key, tag)
            return value
        miss = _Miss(self, state, backend, key, timeout, tag, state.in_flight.begin(key))
        try:
            rendered: Any = caller()
        except BaseException:
            miss.end()
            raise
        # In an asynchronous environment a block is rendered when it is awaited.
        return miss.keep_awaited(rendered) if isawaitable(rendered) else miss.keep(rendered)

    def _remember(self, backend: Any, key: FragmentKey, tag: Tag) -> None:
        if isinstance(backend, MemoryBackend):
            self.hits.remember(tag, backend, key)


@dataclass(frozen=True)
class _Miss:
    """A fragment that was not in the cache, until it is rendered and stored."""

    fragments: Fragments
    state: AppState
    backend: Any
    key: FragmentKey
    timeout: Any
    tag: Tag
    computation: Computation

    def keep(self, rendered: Any) -> Any:
        """Store the fragment, unless it was deleted meanwhile, and return it."""
        try:
            with self.computation.lock:
                if not self.computation.superseded:
                    self._store(rendered)
        except Exception as error:
            self.state.failed(self.backend, error, "storing", "a template fragment")
        else:
            if self.state.failures:
                self.state.worked(self.backend, "storing")
        finally:
            self.end()
        return rendered

    async def keep_awaited(self, rendering: Awaitable[Any]) -> Any:
        """The same for one that is still being rendered."""
        try:
            rendered = await rendering
        except BaseException:
            self.end()
            raise
        return self.keep(rendered)

    def end(self) -> None:
        """It is stored, or never will be."""
        self.state.in_flight.end(self.computation)

    def _store(self, rendered: Any) -> None:
        cache = self.fragments._cache
        try:
            _access.write(cache, self.backend, self.key, rendered, self.timeout)
        except UnstorableValueError:
            # A serializer such as JSON has no Markup; what the tag puts out is not escaped again.
            _access.write(cache, self.backend, self.key, str(rendered), self.timeout)
        self.fragments._remember(self.backend, self.key, self.tag)
