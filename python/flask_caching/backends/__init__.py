"""The built-in backends, under the names that ``CACHE_TYPE`` takes."""

from __future__ import annotations

from .base import BaseCache
from .filesystemcache import FileSystemCache
from .memcache import MemcachedCache, SASLMemcachedCache, SpreadSASLMemcachedCache
from .nullcache import NullCache
from .rediscache import RedisCache, RedisClusterCache, RedisSentinelCache
from .simplecache import SimpleCache

__all__ = [
    "BaseCache",
    "FileSystemCache",
    "MemcachedCache",
    "NullCache",
    "RedisCache",
    "RedisClusterCache",
    "RedisSentinelCache",
    "SASLMemcachedCache",
    "SimpleCache",
    "SpreadSASLMemcachedCache",
]
