"""What the buttons of the dashboard do: look a key up, delete."""

from __future__ import annotations

import math
import reprlib
from typing import TYPE_CHECKING, Any

from ..calls.memoized import MemoizePolicy

if TYPE_CHECKING:
    from ..cache import Cache

__all__ = ["BadRequest", "delete", "look_up"]


class BadRequest(ValueError):
    """The page has asked for what there is not; the message is for its user."""


class _ShortRepr(reprlib.Repr):
    """A repr that is short whatever it is of, and made of little of it."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 2000
        self.maxlevel = 4
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = 50
        self.maxdict = self.maxarray = 50

    def repr_bytes(self, x: bytes, level: int) -> str:
        return super().repr_instance(x[: self.maxother], level)


def look_up(cache: Cache, key: Any, show_values: bool) -> dict[str, Any]:
    """What is under a key.

    :param show_values: whether its value is shown, too, shortened.
    :raises BadRequest: it is no key.
    :raises CacheError: the cache failed, or the key cannot be one.
    """
    key = _text(key, "a key")
    entry = cache.inspect(key)
    if entry is None:
        return {"key": key, "found": False}
    answer: dict[str, Any] = {
        "key": key,
        "found": True,
        "type": entry.type,
        "size": entry.size,
        "expires_in": None if entry.expires_in == math.inf else entry.expires_in,
        "is_eternal": entry.expires_in == math.inf,
        "tags": entry.tags,
    }
    if show_values:
        answer["value"] = _shortened(entry.value)
    return answer


def delete(cache: Cache, what: Any, name: Any) -> dict[str, Any]:
    """Delete a key, a page, what has a tag, the results of a memoized function, or everything.

    :param what: ``key``, ``page``, ``tag``, ``function`` or ``everything``.
    :param name: of the key, the tag or the function; the path of the page.
    :return: what was done, as a sentence.
    :raises BadRequest: there is no such thing.
    :raises CacheError: the cache failed.
    """
    if what == "everything":
        cache.clear()
        return {"done": "Everything is deleted."}
    name = _text(name, "a name")
    if what == "key":
        there = cache.delete(name)
        return {"done": f"{name!r} is deleted." if there else f"There was nothing under {name!r}."}
    if what == "page":
        if not name.startswith("/"):
            raise BadRequest(f"{name!r} is no path: it begins with a slash.")
        try:
            cache.delete_page(name)
        except ValueError as error:
            raise BadRequest(f"{name!r} is no path: {error}.") from error
        return {"done": f"The page {name!r} is deleted."}
    if what == "tag":
        cache.delete_tags(name)
        return {"done": f"What has the tag {name!r} is deleted."}
    if what == "function":
        return _forget(cache, name)
    raise BadRequest(f"There is no way to delete {what!r}.")


def _forget(cache: Cache, name: str) -> dict[str, Any]:
    called = name.removesuffix(f" ({MemoizePolicy.kind})")
    named = [one for one in cache._policies if called in (one.name, f"{one.module}:{one.name}")]
    memoized = [policy for policy in named if isinstance(policy, MemoizePolicy)]
    if not memoized:
        why = "it is a view: its results are deleted by their keys" if named else "there is none"
        raise BadRequest(f"No memoized function is called {name!r}: {why}.")
    if len({policy.module for policy in memoized}) > 1:
        raise BadRequest(f"Functions of several modules are called {name!r}: say module:function.")
    for policy in memoized:
        cache.delete_memoized_verhash(policy.wrapper)
    return {"done": f"The results of {name} are deleted."}


def _text(given: Any, what: str) -> str:
    if not isinstance(given, str) or not given:
        raise BadRequest(f"This is not {what}.")
    return given


def _shortened(value: Any) -> str:
    """A value for people, whatever code of the application its repr runs into."""
    try:
        text = _ShortRepr().repr(value)
    except Exception as error:
        return f"<its repr failed: {type(error).__name__}>"
    return text if len(text) <= 20_000 else text[:20_000] + "…"
