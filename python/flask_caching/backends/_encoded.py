"""What stands between the two steps of a write."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._engine import ByteStore

__all__ = ["Encoded"]


class Encoded:
    """All that a write needs, so that none of the application's code runs while it is done.

    :param store: where it goes: the one of the prefix that is in force.
    :param key: the key as the store knows it.
    :param data: the bytes of the value.
    :param flags: what the store keeps beside them.
    :param extended: the keys of the entries whose lifetime the write extends.
    :param is_open: metadata is still to be put behind the bytes.
    """

    __slots__ = ("data", "extended", "flags", "is_open", "key", "store")

    def __init__(
        self,
        store: ByteStore,
        key: bytes,
        data: bytes,
        flags: int,
        extended: list[bytes],
        is_open: bool = False,
    ) -> None:
        self.store = store
        self.key = key
        self.data = data
        self.flags = flags
        self.extended = extended
        self.is_open = is_open
