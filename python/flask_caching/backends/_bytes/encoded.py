"""What stands between the two steps of a write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._engine import page_encode

if TYPE_CHECKING:
    from ..._engine import ByteStore

__all__ = ["PAGES", "Encoded", "is_page", "page_bytes"]

#: What the keys of pages begin with.
PAGES = "page:"


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


def is_page(key: Any) -> bool:
    """Whether a page may be stored under ``key``."""
    return isinstance(key, str) and key.startswith(PAGES)


def page_bytes(key: str, value: Any) -> bytes | None:
    """The bytes of a value that is a page."""
    return page_encode(value) if type(value) is tuple and is_page(key) else None
