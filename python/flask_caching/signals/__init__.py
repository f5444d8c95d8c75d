"""Signals of cache hits and misses, sent where ``CACHE_ENABLE_SIGNALS`` is set.

A package and not a module, because Python finds a package first: where Flask-Caching has been
installed over this distribution, its own modules import this one and not theirs, and are refused.
"""

from __future__ import annotations

from flask_caching._conflict import refuse_foreign_init

refuse_foreign_init()

from blinker import Namespace  # noqa: E402

__all__ = [
    "cache_memoize_hit",
    "cache_memoize_miss",
    "cache_stale",
    "cache_view_hit",
    "cache_view_miss",
]

_signals = Namespace()

cache_view_hit = _signals.signal(
    "cache-view-hit",
    "A view was answered from the cache. Sent without a sender, with `cache`, the `Cache`, "
    "`cache_key`, and the call's `args` and `kwargs`.",
)
cache_view_miss = _signals.signal(
    "cache-view-miss", "A view was not found in the cache and runs. Arguments as `cache_view_hit`."
)
cache_memoize_hit = _signals.signal(
    "cache-memoize-hit",
    "A memoized function was answered from the cache. Arguments as `cache_view_hit`, and `f`, the "
    "undecorated function.",
)
cache_memoize_miss = _signals.signal(
    "cache-memoize-miss",
    "A memoized function was not found in the cache and runs. Arguments as `cache_memoize_hit`.",
)
cache_stale = _signals.signal(
    "cache-stale",
    "A view or a function was answered with a value that is not fresh any more. Arguments as "
    "`cache_memoize_hit`.",
)
