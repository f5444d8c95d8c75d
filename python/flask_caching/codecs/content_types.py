"""Values with a content type, which flags stand for.

JSON where it can represent them, bytes as they are, pickles of all else.
"""

from __future__ import annotations

import json
from typing import Any

from cachelib.serializers import BaseSerializer, JSONSerializer

from ..errors import UnstorableValueError
from ..values.storable import serialize
from .serialized import deserialize

__all__ = ["BYTES", "CONTENT_TYPES", "ContentTypes"]

#: What bytes are, by what flags say.
CONTENT_TYPES = ("application/json", "application/octet-stream", "application/x-python-pickle")
JSON, BYTES, PICKLE = range(3)

_JSON_SERIALIZER = JSONSerializer()


class ContentTypes:
    """JSON, bytes or a pickle.

    :param serializer: makes the pickles; one of the application's own is asked for every value.
    """

    def __init__(self, serializer: BaseSerializer) -> None:
        self.serializer = serializer

    def encode(self, value: Any) -> tuple[bytes, int]:
        if type(self.serializer) is not BaseSerializer:
            return serialize(self.serializer, value), PICKLE
        if type(value) is bytes:
            return value, BYTES
        if _is_tree(value):
            try:
                return serialize(_JSON_SERIALIZER, value), JSON
            except UnstorableValueError:
                # JSON cannot represent it; a pickle may.
                pass
        return serialize(self.serializer, value), PICKLE

    def encode_open(self, value: Any) -> tuple[bytes, int]:
        return serialize(self.serializer, value), PICKLE

    def decode(self, data: bytes, flags: int) -> Any:
        if flags == JSON:
            return json.loads(data)
        return data if flags == BYTES else deserialize(self.serializer, data)


def _is_tree(value: Any) -> bool:
    """Whether no list or dict is in ``value`` twice: JSON would make two of it."""
    seen: set[int] = set()
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, (list, dict)):
            if id(part) in seen:
                return False
            seen.add(id(part))
            parts.extend(part.values() if isinstance(part, dict) else part)
    return True
