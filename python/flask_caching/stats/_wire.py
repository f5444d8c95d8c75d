"""How statistics go from one process to another: as JSON, of which what is unknown is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from ._counts import BackendStats, CacheStats, FunctionCounts, Latency, Operations

__all__ = ["read", "written"]

#: How much text the counts of functions may take, of those that are called most; totals are of all.
#: Servers do not take values of any length.
_MOST_TEXT = 250_000

T = TypeVar("T")


def written(name: str, stats: CacheStats) -> str:
    """Statistics as text.

    :param name: of the process that has them.
    """
    functions = {}
    left = _MOST_TEXT
    for key, counts in sorted(
        stats.functions.items(), key=lambda item: -(item[1].hits + item[1].misses)
    ):
        left -= len(json.dumps({key: counts.as_dict()}))
        if left < 0:
            break
        functions[key] = counts
    handed_on = replace(stats, functions=functions, last_refusals=())
    return json.dumps({"flask_caching_stats": name, **handed_on.as_dict()})


def read(text: Any) -> tuple[str, CacheStats] | None:
    """The name of a process and its statistics; None where this is something else."""
    try:
        given = json.loads(text)
        name = given["flask_caching_stats"]
        backend = given["backend"]
        if not isinstance(name, str):
            return None
        stats = replace(
            _numbers(CacheStats, given),
            functions={
                str(key): replace(
                    _numbers(FunctionCounts, counts),
                    kind=str(counts["kind"]),
                    name=str(counts.get("name", "")),
                    module=str(counts.get("module", "")),
                )
                for key, counts in given["functions"].items()
            },
            operations=_numbers(Operations, given["operations"]),
            backend=None if backend is None else _backend(backend),
        )
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError):
        return None
    return name, stats


def _backend(given: Any) -> BackendStats:
    latencies = {str(name): _latency(one) for name, one in given["latencies"].items()}
    return replace(_numbers(BackendStats, given), name=str(given["name"]), latencies=latencies)


def _latency(given: Any) -> Latency:
    pairs = tuple((float(longest), int(count)) for longest, count in given["buckets"])
    return replace(_numbers(Latency, given), buckets=pairs)


def _numbers(kind: type[T], given: Any) -> T:
    """Its fields that are numbers, and counts by name."""
    found: dict[str, Any] = {}
    for part in fields(kind):  # type: ignore[arg-type]
        value = given.get(part.name)
        if _is_number(value):
            found[part.name] = value
        elif part.name == "refusals" and isinstance(value, Mapping):
            found[part.name] = {key: count for key, count in value.items() if _is_number(count)}
    return kind(**found)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
