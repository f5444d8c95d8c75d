"""Values as Flask-Caching keeps them on Redis.

Integers are text, so that the server counts; all else is an exclamation mark and a pickle.
"""

from __future__ import annotations

import pickle
from typing import Any

from cachelib.serializers import RedisSerializer

from .serialized import Serialized

__all__ = ["RedisCodec"]


class RedisCodec(Serialized):
    """What cachelib's serializer for Redis writes, or another one in its place."""

    def decode(self, data: bytes, flags: int) -> Any:
        serializer = self.serializer
        # Nearly every value, without the questions that the others need.
        if serializer.__class__ is RedisSerializer and not serializer.__dict__:
            if data.startswith(b"!\x80"):
                return pickle.loads(data[1:])
            if data.isdigit():
                return int(data)
        return super().decode(data, flags)
