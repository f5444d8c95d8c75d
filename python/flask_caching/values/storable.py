"""The one place that decides whether a value can be stored."""

from __future__ import annotations

import json
import pickle
from types import AsyncGeneratorType, CoroutineType
from typing import Any

from cachelib.serializers import BaseSerializer, JSONSerializer, RedisSerializer, SimpleSerializer

from .._engine import is_plain
from ..errors import UnstorableValueError

__all__ = ["is_faithful", "serialize"]

#: What a serializer gives back unchanged, or visibly changed: compared by value, not only by type.
_SCALARS = (str, bytes, int, float, bool, type(None), complex, bytearray)

#: What is right in place of what can be had once only.
_INSTEAD = {
    CoroutineType: "await it: decorate a function that is made with `async def`",
    AsyncGeneratorType: "return a list of what it yields, from a coroutine function",
}

_PICKLING = (SimpleSerializer.dumps, RedisSerializer.dumps)


def serialize(serializer: BaseSerializer, value: Any) -> bytes:
    """Serialize ``value``, or say why it cannot be stored.

    What is not plain data is read back once: some objects can be pickled but not read (an exception
    whose ``__init__`` takes other arguments), and a serializer for another format may silently
    change a value (JSON makes a tuple a list). What a pickle makes of an object is the object's own
    choice (a lazy translation becomes its text), and is stored.

    :param serializer: the backend's serializer.
    :param value: what a caller wants to store.
    :return: the serialized value.
    :raises UnstorableValueError: the value cannot be written, or would come back as something else.
    """
    try:
        data = _dumps(serializer, value)
    except Exception as error:
        raise UnstorableValueError(_why(value, "cannot be serialized", error)) from error
    if not isinstance(data, bytes):
        # The serializers of cachelib log a pickling error and return nothing.
        raise UnstorableValueError(_why(value, "cannot be serialized", None))
    is_pickle = _is_pickle(serializer) or _looks_like_pickle(data)
    if is_pickle and is_plain(value):
        return data
    try:
        restored = serializer.loads(data)
    except Exception as error:
        raise UnstorableValueError(
            _why(value, "was serialized but cannot be read back", error)
        ) from error
    if not is_pickle and not is_faithful(value, restored):
        raise UnstorableValueError(
            _why(value, f"would be changed by {type(serializer).__name__}", None)
        )
    return data


def is_faithful(value: Any, restored: Any) -> bool:
    """Whether ``restored`` is what ``value`` was: the same types all through, and equal scalars.

    Other objects count as the same where their types are: equality is theirs to define, and many
    (responses, exceptions) define none. Each pair of parts is looked at once, whatever refers to
    what, and however deep.
    """
    pending: list[tuple[Any, Any]] = [(value, restored)]
    # The parts are kept with their addresses, which are others' when they are gone.
    seen: dict[tuple[int, int], tuple[Any, Any]] = {}
    origin: dict[int, int] = {}
    while pending:
        pair = one, other = pending.pop()
        if type(one) is not type(other):
            return False
        if type(one) in _SCALARS:
            if not (one == other or one != one):
                return False
            continue
        ids = id(one), id(other)
        if ids in seen or not isinstance(one, (list, tuple, dict, set, frozenset)):
            continue
        # Two lists are not one: what is put into one of them must not appear in the other.
        if type(one) in (list, dict) and origin.setdefault(ids[1], ids[0]) != ids[0]:
            return False
        seen[ids] = pair
        if len(one) != len(other):
            return False
        if isinstance(one, (list, tuple)):
            pending.extend(zip(one, other, strict=True))
        elif type(one) is dict:
            pending.extend(zip(one, other, strict=True))
            pending.extend(zip(one.values(), other.values(), strict=True))
    return True


def _dumps(serializer: BaseSerializer, value: Any) -> bytes | None:
    if "dumps" not in vars(serializer):
        # What cachelib's own methods do, but they log the error and swallow the reason.
        if type(serializer).dumps is BaseSerializer.dumps:
            return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        if type(serializer).dumps is JSONSerializer.dumps:
            return json.dumps(value).encode()
    return serializer.dumps(value)


def _is_pickle(serializer: BaseSerializer) -> bool:
    """Whether the serializer writes as cachelib's own pickling ones do."""
    return type(serializer).dumps in _PICKLING and "dumps" not in vars(serializer)


def _looks_like_pickle(data: bytes) -> bool:
    """Whether a serializer of the application's own wrote a pickle (protocol 2 or later).

    Those derived from cachelib's for Redis put an exclamation mark before it.
    """
    return data.removeprefix(b"!")[:1] == b"\x80" and data[-1:] == b"."


def _why(value: Any, what: str, error: BaseException | None) -> str:
    kind = type(value)
    text = f"a value of type {kind.__module__}.{kind.__qualname__} {what}"
    if kind in _INSTEAD:
        return f"{text}; {_INSTEAD[kind]}"
    return f"{text}: {type(error).__name__}: {error}" if error is not None else text
