"""The metrics of a cache: their names, what they mean, and their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from ..stats import CacheStats, FunctionCounts, Latency

__all__ = ["BOUNDS", "COUNTS", "LATENCY", "Family", "per_bound"]

#: The values of a metric's labels, and its own.
Sample = tuple[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric.

    :param name: without the ``_total`` of a counter.
    :param doc: what it counts.
    :param labels: their names.
    :param read: its samples.
    """

    name: str
    doc: str
    labels: tuple[str, ...]
    read: Callable[[CacheStats], Iterator[Sample]]
    kind: Literal["counter", "gauge"] = "counter"
    unit: str = "1"


def _of_functions(
    *results: tuple[str, Callable[[FunctionCounts], float]],
) -> Callable[[CacheStats], Iterator[Sample]]:
    """Of each function; several results are told apart by one more label."""

    def read(stats: CacheStats) -> Iterator[Sample]:
        for name, counts in stats.functions.items():
            for result, value in results:
                labels = (name[:200], counts.kind, *([result] if len(results) > 1 else []))
                yield labels, value(counts)

    return read


def _refusals(stats: CacheStats) -> Iterator[Sample]:
    for reason, count in stats.refusals.items():
        yield (reason,), count


def _operations(stats: CacheStats) -> Iterator[Sample]:
    for name, count in stats.operations.as_dict().items():
        yield (name,), count


def _entries(stats: CacheStats) -> Iterator[Sample]:
    if stats.backend is not None and stats.backend.entries is not None:
        yield (stats.backend.name,), stats.backend.entries


def _failures(stats: CacheStats) -> Iterator[Sample]:
    if stats.backend is not None:
        for operation, latency in stats.backend.latencies.items():
            yield (stats.backend.name, operation), latency.errors


_FUNCTION = ("function", "kind")

COUNTS = (
    Family(
        "flask_caching_calls",
        "Calls, by what the cache had of them.",
        (*_FUNCTION, "result"),
        _of_functions(("hit", lambda c: c.hits), ("miss", lambda c: c.misses)),
    ),
    Family(
        "flask_caching_hits_of_kind",
        "Hits that were past their time.",
        (*_FUNCTION, "which"),
        _of_functions(("stale", lambda c: c.stale)),
    ),
    Family(
        "flask_caching_waits",
        "Calls that waited for another's computation.",
        _FUNCTION,
        _of_functions(("", lambda c: c.waits)),
    ),
    Family(
        "flask_caching_results",
        "Results, by what became of them.",
        (*_FUNCTION, "outcome"),
        _of_functions(
            ("stored", lambda c: c.stored),
            ("refused", lambda c: c.refused),
            ("superseded", lambda c: c.superseded),
        ),
    ),
    Family("flask_caching_refusals", "Results not stored, by reason.", ("reason",), _refusals),
    Family(
        "flask_caching_errors",
        "Failures of the cache that no caller has noticed.",
        _FUNCTION,
        _of_functions(("", lambda c: c.errors)),
    ),
    Family(
        "flask_caching_computations",
        "Runs of functions for what was missing.",
        _FUNCTION,
        _of_functions(("", lambda c: c.computed)),
    ),
    Family(
        "flask_caching_computing_seconds",
        "Seconds that these took.",
        _FUNCTION,
        _of_functions(("", lambda c: c.computing_time)),
        unit="s",
    ),
    Family(
        "flask_caching_saved_seconds",
        "Seconds that hits would have taken.",
        _FUNCTION,
        _of_functions(("", lambda c: c.time_saved)),
        unit="s",
    ),
    Family(
        "flask_caching_operations",
        "Explicit operations: keys found, not found, written and deleted; clears.",
        ("operation",),
        _operations,
    ),
    Family(
        "flask_caching_backend_errors",
        "Operations of the backend that failed.",
        ("backend", "operation"),
        _failures,
    ),
    Family(
        "flask_caching_entries", "Entries of the backend.", ("backend",), _entries, kind="gauge"
    ),
)

#: How long operations of the backend take; its labels are those of the backend's errors.
LATENCY = (
    "flask_caching_backend_seconds",
    "Seconds that operations of the backend took.",
    ("backend", "operation"),
)
#: The longest times of its buckets, in seconds: powers of two of nanoseconds, as those of
#: ``Latency``.
BOUNDS = tuple(2**power / 1e9 for power in range(15, 35))


def per_bound(latency: Latency) -> list[int]:
    """How many operations took at most the time of each bound, and longer than the one before;
    the last took longer than all."""
    counts = [0] * (len(BOUNDS) + 1)
    for longest, count in latency.buckets:
        at = next((at for at, bound in enumerate(BOUNDS) if longest <= bound * 1.001), len(BOUNDS))
        counts[at] += count
    return counts
