"""What caches look like to people: their reprs, which show neither a secret nor a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["is_of_the_moment", "of_the_moment"]


def of_the_moment(method: Callable[[Any], str]) -> Callable[[Any], str]:
    """Mark a ``__repr__`` that does not tell its object apart from others.

    Where such an object is an argument of a memoized function, its identity does that.
    """
    method.is_of_the_moment = True  # type: ignore[attr-defined]
    return method


def is_of_the_moment(kind: type) -> bool:
    """Whether the objects of a class have a repr that is so marked."""
    return getattr(kind.__repr__, "is_of_the_moment", False)
