"""What the page shows, as JSON."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from flask import current_app

from .._engine import clock_wall
from ..calls.memoized import MemoizePolicy
from ..errors import CacheError, CacheNotInitializedError

if TYPE_CHECKING:
    from ..cache import Cache
    from ..stats import CacheStats, FunctionCounts, Latency

__all__ = ["shown"]

#: The counts that the page shows of all functions together.
_TOTALS = (
    "hits",
    "misses",
    "near_hits",
    "stale",
    "waits",
    "stored",
    "refused",
    "superseded",
    "errors",
    "under_way",
    "time_saved",
)


def shown(cache: Cache) -> dict[str, Any]:
    """Counts, servers and functions of a cache at this moment.

    :raises CacheNotInitializedError: it is not set up for the active application.
    """
    stats = _stats(cache)
    memoized = {
        (policy.module, policy.name)
        for policy in cache._policies
        if isinstance(policy, MemoizePolicy)
    }
    return {
        "app": current_app.name,
        # What one process says of itself alone is compared with what the same one said before.
        "process": "all" if stats.processes > 1 else os.getpid(),
        "processes": stats.processes,
        "health": cache.health().as_dict(),
        "totals": _totals(stats),
        "latency": _buckets(stats.backend.latencies.values() if stats.backend else ()),
        "functions": [
            {
                "name": name,
                "can_forget": counts.kind == MemoizePolicy.kind
                and (counts.module, counts.name) in memoized,
                **_row(counts),
            }
            for name, counts in stats.functions.items()
        ],
        "refusals": _refusals(stats),
    }


def _refusals(stats: CacheStats) -> list[dict[str, Any]]:
    """The newest of each function for each reason, and how many there were."""
    now = clock_wall()
    newest = {(one.module, one.name, one.reason): one.at for one in reversed(stats.last_refusals)}
    shown = {(one.module, one.name): name for name, one in stats.functions.items()}
    rows = []
    for (module, name, reason), at in newest.items():
        called = shown.get((module, name), name)
        counts = stats.functions.get(called)
        rows.append(
            {
                "name": called,
                "reason": reason,
                "age": max(0.0, now - at),
                "count": None if counts is None else counts.refusals.get(reason),
            }
        )
    return sorted(rows, key=itemgetter("age"))


def _stats(cache: Cache) -> CacheStats:
    """Those of all processes, where they can be had."""
    try:
        return cache.stats(all_processes=True)
    except CacheNotInitializedError:
        raise
    except CacheError:
        # Servers that are down are what the page is for.
        return cache.stats()


def _totals(stats: CacheStats) -> dict[str, Any]:
    totals = {name: getattr(stats, name) for name in _TOTALS}
    totals["asked"] = stats.operations.hits + stats.operations.misses
    totals["written"] = stats.operations.writes
    totals["deletions"] = stats.operations.deletions
    if stats.backend is not None:
        totals["entries"] = stats.backend.entries
        totals["bytes"] = stats.backend.bytes
        totals["evictions"] = stats.backend.evictions
    return totals


def _row(counts: FunctionCounts) -> dict[str, Any]:
    return {
        "kind": counts.kind,
        "hits": counts.hits,
        "misses": counts.misses,
        "refused": counts.refused,
        "errors": counts.errors,
        "mean": counts.mean_computing_time,
        "computing": counts.computing_time,
        "saved": counts.time_saved,
    }


def _buckets(latencies: Iterable[Latency]) -> list[tuple[float, int]]:
    """How many operations, of whatever kind, took how long at most."""
    together: Counter[float] = Counter()
    for latency in latencies:
        together.update(dict(latency.buckets))
    return sorted(together.items())
