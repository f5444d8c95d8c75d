"""The cache that keeps nothing."""

from __future__ import annotations

from typing import Any

from flask import Flask

from .._engine import MISSING
from .._warn import warn
from .base import BaseCache
from .spec import BackendSpec

__all__ = ["NullCache"]


class NullCache(BaseCache):
    """A cache that does not cache: every read is a miss, every write is accepted and forgotten.

    :param default_timeout: accepted and not used, as the other backends have it.
    :param ignore_delete_many_errors: as with the other backends.
    """

    backend_spec = BackendSpec("NullCache", "nowhere", deprecated=("null",), keeps_copies=True)

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> NullCache:
        """Make the backend, and warn that nothing is cached unless ``CACHE_NO_NULL_WARNING``."""
        # By its import string somebody has chosen it.
        is_named = config.get("CACHE_TYPE") in ("NullCache", "null")
        if is_named and not config.get("CACHE_NO_NULL_WARNING"):
            warn(
                "CACHE_TYPE is NullCache: nothing is cached. "
                "Set CACHE_NO_NULL_WARNING to silence this.",
                UserWarning,
            )
        return cls()

    #: No call can have from here what another one computed, so nobody waits for anybody.
    _keeps_nothing = True

    def has(self, key: str) -> bool:
        """False: nothing is ever there."""
        return False

    def set(self, key: str, value: Any, timeout: Any = None, tags: Any = None) -> bool:
        """True, though nothing is stored."""
        return True

    def add(self, key: str, value: Any, timeout: Any = None, tags: Any = None) -> bool:
        """As :meth:`set`."""
        return True

    def set_many(self, mapping: dict[str, Any], timeout: Any = None, tags: Any = None) -> list[Any]:
        """The keys of ``mapping``, though nothing is stored."""
        return list(mapping)

    def _read(self, key: str) -> Any:
        return MISSING

    def _read_many(self, *keys: str) -> list[Any]:
        return [MISSING] * len(keys)

    _find, _find_many = _read, _read_many

    def _seal(self, encoded: Any, metadata: Any) -> None:
        pass

    def _extend(self, key: str, timeout: Any = None) -> bool:
        return False
