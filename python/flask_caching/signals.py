"""Signals sent on cache hits and misses, where ``CACHE_ENABLE_SIGNALS`` is on.

Signals are sent without a sender. Every signal carries ``cache`` (the :class:`~flask_caching.Cache`),
``f`` (the undecorated function), ``cache_key``, ``args`` and ``kwargs`` (those of the call).
"""

from __future__ import annotations

from blinker import Namespace

__all__ = ["cache_memoize_hit", "cache_memoize_miss", "cache_view_hit", "cache_view_miss"]

_signals = Namespace()

#: A view (or function) decorated with ``cached`` was answered from the cache.
cache_view_hit = _signals.signal("cache-view-hit")
#: A view (or function) decorated with ``cached`` had to run.
cache_view_miss = _signals.signal("cache-view-miss")
#: A memoized function was answered from the cache.
cache_memoize_hit = _signals.signal("cache-memoize-hit")
#: A memoized function had to run.
cache_memoize_miss = _signals.signal("cache-memoize-miss")
