"""The built-in backends, under the names that ``CACHE_TYPE`` takes.

Each is imported when it is asked for, so that nobody pays for those that are not used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import _registry
from .base import BaseCache
from .simplecache import SimpleCache

if TYPE_CHECKING:
    from .filesystemcache import FileSystemCache
    from .memcache import MemcachedCache, SASLMemcachedCache, SpreadSASLMemcachedCache
    from .nullcache import NullCache
    from .rediscache import RedisCache, RedisClusterCache, RedisSentinelCache
    from .sharedcache import SharedCache

__all__ = [
    "BaseCache",
    "FileSystemCache",
    "MemcachedCache",
    "NullCache",
    "RedisCache",
    "RedisClusterCache",
    "RedisSentinelCache",
    "SASLMemcachedCache",
    "SharedCache",
    "SimpleCache",
    "SpreadSASLMemcachedCache",
]


def __getattr__(name: str) -> Any:
    """A backend's class, or a module, as if all had been imported."""
    if not name.startswith("_"):
        backend = _registry.find(name, __name__)
        if backend is not None and backend.backend_spec.name == name:
            return backend
        if f"{__name__}.{name}" in _registry.modules():
            return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is here, and what would be if all had been imported: for those who look around."""
    return sorted({*globals(), *__all__})
