"""The cache that keeps nothing."""

from __future__ import annotations

from typing import Any

from .._engine import MISSING
from .base import BaseCache

__all__ = ["NullCache"]


class NullCache(BaseCache):
    """A cache that does not cache: every read is a miss, every write is accepted and forgotten.

    :param default_timeout: accepted and not used, as the other backends have it.
    :param ignore_delete_many_errors: as with the other backends.
    """

    def has(self, key: str) -> bool:
        """False: nothing is ever there."""
        return False

    def _read(self, key: str) -> Any:
        return MISSING

    def _read_many(self, *keys: str) -> list[Any]:
        return [MISSING] * len(keys)

    def _extend(self, key: str, timeout: Any = None) -> bool:
        return False
