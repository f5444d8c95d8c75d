"""What a serializer of cachelib makes of a value: the format of most backends."""

from __future__ import annotations

import json
import pickle
import re
from typing import Any

from cachelib.serializers import (
    BaseRedisSerializer,
    BaseSerializer,
    JSONSerializer,
)

from ..values.storable import serialize

__all__ = ["ForeignTextError", "Serialized", "deserialize", "unpickle"]

_INTEGER = re.compile(rb"-?[0-9]+")


class ForeignTextError(ValueError):
    """An entry is text that another program stored, which whoever asked for it may want."""


class Serialized:
    """What ``serializer`` writes; flags are 0.

    :param serializer: one of cachelib's, or of the application's own.
    """

    def __init__(self, serializer: BaseSerializer) -> None:
        self.serializer = serializer

    def encode(self, value: Any) -> tuple[bytes, int]:
        return serialize(self.serializer, value), 0

    def encode_open(self, value: Any) -> tuple[bytes, int]:
        return self.encode(value)

    def decode(self, data: bytes, flags: int) -> Any:
        return deserialize(self.serializer, data)


def _is_text(data: bytes) -> bool:
    """Whether ``data`` is text, which a damaged pickle is not."""
    try:
        return data.decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return False


def deserialize(serializer: BaseSerializer, data: bytes) -> Any:
    """The value that ``data`` holds.

    cachelib's serializers log what they cannot read and return None (or the bytes as they are),
    which a stored None (or bytes) cannot be told from: their formats are read here.

    :raises Exception: any, where ``data`` is nothing the serializer reads.
    """
    loads = type(serializer).loads
    if "loads" not in vars(serializer):
        if loads is BaseSerializer.loads:
            return unpickle(data)
        if loads is BaseRedisSerializer.loads:
            if data.startswith(b"!"):
                return unpickle(data[1:])
            if _INTEGER.fullmatch(data):
                return int(data)
            if _is_text(data):
                raise ForeignTextError("it is text that another program stored")
            raise ValueError("it is neither a pickle nor an integer")
        if loads is JSONSerializer.loads:
            return json.loads(data)
    value = serializer.loads(data)
    if value is None and serializer.dumps(None) != data:
        raise ValueError(f"{type(serializer).__name__} cannot read it")
    return value


def unpickle(data: bytes) -> Any:
    """The value of a pickle.

    :raises Exception: any, where ``data`` is none, or one of what is not there any more.
    """
    # Every protocol since 2 starts like this; damaged bytes rarely do, and then are not executed.
    if not data.startswith(b"\x80"):
        raise pickle.UnpicklingError("it is not a pickle")
    return pickle.loads(data)
