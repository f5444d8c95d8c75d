"""Where template fragments are stored, for those that name one by its public key."""

from __future__ import annotations

from typing import Any

from .utils import TEMPLATE_FRAGMENT_KEY_TEMPLATE, FragmentKey

__all__ = ["PREFIX", "Aliases", "storage_keys"]

PREFIX = TEMPLATE_FRAGMENT_KEY_TEMPLATE % ("", "")


class Aliases:
    """Of each public key that unnamed blocks of several templates share, the last one stored.

    Blocks of templates without a file have only their line for a name; they are stored by a digest
    of
    the template, and can still be looked up and deleted by the name.
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


def storage_keys(key: Any, aliases: Aliases) -> tuple[Any, ...]:
    """Where what ``key`` names may be stored, the likeliest first.

    :param key: any key; only strings that name a fragment are stored elsewhere.
    :param aliases: what is known of unnamed blocks.
    """
    if not isinstance(key, str) or not key.startswith(PREFIX):
        return (key,)
    # A plain string does not say where the fragment's name ends: take all of it as the name, too.
    fragment = key if isinstance(key, FragmentKey) else FragmentKey(key[len(PREFIX) :])
    keys = [fragment.storage] if fragment is key else [str(key), fragment.storage]
    alias = aliases.get(str(key))
    if alias is not None:
        keys.append(alias)
    return tuple(dict.fromkeys(keys))
