"""Values as Flask-Caching keeps them on Redis.

Integers are text, so that the server counts; all else is an exclamation mark and a pickle.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

from cachelib.serializers import RedisSerializer

from .serialized import Serialized

__all__ = ["RedisCodec"]

#: Numbers of fewer bits have less digits than the lowest limit that Python takes, which is 640.
_CERTAIN_BITS = 2000


class RedisCodec(Serialized):
    """What cachelib's serializer for Redis writes, or another one in its place."""

    def encode(self, value: Any) -> tuple[bytes, int]:
        if type(value) is int and _has_too_many_digits(value) and self._is_cachelibs():
            return b"!" + pickle.dumps(value, pickle.HIGHEST_PROTOCOL), 0
        return super().encode(value)

    def encode_open(self, value: Any) -> tuple[bytes, int]:
        if type(value) is int and self._is_cachelibs():
            return b"!" + pickle.dumps(value, pickle.HIGHEST_PROTOCOL), 0
        return self.encode(value)

    def decode(self, data: bytes, flags: int) -> Any:
        # Nearly every value, without the questions that the others need.
        if self._is_cachelibs():
            if data.startswith(b"!\x80"):
                return pickle.loads(data[1:])
            if data.isdigit():
                return int(data)
        return super().decode(data, flags)

    def _is_cachelibs(self) -> bool:
        serializer = self.serializer
        return serializer.__class__ is RedisSerializer and not serializer.__dict__


def _has_too_many_digits(number: int) -> bool:
    """Whether Python refuses to print ``number``, or to read it again."""
    if number.bit_length() < _CERTAIN_BITS:
        return False
    most = sys.get_int_max_str_digits()
    return bool(most) and abs(number) >= 10**most
