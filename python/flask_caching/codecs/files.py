"""The contents of files, after what the engine puts before them."""

from __future__ import annotations

import io
from typing import Any, Literal

from cachelib.serializers import BaseSerializer, FileSystemSerializer, JSONSerializer

from ..values.storable import serialize
from . import Codec
from .serialized import Serialized, unpickle

__all__ = ["PICKLED", "contents"]


class _Pickled:
    """Pickles."""

    def __init__(self) -> None:
        self._serializer = FileSystemSerializer()

    def encode(self, value: Any) -> tuple[bytes, int]:
        return serialize(self._serializer, value), 0

    def encode_open(self, value: Any) -> tuple[bytes, int]:
        return self.encode(value)

    def decode(self, data: bytes, flags: int) -> Any:
        return unpickle(data)


#: The codec of files that hold pickles.
PICKLED: Codec = _Pickled()


class _Streaming(BaseSerializer):
    """A serializer that is asked as cachelib's file cache asks: through a stream."""

    def __init__(self, inner: BaseSerializer) -> None:
        self._inner = inner

    def dumps(self, value: Any, *args: Any, **kwargs: Any) -> bytes | None:
        stream = io.BytesIO()
        self._inner.dump(value, stream)
        # What fails is logged by cachelib's serializers, and leaves nothing.
        return stream.getvalue() or None

    def loads(self, bvalue: bytes, *args: Any, **kwargs: Any) -> Any:
        return self._inner.load(io.BytesIO(bvalue))


def contents(serializer: BaseSerializer) -> tuple[Literal["pickle", "json", "opaque"], Codec]:
    """What the files of ``serializer`` hold, and what reads and writes it.

    Only ``dump`` and ``load`` count: a serializer that overrides only ``dumps`` and ``loads``
    pickles files, as with cachelib.
    """
    kind = type(serializer)
    if not {"dump", "load"} & vars(serializer).keys():
        if (kind.dump, kind.load) == (BaseSerializer.dump, BaseSerializer.load):
            return "pickle", PICKLED
        if (kind.dump, kind.load, kind.dumps, kind.loads) == (
            JSONSerializer.dump,
            JSONSerializer.load,
            JSONSerializer.dumps,
            JSONSerializer.loads,
        ):
            return "json", Serialized(serializer)
    return "opaque", Serialized(_Streaming(serializer))
