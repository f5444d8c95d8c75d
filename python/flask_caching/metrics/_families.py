"""The metrics of a cache: their names, what they mean, and their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from ..stats import CacheStats, Latency
from ..stats._counts import identity

__all__ = ["BOUNDS", "COUNTS", "EVICTIONS", "LATENCY", "Family", "per_bound"]

#: The values of a metric's labels, and its own.
Sample = tuple[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric.

    :param name: without the ``_total`` of a counter.
    :param doc: what it counts.
    :param unit: as OpenTelemetry writes it.
    :param labels: their names.
    :param read: its samples.
    """

    name: str
    doc: str
    unit: str
    labels: tuple[str, ...]
    read: Callable[[CacheStats], Iterator[Sample]]
    kind: Literal["counter", "gauge"] = "counter"


def _of_functions(name: str, doc: str, unit: str, label: str = "", **fields: str) -> Family:
    """A count of each function.

    :param label: tells several counts apart.
    :param fields: for each value of the label, the field of the statistics.
    """

    def read(stats: CacheStats) -> Iterator[Sample]:
        for key, counts in stats.functions.items():
            # Which others there are changes no series.
            module, function, kind = identity(key, counts)
            for value, field in fields.items():
                labels = (module[:200], function[:200], kind, *([value] if label else []))
                yield labels, getattr(counts, field)

    labels = ("module", "function", "kind", *([label] if label else []))
    return Family(f"flask_caching_{name}", doc, unit, labels, read)


def _of_backend(
    name: str, doc: str, unit: str, kind: Literal["counter", "gauge"], field: str
) -> Family:
    """What a backend says of itself, where it can."""

    def read(stats: CacheStats) -> Iterator[Sample]:
        value = getattr(stats.backend, field, None)
        if stats.backend is not None and value is not None:
            yield (stats.backend.name,), value

    return Family(f"flask_caching_{name}", doc, unit, ("backend",), read, kind)


def _of_mapping(mapping: Callable[[CacheStats], Any], stats: CacheStats) -> Iterator[Sample]:
    for name, count in mapping(stats).items():
        yield (name,), count


def _failures(stats: CacheStats) -> Iterator[Sample]:
    if stats.backend is not None:
        for operation, latency in stats.backend.latencies.items():
            yield (stats.backend.name, operation), latency.errors


def _operations(stats: CacheStats) -> dict[str, Any]:
    """Without those that are among the others."""
    counts = stats.operations.as_dict()
    del counts["near_hits"]
    return counts


#: The labels of what operations of the backend come to.
_OPERATION = ("backend", "operation")

COUNTS = (
    _of_functions(
        "calls",
        "Calls, by what the cache had of them.",
        "{call}",
        "result",
        hit="hits",
        miss="misses",
    ),
    _of_functions(
        "hits_of_kind",
        "Hits that were past their time, or answered by this process's copy of what a server has.",
        "{call}",
        "which",
        stale="stale",
        near="near_hits",
    ),
    _of_functions("waits", "Calls that waited for another's computation.", "{call}", all="waits"),
    _of_functions(
        "results",
        "Results, by what became of them.",
        "{result}",
        "outcome",
        stored="stored",
        refused="refused",
        superseded="superseded",
    ),
    Family(
        "flask_caching_refusals",
        "Results not stored, by reason.",
        "{result}",
        ("reason",),
        partial(_of_mapping, lambda stats: stats.refusals),
    ),
    _of_functions(
        "deletions",
        "Deletions of results that named a function.",
        "{deletion}",
        all="deletions",
    ),
    _of_functions(
        "errors", "Failures of the cache that no caller has noticed.", "{error}", all="errors"
    ),
    _of_functions(
        "computations", "Runs of functions for what was missing.", "{run}", all="computed"
    ),
    _of_functions("computing_seconds", "Seconds that these took.", "s", all="computing_time"),
    _of_functions("saved_seconds", "Seconds that hits would have taken.", "s", all="time_saved"),
    Family(
        "flask_caching_operations",
        "Explicit operations: keys found, not found, written and deleted; clears.",
        "{operation}",
        ("operation",),
        partial(_of_mapping, _operations),
    ),
    Family(
        "flask_caching_backend_errors",
        "Operations of the backend that failed.",
        "{error}",
        _OPERATION,
        _failures,
    ),
    _of_backend("entries", "Entries of the backend.", "{entry}", "gauge", "entries"),
    _of_backend("bytes", "Bytes that they take.", "By", "gauge", "bytes"),
    _of_backend("evictions", "Entries that had to make room.", "{entry}", "counter", "evictions"),
)

EVICTIONS = COUNTS[-1].name

#: How long operations of the backend take.
LATENCY = (
    "flask_caching_backend_seconds",
    "Seconds that operations of the backend took.",
    _OPERATION,
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
