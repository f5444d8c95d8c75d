"""The lock that cachelib's SimpleCache does everything under, for those who use it.

The store has locks of its own and takes none of Python's. Where an application asks for ``_lock``,
or puts one of its own in its place, the methods of that cache are done under it, as cachelib's are:
who holds it keeps the others out.
"""

from __future__ import annotations

import threading
from functools import cache, wraps
from types import FunctionType
from typing import Any

__all__ = ["lock_by", "lock_of", "locking", "uses_lock"]

_METHODS = (
    *("get", "set", "add", "delete", "has", "clear", "inc", "dec"),
    *("get_many", "get_dict", "set_many", "delete_many"),
)


def uses_lock(cls: type) -> bool:
    """Whether the code of a class looks at ``_lock``, or has one."""
    if "_is_locking" in vars(cls):
        return False
    functions = (getattr(value, "__func__", value) for value in vars(cls).values())
    return "_lock" in vars(cls) or any(
        isinstance(function, FunctionType) and "_lock" in function.__code__.co_names
        for function in functions
    )


@cache
def locking(base: Any) -> type:
    """A subclass of ``base`` whose methods are done under its lock."""
    namespace = {"__module__": __name__, "__slots__": (), "_is_locking": True}
    kind = type(base.__name__, (base,), namespace)
    for name in _METHODS:
        setattr(kind, name, _locked(kind, getattr(base, name)))
    return kind


def _locked(kind: type, method: Any) -> Any:
    @wraps(method)
    def locked(self: Any, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            # Not always the base's: a class that takes steps may come between.
            return getattr(super(kind, self), method.__name__)(*args, **kwargs)

    return locked


def lock_of(backend: Any) -> Any:
    """The lock of a cache; it is made when it is asked for."""
    lock = vars(backend).get("_own_lock")
    return lock if lock is not None else lock_by(backend, threading.RLock())


def lock_by(backend: Any, lock: Any) -> Any:
    """Let what a cache does be done under ``lock``, from now on.

    :return: the lock.
    """
    vars(backend)["_own_lock"] = lock
    if not hasattr(type(backend), "_is_locking"):
        for name in _METHODS:
            setattr(backend, name, _locked_for(backend, getattr(type(backend), name)))
    return lock


def _locked_for(backend: Any, method: Any) -> Any:
    @wraps(method)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with backend._lock:
            return method(backend, *args, **kwargs)

    return locked
