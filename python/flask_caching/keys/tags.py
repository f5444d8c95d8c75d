"""Tags: an entry with a tag is found while the tag's version is the one it was stored under.

The version lives under a key of its own; deleting that makes a miss of every entry with the tag.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

__all__ = ["EPOCH", "MOST_TAGS", "is_of_tag", "tag_keys", "tag_name"]

#: The most tags of an entry.
MOST_TAGS = 256

#: Stands for all tags: deleting one deletes this, and computations whose tags are not known yet see
#: that something was deleted.
EPOCH = "_tags"

#: Names that every backend takes as they are.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@-]{1,100}")


def tag_keys(tags: Any) -> tuple[str, ...]:
    """The keys of the versions of tags, each once.

    :param tags: names, or None.
    :raises TypeError: they are something else.
    :raises ValueError: one is empty, or there are more than an entry may have.
    """
    if tags is None:
        return ()
    if isinstance(tags, (str, bytes)):
        raise TypeError(f"tags must be a collection of names, such as ({tags!r},), not {tags!r}")
    try:
        names = list(tags)
    except TypeError:
        raise TypeError(f"tags must be a collection of names, not {type(tags).__name__}") from None
    if len(names) > MOST_TAGS:
        raise ValueError(f"an entry may have {MOST_TAGS} tags, not {len(names)}")
    return tuple(dict.fromkeys(_key(name) for name in names))


def tag_name(key: str) -> str:
    """The name of the tag whose version is under ``key``.

    :return: for a name that the key does not have, ``#`` and the first 12 characters of its digest.
    """
    return key.removeprefix("_tag")[: len("#") + 12] if key[4] == "#" else key.removeprefix("_tag:")


def is_of_tag(key: str) -> bool:
    """Whether ``key`` is that of a tag's version, or of all tags."""
    return key == EPOCH or key.startswith(("_tag:", "_tag#"))


def _key(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a tag must be a str, not {type(name).__name__}")
    if not name:
        raise ValueError("a tag must not be empty")
    if _PLAIN.fullmatch(name):
        return f"_tag:{name}"
    # The names of two tags never give one key: a deletion is not to reach the other's entries.
    return f"_tag#{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"
