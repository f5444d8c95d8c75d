"""Values as pylibmc writes them: the bytes, and the flags that say what they are.

The flags are those of ``_pylibmcmodule.h``: a type in the low bits, and whether it is compressed.
"""

from __future__ import annotations

import pickle
import zlib
from typing import Any

from cachelib.serializers import BaseSerializer

from ..errors import UnstorableValueError
from ..values.storable import serialize
from ._byte_backend import deserialize

__all__ = ["dump", "load", "pickled"]

_BYTES = 0
_PICKLE = 1 << 0
_BOOL = 1 << 1
_INTEGER = 1 << 2
_ZLIB = 1 << 3
_TEXT = 1 << 4
_TYPES = _PICKLE | _BOOL | _INTEGER | _TEXT


def dump(serializer: BaseSerializer, value: Any, pickle_protocol: int = -1) -> tuple[bytes, int]:
    """The bytes and flags of ``value``.

    Plain bytes, text, integers and bools have types of their own; all else is what ``serializer``
    makes of it. Subclasses (``Markup`` of ``str``, an ``IntEnum``) are not plain: they would come
    back as something else. With a serializer of the application's own only integers stay plain, so
    that the server can count.

    :param pickle_protocol: the protocol of pickles; -1: the highest. Other serializers ignore it.
    :raises UnstorableValueError: it cannot be stored.
    """
    kind = type(value)
    if kind is int:
        try:
            return b"%d" % value, _INTEGER
        except ValueError:
            # More digits than Python converts to text.
            return pickled(serializer, value, pickle_protocol), _PICKLE
    if type(serializer) is BaseSerializer:
        if kind is bytes:
            return value, _BYTES
        if kind is bool:
            return b"1" if value else b"0", _BOOL
        if kind is str:
            try:
                return value.encode(), _TEXT
            except UnicodeEncodeError:
                # Lone surrogates, which only pickle can write.
                return pickled(serializer, value, pickle_protocol), _PICKLE
    return pickled(serializer, value, pickle_protocol), _PICKLE


def pickled(serializer: BaseSerializer, value: Any, protocol: int = -1) -> bytes:
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


def load(serializer: BaseSerializer, data: bytes, flags: int) -> Any:
    """The value that ``data`` and ``flags`` are, whether this package or pylibmc wrote them.

    :raises Exception: any, where they are nothing that either of them writes.
    """
    if flags & _ZLIB:
        data = zlib.decompress(data)
    kind = flags & _TYPES
    if kind == _PICKLE:
        return deserialize(serializer, data)
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
