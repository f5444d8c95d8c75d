"""Which entries the background cannot refresh: their callers do."""

from __future__ import annotations

from typing import Any

from .._engine import clock_wall

__all__ = ["Vain"]

#: Keys are told apart by so many places, so that they take no more memory than that.
_PLACES = 1024

#: For how many seconds after a refresh in vain no other is tried: what led to it may have passed.
_SECONDS = 600.0


class Vain:
    """Of a function's entries, those whose refresh in the background came to nothing."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def note(self, key: Any) -> None:
        """The refresh of what is under ``key`` came to nothing."""
        self._since[hash(key) % _PLACES] = clock_wall()

    def has(self, key: Any) -> bool:
        """Whether the caller who is to refresh ``key`` has to compute it.

        After each one in vain, a caller does so at least once: what is asked for seldom would
        otherwise stay old.
        """
        place = hash(key) % _PLACES
        since = self._since.get(place)
        if since is None:
            return False
        # Time may have been set back.
        if not 0 <= clock_wall() - since < _SECONDS:
            self._since.pop(place, None)
        return True
