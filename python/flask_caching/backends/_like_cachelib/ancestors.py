"""cachelib's classes by the names of ours, which derive from them: applications ask ``isinstance``.

Ours come first, so nothing of theirs does the work of a cache. Type checkers do not see them: their
signatures are narrower in what a timeout may be, and have arguments of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["FileSystemCache", "MemcachedCache", "RedisCache", "SimpleCache", "UWSGICache"]

if TYPE_CHECKING:

    class FileSystemCache: ...

    class MemcachedCache: ...

    class RedisCache: ...

    class SimpleCache: ...

    class UWSGICache: ...

else:
    from cachelib import FileSystemCache, MemcachedCache, RedisCache, SimpleCache, UWSGICache
