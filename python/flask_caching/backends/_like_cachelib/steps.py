"""The steps that cachelib's methods are made of: a subclass that replaces one is asked.

The engine takes none of them. Where a subclass replaces a step, a class comes between it and ours
whose ``set`` and ``add`` (on files ``delete`` and ``clear`` as well) take it, and then leave the
rest to the engine; so they do where the subclass has a ``set`` of its own that calls the original.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from ..._engine import time_left

__all__ = ["NO_LIMIT", "follow_steps", "put_below", "replaces"]

#: The threshold of a store whose entries a subclass removes itself.
NO_LIMIT = 2**31 - 1


def replaces(cls: type, base: Any, *steps: str) -> bool:
    """Whether ``cls`` has a method of its own in the place of one of the ``steps`` of ``base``."""
    return any(getattr(cls, step) is not getattr(base, step) for step in steps)


def follow_steps(cls: type, base: Any, *steps: str) -> None:
    """Let the writes of ``cls`` take the ``steps`` that it replaces.

    :param cls: a subclass of ``base`` that was just made.
    :param base: the backend's class.
    """
    if replaces(cls, base, *steps):
        put_below(cls, base, _stepping(base, "_update_count" in steps))


def put_below(cls: type, base: Any, between: type) -> None:
    """Let ``between``, a subclass of ``base``, come before it where ``cls`` looks for methods."""
    if between in cls.__mro__:
        return
    if base in cls.__bases__:
        cls.__bases__ = tuple(between if other is base else other for other in cls.__bases__)
    else:
        cls.__bases__ = (*cls.__bases__, between)


@cache
def _stepping(base: Any, is_counted: bool) -> type:
    """A subclass of ``base`` whose writes take the steps."""
    writes = {"set": _set(base), "add": _add(base)}
    if is_counted:
        writes |= {"delete": _delete(base), "clear": _clear(base)}
    for name, write in writes.items():
        write.__name__, write.__doc__ = name, getattr(base, name).__doc__
        write.__qualname__ = f"{base.__name__}.{name}"
    return type(base.__name__, (base,), {"__module__": __name__, "__slots__": (), **writes})


def _set(base: Any) -> Any:
    def set(self: Any, key: str, value: Any, timeout: Any = None, *more: Any, **named: Any) -> bool:
        return _stored(self, base, base.set, key, value, timeout, more, named)

    return set


def _add(base: Any) -> Any:
    def add(self: Any, key: str, value: Any, timeout: Any = None, *more: Any, **named: Any) -> bool:
        return _stored(self, base, base.add, key, value, timeout, more, named)

    return add


def _stored(
    self: Any, base: Any, write: Any, key: str, value: Any, timeout: Any, more: Any, named: Any
) -> bool:
    if replaces(type(self), base, "_normalize_timeout"):
        timeout = time_left(self._normalize_timeout(timeout))
    self._prune()
    is_counted = hasattr(base, "_update_count")
    is_new = is_counted and not os.path.exists(self._get_filename(key))
    is_stored: bool = write(self, key, value, timeout, *more, **named)
    if is_new and is_stored:
        self._update_count(delta=1)
    return is_stored


def _delete(base: Any) -> Any:
    def delete(self: Any, key: str) -> bool:
        is_there = os.path.exists(self._get_filename(key))
        is_gone: bool = base.delete(self, key)
        if is_there and is_gone:
            self._update_count(delta=-1)
        return is_gone

    return delete


def _clear(base: Any) -> Any:
    def clear(self: Any) -> bool:
        is_empty: bool = base.clear(self)
        if is_empty:
            self._update_count(value=0)
        return is_empty

    return clear
