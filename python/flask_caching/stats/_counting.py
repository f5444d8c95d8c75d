"""Collects what was counted in this process."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from .._engine import flights_under_way
from ..errors import CacheBackendError, CacheNotInitializedError
from ._arithmetic import total
from ._counts import (
    BackendStats,
    CacheStats,
    CallCounts,
    FunctionCounts,
    Latency,
    Operations,
    Refusal,
    identity,
    named,
)

if TYPE_CHECKING:
    from ..cache import Cache
    from ..calls.policy import CallPolicy

__all__ = ["Policies", "count_anew_after_fork", "known_caches", "stats_of"]

logger = logging.getLogger("flask_caching")


class Policies:
    """The policies of the functions of one ``Cache``, for as long as these exist."""

    def __init__(self) -> None:
        # A WeakSet cannot be gone through while another thread decorates a function.
        self._by_id: dict[int, weakref.ref[CallPolicy]] = {}

    def add(self, policy: CallPolicy) -> None:
        """Keep a policy while it lives."""
        by_id, key = self._by_id, id(policy)
        by_id[key] = weakref.ref(policy, lambda _: by_id.pop(key, None))

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[CallPolicy]:
        for reference in list(self._by_id.values()):
            policy = reference()
            if policy is not None:
                yield policy


def stats_of(cache: Cache, asks: bool = False) -> CacheStats:
    """What this process has counted of a cache; of the backend, that of the active application.

    :param asks: ask the backend's servers, or look at all its files, for how much it holds.
    """
    functions: dict[Any, FunctionCounts] = {}
    totals = CallCounts(**_numbers(cache._flags.retired_counts()))
    for policy in cache._policies:
        counts = FunctionCounts(
            **_numbers(policy.road.counts()),
            kind=policy.kind,
            name=policy.name,
            module=policy.module,
        )
        which = identity("", counts)
        known = functions.get(which)
        functions[which] = counts if known is None else total(counts, known)
        totals = total(totals, counts)
    return CacheStats(
        **{name: getattr(totals, name) for name in CallCounts.__dataclass_fields__},
        functions=named(functions),
        operations=Operations(*cache._asked()),
        backend=_backend_stats(cache, asks),
        last_refusals=tuple(Refusal(*refusal) for refusal in cache._flags.last_refusals()),
        under_way=flights_under_way(),
    )


#: The caches of this process, whose counts begin anew in a child of ``fork()``.
_caches: weakref.WeakSet[Cache] = weakref.WeakSet()


def count_anew_after_fork(cache: Cache) -> None:
    """Let the counts of a cache be those of one process: its parent has counted its own."""
    _caches.add(cache)


def known_caches() -> list[Cache]:
    """The caches of this process."""
    return list(_caches)


def _begin_anew() -> None:
    for cache in known_caches():
        cache._flags.reset_counts()
        cache._reset_asked()
        for policy in cache._policies:
            policy.road.reset_counts()


os.register_at_fork(after_in_child=_begin_anew)


def _numbers(row: tuple[Mapping[str, int], float, float, Mapping[str, int]]) -> dict[str, Any]:
    """The parameters of counts that the engine keeps."""
    counts, computing_time, time_saved, refusals = row
    return {
        **counts,
        "computing_time": computing_time,
        "time_saved": time_saved,
        "refusals": refusals,
    }


def _backend_stats(cache: Cache, asks: bool) -> BackendStats | None:
    try:
        backend = cache._place()[1]
    except CacheNotInitializedError:
        return None
    store: Any = getattr(backend, "_store", None)
    rows = store.latencies() if hasattr(store, "latencies") else []
    latencies = {
        name: Latency(count, errors, seconds, tuple(buckets))
        for name, count, errors, seconds, buckets in rows
    }
    entries, bytes_, evictions = _usage(backend, asks)
    return BackendStats(type(backend).__name__, entries, bytes_, evictions, latencies)


def _usage(backend: Any, asks: bool) -> tuple[int | None, int | None, int | None]:
    """Entries, bytes and evictions of a backend; None: it cannot say."""
    ask = getattr(backend, "_ask_usage", None)
    if asks and ask is not None:
        try:
            return cast("tuple[int | None, int | None, int | None]", ask())
        except CacheBackendError as error:
            # Whoever may not ask that may count all the same.
            logger.debug("%s does not tell how much it holds: %s", type(backend).__name__, error)
    usage = getattr(backend, "_usage", None)
    return (None, None, None) if usage is None else usage()
