"""Template fragments: where they are stored, and how they are rendered, read and deleted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._engine import MISSING, CallParts, Road, Turn
from ..errors import UnstorableValueError
from ..keys.tags import tag_keys
from ..requests.context import active_context
from ..utils import TEMPLATE_FRAGMENT_KEY_TEMPLATE, FragmentKey, normalize_timeout
from .policy import CallOptions, CallPolicy, Description
from .wrapper import answer_awaited, computer

if TYPE_CHECKING:
    from ..cache import Cache
    from ..extension.state import AppState

__all__ = ["NO_TIMEOUT", "OTHERS", "PREFIX", "Fragments", "Tag", "is_fragment"]

#: What a tag says: its timeout, its name, its keys, what tells it apart where it has no name, the
#: names of the tags of its entry, and what statistics call it.
Tag = tuple[Any, Any, list[Any], str, Any, str]

#: Stands for the timeout of a tag that has none; no timeout is written like this.
NO_TIMEOUT = "default"

#: The label in statistics of all fragments beyond the number that are told apart.
OTHERS = "(others)"

PREFIX = TEMPLATE_FRAGMENT_KEY_TEMPLATE % ("", "")


def is_fragment(key: Any) -> bool:
    """Whether a key is the public one of a fragment."""
    return isinstance(key, str) and key.startswith(PREFIX)


class _Aliases(OrderedDict[str, str]):
    """Of each public key that unnamed blocks of several templates share, the last one stored.

    Blocks of templates without a file have only their line for a name; they are stored by a digest
    of the template, and can still be looked up and deleted by the name.
    """

    #: Templates made at run time would otherwise add to it without end.
    LIMIT = 1000

    def note(self, public: str, storage: str) -> None:
        if len(self) >= self.LIMIT:
            # In one step: other threads do the same.
            self.popitem(last=False)
        self[public] = storage


class _FragmentPolicy(CallPolicy):
    """The policy of all fragments of one label; rendering a tag is a call."""

    kind = "fragment"

    def __init__(self, cache: Cache, fragments: Fragments, name: str) -> None:
        super().__init__(cache, fragments.render, CallOptions(source_check=False))
        self.name, self.module = name, ""
        self._fragments = fragments

    def parts(self) -> CallParts:
        return CallParts.fragment(NO_TIMEOUT)

    def description(
        self, state: AppState, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Description:
        timeout = None if args[0] == NO_TIMEOUT else 0 if args[0] is None else args[0]
        return Description(
            self._fragments.place(args),
            timeout=normalize_timeout(timeout),
            tags=tag_keys(args[4]),
        )

    def refreshes_elsewhere(self, key: Any) -> bool:
        # Its page renders it: there is no fragment without one.
        return False

    def in_place_of(self, rv: Any, reason: UnstorableValueError) -> Any:
        # A serializer such as JSON has no Markup; what the tag puts out is not escaped again.
        return str(rv) if type(rv) is not str else MISSING


class _Roads(dict[str, Road]):
    """The roads of fragments by their labels, each made when it is first asked for.

    Templates made at run time could name fragments without end: what is one too many is counted
    with others.
    """

    LIMIT = 500
    LONGEST = 100

    def __init__(self, cache: Cache, fragments: Fragments) -> None:
        super().__init__()
        self._cache, self._fragments = cache, fragments

    def __missing__(self, label: str) -> Road:
        if len(label) > self.LONGEST:
            return self[label[: self.LONGEST - 1] + "…"]
        if len(self) >= self.LIMIT and label != OTHERS:
            return self[OTHERS]
        policy = _FragmentPolicy(self._cache, self._fragments, f"fragment {label}")
        policy.road = Road(policy, policy.parts())
        policy.compute = computer(policy)
        # Another thread may have made it meanwhile.
        road = self.setdefault(label, policy.road)
        if road is policy.road:
            self._cache._policies.add(policy)
        return road


class Fragments:
    """The fragments of one ``Cache``."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._aliases = _Aliases()
        self.roads = _Roads(cache, self)

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

    def place(self, tag: Tag) -> FragmentKey:
        """Where the fragment of a tag is stored."""
        _, name, keys, mark = tag[:4]
        key = FragmentKey(name, keys)
        if not mark:
            return FragmentKey.at(key.storage)
        # It has no name but the place it is written at.
        place = FragmentKey.at(f"{key}#{mark}")
        self._aliases.note(str(key), str(place))
        return place

    def forget(self, tag: Tag) -> None:
        """Delete a fragment; a cache that fails does not break the page."""
        cache = self._cache
        state, backend = cache._place()
        road = self.roads[tag[5]]
        road.note_deletion()
        try:
            cache.delete(self.place(tag))
        except Exception as error:
            state.failed(backend, error, "storing", road.policy.name)

    def render(self, tag: Tag, caller: Callable[[], Any]) -> Any:
        """A fragment from the cache, or rendered, once, and stored.

        :param tag: what it is found by.
        :param caller: renders the block.
        """
        road = self.roads[tag[5]]
        context = active_context(None)
        answer = road.begin(tag, {}, None if context is None else context.app.extensions)
        if type(answer) is not Turn:
            return answer
        return road.policy.compute(answer, lambda *_: caller(), tag, {})

    async def render_awaited(self, tag: Tag, caller: Callable[[], Any]) -> Any:
        """As :meth:`render`, of a block that is rendered by awaiting it."""
        road = self.roads[tag[5]]
        context = active_context(None)
        answer = road.approach(tag, {}, None if context is None else context.app.extensions)
        return await answer_awaited(road.policy, answer, lambda *_: caller(), tag, {})
