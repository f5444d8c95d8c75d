"""What is known of one entry: ``cache.inspect(key)``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._engine import NativeProxies, clock_wall
from .backends._bytes.encoded import PAGES
from .keys.tags import tag_name

if TYPE_CHECKING:
    from .cache import Cache

__all__ = ["EntryInfo"]

#: Where a page says when it was stored, in milliseconds since 1970.
_STORED_AT = 6


@dataclass(frozen=True, slots=True)
class EntryInfo:
    """An entry, without its value in its repr.

    :param key: its key.
    :param type: the name of its value's class, with the module where that is not built in.
    :param size: bytes that it takes in its store, without its key; in the memory of this process
        about so many. None: that cannot be told.
    :param expires_in: seconds until ``cache.get`` returns it no more, infinity: it does for ever;
        None: that cannot be told. An answer that may be given when it is old is kept for longer.
    :param tags: the names of its tags, sorted. Of a name with other characters than letters, digits
        and ``_.:/@-`` only ``#`` and the beginning of its digest are known.
    :param age: seconds since it was stored, of pages; None: that is not kept.
    :param value: what ``cache.get`` returns.
    """

    key: str
    type: str
    size: int | None = None
    expires_in: float | None = None
    tags: tuple[str, ...] = ()
    age: float | None = None
    value: Any = field(default=None, repr=False)


def entry_of(cache: Cache, key: str) -> EntryInfo | None:
    """What is under a key; None where there is nothing."""
    # What the application asks is counted; a look at an entry is not. An own `get` may do anything.
    has_own_get = type(cache).get is not NativeProxies.get or "get" in vars(cache)
    value: Any = cache.get(key) if has_own_get else cache._look_at(key)
    if value is None and not cache.has(key):
        return None
    backend = cache._place()[1]
    details = getattr(backend, "_details", None)
    found = (details(place) for place in cache._fragments.places(key)) if details else ()
    size, left, fresh_for, tags = next(
        (one for one in found if one is not None), (None, None, math.inf, [])
    )
    if left is not None or fresh_for < math.inf:
        left = min(fresh_for, math.inf if left is None else left)
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    age = None
    if type(value) is tuple and key.startswith(PAGES):
        age = max(clock_wall() - value[_STORED_AT] / 1000, 0.0)
    return EntryInfo(key, name, size, left, tuple(sorted(map(tag_name, tags))), age, value)
