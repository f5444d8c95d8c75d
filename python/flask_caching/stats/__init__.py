"""What a cache does, and what it saves: ``cache.stats()``."""

from __future__ import annotations

from ._counts import (
    BackendStats,
    CacheStats,
    CallCounts,
    FunctionCounts,
    Latency,
    Operations,
    Refusal,
)

__all__ = [
    "BackendStats",
    "CacheStats",
    "CallCounts",
    "FunctionCounts",
    "Latency",
    "Operations",
    "Refusal",
]
