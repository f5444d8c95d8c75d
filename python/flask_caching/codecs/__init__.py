"""Values as bytes. A backend has one codec; a module here is a format.

Encoding is a step of its own: it runs the application's code (pickling, a serializer), and is over
before anything is written. What may be stored at all is said by :mod:`flask_caching.values`.
"""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Codec"]


class Codec(Protocol):
    """Makes bytes of values and values of bytes. Safe to use from many threads."""

    def encode(self, value: Any) -> tuple[bytes, int]:
        """What to store for ``value``: the bytes, and flags that say what they are.

        Flags are kept by stores whose formats have them (memcached's); elsewhere they are 0.

        :raises UnstorableValueError: it cannot be stored, or would come back as something else.
        """
        ...

    def encode_open(self, value: Any) -> tuple[bytes, int]:
        """As :meth:`encode`, bytes that others may follow: a pickle, in formats that have pickles.

        :raises UnstorableValueError: as :meth:`encode`; or nothing may follow here.
        """
        ...

    def decode(self, data: bytes, flags: int) -> Any:
        """The value of stored bytes and flags, whether this codec made them or another program.

        :raises ForeignTextError: they are text that another program stored.
        :raises Exception: any other, where they are nothing this application can read.
        """
        ...
