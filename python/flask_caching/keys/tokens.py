"""Tokens of objects that nothing tells apart but that they are themselves."""

from __future__ import annotations

import os
import threading
import uuid
import weakref
from typing import Any

from ..errors import CacheKeyError

__all__ = ["Unidentifiable", "full_name", "object_token"]


class Unidentifiable(CacheKeyError):
    """The argument cannot be told apart from others: the call is not cached."""


def full_name(kind: type) -> str:
    """``module.qualname`` of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


class _Tokens:
    """A token for each object that has nothing else to be told apart by, while it lives."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # A forked child shares no token with its parent: their copies of an object part ways.
        self._process = uuid.uuid4().hex
        self._count = 0
        self._lock = threading.RLock()
        self._known: dict[int, tuple[weakref.ref[Any], str]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def known(self, value: Any) -> str | None:
        """The token of an object that has one already."""
        entry = self._known.get(id(value))
        return entry[1] if entry is not None and entry[0]() is value else None

    def token(self, value: Any) -> str:
        known = self.known(value)
        if known is not None:
            return known
        key = id(value)
        table = self._known

        def forget(reference: weakref.ref[Any]) -> None:
            entry = table.get(key)
            if entry is not None and entry[0] is reference:
                table.pop(key, None)

        try:
            reference = weakref.ref(value, forget)
        except TypeError:
            raise Unidentifiable(
                f"an object of {full_name(type(value))} prints its memory address and cannot be "
                "referenced weakly; give it a __repr__ or a __caching_id__ method"
            ) from None
        with self._lock:
            known = self.known(value)
            if known is not None:
                return known
            self._count += 1
            token = f"{self._process}.{self._count}"
            self._known[key] = (reference, token)
        return token


_tokens = _Tokens()


def object_token(value: Any) -> str:
    """The token of an object, in this process, while it lives.

    :raises Unidentifiable: the object cannot be referenced weakly.
    """
    return _tokens.token(value)
