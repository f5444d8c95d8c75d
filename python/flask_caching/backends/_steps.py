"""The steps that cachelib's writes are made of: a subclass that replaces one is asked.

The engine's writes take none of them. Where a subclass replaces a step, its ``set`` and ``add`` (on
files ``delete`` and ``clear`` as well) are those of here, which take it, and then leave the rest to
the engine.
"""

from __future__ import annotations

import os
from typing import Any

from .._engine import time_left

__all__ = ["NO_LIMIT", "follow_steps", "replaces"]

#: The threshold of a store whose entries a subclass removes itself.
NO_LIMIT = 2**31 - 1


def replaces(cls: type, base: Any, step: str) -> bool:
    """Whether ``cls`` has a method of its own in the place of the ``step`` of ``base``."""
    return getattr(cls, step) is not getattr(base, step)


def follow_steps(cls: type, base: Any, steps: tuple[str, ...]) -> None:
    """Let the writes of ``cls`` take the ``steps`` that it replaces.

    :param cls: a subclass of ``base`` that was just made.
    :param base: the backend's class.
    """
    if not any(replaces(cls, base, step) for step in steps):
        return
    writes = {"set": _set(base), "add": _add(base)}
    if "_update_count" in steps:
        writes |= {"delete": _delete(base), "clear": _clear(base)}
    for name, write in writes.items():
        if not replaces(cls, base, name):
            write.__name__, write.__doc__ = name, getattr(base, name).__doc__
            setattr(cls, name, write)


def _set(base: Any) -> Any:
    def set(self: Any, key: str, value: Any, timeout: Any = None) -> bool:
        return _stored(self, base, base.set, key, value, timeout)

    return set


def _add(base: Any) -> Any:
    def add(self: Any, key: str, value: Any, timeout: Any = None) -> bool:
        return _stored(self, base, base.add, key, value, timeout)

    return add


def _stored(self: Any, base: Any, write: Any, key: str, value: Any, timeout: Any) -> bool:
    if replaces(type(self), base, "_normalize_timeout"):
        timeout = time_left(self._normalize_timeout(timeout))
    self._prune()
    is_counted = hasattr(base, "_update_count")
    is_new = is_counted and not os.path.exists(self._get_filename(key))
    is_stored: bool = write(self, key, value, timeout)
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
