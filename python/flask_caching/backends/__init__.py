"""The built-in backends, under the names that ``CACHE_TYPE`` takes."""

from __future__ import annotations

from .base import BaseCache
from .filesystemcache import FileSystemCache
from .nullcache import NullCache
from .simplecache import SimpleCache

__all__ = ["BaseCache", "FileSystemCache", "NullCache", "SimpleCache"]
