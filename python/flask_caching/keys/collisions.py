"""Classes of one name: the first that a function is called with keeps its repr in keys."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

from .tokens import full_name, object_token

__all__ = ["NameCollisions"]

#: Of how many names the first class is known; those of further names are never the first.
_MOST_NAMES = 1000


class NameCollisions:
    """The classes that a function is called with: the first of a name keeps its repr.

    They belong to a function, so that those of an application factory, which makes its classes and
    functions again, have the same keys each time.

    :param note: called with each object that had to be told apart by its identity.
    """

    def __init__(self, note: Callable[[Any], None]) -> None:
        self.note = note
        #: By text, the first class, and whether its module held it under its name then.
        self._first: dict[str, tuple[weakref.ref[type], bool]] = {}
        self._first_of_name: dict[str, str] = {}

    def suffix_of_name(self, kind: type) -> str:
        """What tells the objects of a class from those of another class of its name."""
        name = full_name(kind)
        first = self._first_of_name.get(kind.__name__)
        if first is None and len(self._first_of_name) < _MOST_NAMES:
            first = self._first_of_name.setdefault(kind.__name__, name)
        suffix = "" if first == name else f" of {name}"
        return suffix + self.suffix(name, kind)

    def name_of(self, kind: type) -> str:
        """The whole name of a class, and what tells it from another that has the same."""
        name = full_name(kind)
        return name + self.suffix(name, kind)

    def suffix(self, text: str, kind: type) -> str:
        """What tells a class from another that prints, or is called, ``text``.

        That which its module holds under its name has no namesake but one that was there first; of
        the others, that were made in a function, all get a token but the first of a name that no
        module's class has.
        """
        found = _found_by_name(kind)
        is_importable = found is kind
        first = self._first.get(text)
        if first is None and len(self._first) < _MOST_NAMES:
            first = self._first.setdefault(text, (weakref.ref(kind), is_importable))
        if is_importable:
            # It may have taken the place of another, as where a module is loaded again.
            is_first = first is None or first[1] or first[0]() is kind
        else:
            is_first = first is not None and first[0]() is kind and not isinstance(found, type)
        return "" if is_first else f" {object_token(kind)}"


def _found_by_name(kind: type) -> Any:
    """What the module of a class holds under its name; None where that is nothing."""
    try:
        found: Any = sys.modules[kind.__module__]
        for name in kind.__qualname__.split("."):
            found = getattr(found, name)
    except Exception:
        # A module may make its members when they are asked for, and fail.
        return None
    return found
