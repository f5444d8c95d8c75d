"""Values as pylibmc writes them: the bytes, and the flags that say what they are.

The flags are those of ``_pylibmcmodule.h``: a type in the low bits, and whether it is compressed.
"""

from __future__ import annotations

import pickle
import zlib
from typing import Any

from cachelib.serializers import BaseSerializer

from .._engine import longest_decompressed
from ..errors import UnstorableValueError
from ..values.storable import serialize
from .serialized import deserialize

__all__ = ["ByClient", "PickledByClient", "Pylibmc", "Sealed"]

_BYTES = 0
_PICKLE = 1 << 0
_BOOL = 1 << 1
_INTEGER = 1 << 2
_ZLIB = 1 << 3
_TEXT = 1 << 4
_TYPES = _PICKLE | _BOOL | _INTEGER | _TEXT


class Pylibmc:
    """Values as pylibmc writes them, and whatever pylibmc or this package wrote.

    Plain bytes, text, integers and bools have types of their own; all else is what ``serializer``
    makes of it. Subclasses (``Markup`` of ``str``, an ``IntEnum``) are not plain: they would come
    back as something else. With a serializer of the application's own only integers stay plain, so
    that the server can count.

    :param serializer: one of cachelib's, or of the application's own.
    :param pickle_protocol: the protocol of pickles; -1: the highest. Other serializers ignore it.
    """

    def __init__(self, serializer: BaseSerializer, pickle_protocol: int = -1) -> None:
        self.serializer = serializer
        self.pickle_protocol = pickle_protocol

    def encode(self, value: Any) -> tuple[bytes, int]:
        plain = self._plain(value)
        return self._pickled(value) if plain is None else plain

    def encode_open(self, value: Any) -> tuple[bytes, int]:
        return self._pickled(value)

    def decode(self, data: bytes, flags: int) -> Any:
        if flags & _ZLIB:
            data = _inflate(data)
        kind = flags & _TYPES
        if kind == _PICKLE:
            return deserialize(self.serializer, data)
        if kind == _TEXT:
            return data.decode()
        if kind == _BYTES:
            return data
        if kind == _INTEGER:
            return int(data)
        if kind == _BOOL:
            # python-memcached gives these flags to integers.
            number = int(data)
            return bool(number) if data in (b"0", b"1") else number
        raise ValueError(f"it has the unknown flags {flags:#x}")

    def encode_compressed(self, value: Any, minimum: int, level: int) -> tuple[bytes, int]:
        """``value`` by zlib at ``level`` where it has more than ``minimum`` bytes, which are not 0,
        and that makes them fewer."""
        data, flags = self.encode(value)
        if 0 < minimum < len(data):
            short = zlib.compress(data, level)
            if len(short) < len(data):
                return short, flags | _ZLIB
        return data, flags

    def _plain(self, value: Any) -> tuple[bytes, int] | None:
        """A value of a type that has flags of its own."""
        kind = type(value)
        try:
            if kind is int:
                return b"%d" % value, _INTEGER
            if type(self.serializer) is not BaseSerializer:
                return None
            if kind is bytes:
                return value, _BYTES
            if kind is bool:
                return b"1" if value else b"0", _BOOL
            if kind is str:
                return value.encode(), _TEXT
        except ValueError:
            # More digits than Python converts to text; lone surrogates, which only pickle writes.
            pass
        return None

    def _pickled(self, value: Any) -> tuple[bytes, int]:
        return _pickled(self.serializer, value, self.pickle_protocol), _PICKLE


class Sealed:
    """Values whose bytes are spread over several items, which Flask-Caching unpickles when it has
    joined them: all are pickles, integers too.

    :param serializer: one of cachelib's, or of the application's own.
    """

    def __init__(self, serializer: BaseSerializer) -> None:
        self.serializer = serializer

    def encode(self, value: Any) -> tuple[bytes, int]:
        return _pickled(self.serializer, value, 2), 0

    def encode_open(self, value: Any) -> tuple[bytes, int]:
        return self.encode(value)

    def decode(self, data: bytes, flags: int) -> Any:
        return deserialize(self.serializer, data)


class ByClient:
    """Values for a client object of the application's, which makes bytes of them itself.

    :param serializer: what tells whether a value can be stored; the client raises what it likes.
    """

    def __init__(self, serializer: BaseSerializer) -> None:
        self.serializer = serializer

    def encode(self, value: Any) -> tuple[Any, int]:
        if type(value) not in (str, bytes, int, bool):
            serialize(self.serializer, value)
        return value, 0

    def encode_open(self, value: Any) -> tuple[bytes, int]:
        raise UnstorableValueError(
            "the client object makes the bytes itself: tags and stale answers need a backend that "
            "does it"
        )

    def decode(self, data: Any, flags: int) -> Any:
        return data


class PickledByClient(ByClient):
    """Values for a client object where bytes are needed, which are compressed: all but integers,
    with which the server counts, are what ``serializer`` makes of them. What the client made bytes
    of itself is read.
    """

    def encode(self, value: Any) -> tuple[Any, int]:
        return (value if type(value) is int else serialize(self.serializer, value)), 0

    def decode(self, data: Any, flags: int) -> Any:
        if type(data) is not bytes:
            return data
        try:
            return deserialize(self.serializer, data)
        except Exception:
            if data.startswith(b"\x80"):
                raise
            # Bytes as the application stored them before.
            return data


def _inflate(data: bytes) -> bytes:
    """What zlib made ``data`` of.

    :raises ValueError: it is damaged, or made to fill the memory.
    """
    unpack = zlib.decompressobj()
    try:
        value = unpack.decompress(data, longest_decompressed(len(data)))
    except zlib.error as error:
        raise ValueError(f"its compressed bytes are damaged: {error}") from error
    if not unpack.eof:
        raise ValueError("it is cut off, or would be larger than a compressed value may be")
    return value


def _pickled(serializer: BaseSerializer, value: Any, protocol: int) -> bytes:
    """``value`` serialized; by pickle of this ``protocol`` where ``serializer`` is the default one.

    :raises UnstorableValueError: it cannot be stored.
    """
    data = serialize(serializer, value)
    if protocol >= 0 and type(serializer) is BaseSerializer:
        try:
            return pickle.dumps(value, protocol)
        except Exception as error:
            raise UnstorableValueError(
                f"it cannot be pickled by protocol {protocol}: {error}"
            ) from error
    return data
