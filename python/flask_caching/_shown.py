"""What caches look like to people: their reprs, without secrets and values; and what Python calls
their methods."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["is_of_the_moment", "name_methods", "of_the_moment"]


def of_the_moment(method: Callable[[Any], str]) -> Callable[[Any], str]:
    """Mark a ``__repr__`` that does not tell its object apart from others.

    Where such an object is an argument of a memoized function, its identity does that.
    """
    method.is_of_the_moment = True  # type: ignore[attr-defined]
    return method


def is_of_the_moment(kind: type) -> bool:
    """Whether the objects of a class have a repr that is so marked."""
    return getattr(kind.__repr__, "is_of_the_moment", False)


def name_methods(cls: type) -> None:
    """Let Python call the public methods of ``cls`` by its name where they are wrongly called.

    It takes them from those of this package's classes that nobody makes objects of, and gives
    ``cls`` copies under other names, which are the same code.

    :param cls: ``Cache``, or the class of a backend.
    """
    for base in cls.__mro__[1:]:
        if not base.__module__.startswith("flask_caching.") or "backend_spec" in vars(base):
            continue
        for name, method in vars(base).items():
            if isinstance(method, FunctionType) and name[0] != "_" and getattr(cls, name) is method:
                setattr(cls, name, _renamed(method, cls))


def _renamed(method: FunctionType, cls: type) -> FunctionType:
    code, names, closure = method.__code__, method.__globals__, method.__closure__
    copy = FunctionType(code, names, method.__name__, method.__defaults__, closure)
    copy.__kwdefaults__ = method.__kwdefaults__
    copy.__annotations__ = method.__annotations__
    # Where pickle looks for it.
    copy.__doc__, copy.__module__ = method.__doc__, cls.__module__
    copy.__dict__.update(method.__dict__)
    copy.__qualname__ = f"{cls.__qualname__}.{method.__name__}"
    return copy
