"""Collects what was counted in this process."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .._engine import CacheFlags, flights_under_way
from ._arithmetic import total
from ._counts import BackendStats, CacheStats, CallCounts, FunctionCounts, Latency, Refusal

if TYPE_CHECKING:
    from ..calls.policy import CallPolicy

__all__ = ["Policies", "stats_of"]


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


def stats_of(policies: Policies, flags: CacheFlags, backend: Any) -> CacheStats:
    """The statistics of functions with these policies, all of the cache with these flags.

    :param backend: the active application's; None: there is none.
    """
    functions: dict[str, FunctionCounts] = {}
    totals = CallCounts(**_numbers(flags.retired_counts()))
    for policy in policies:
        counts = FunctionCounts(**_numbers(policy.road.counts()), kind=policy.kind)
        known = functions.get(policy.name)
        functions[policy.name] = counts if known is None else total(counts, known)
        totals = total(totals, counts)
    return CacheStats(
        **{name: getattr(totals, name) for name in CallCounts.__dataclass_fields__},
        functions=functions,
        backend=None if backend is None else _backend_stats(backend),
        last_refusals=tuple(Refusal(*refusal) for refusal in flags.last_refusals()),
        under_way=flights_under_way(),
    )


def _numbers(row: tuple[Mapping[str, int], float, float, Mapping[str, int]]) -> dict[str, Any]:
    """The parameters of counts that the engine keeps."""
    counts, computing_time, time_saved, refusals = row
    return {
        **counts,
        "computing_time": computing_time,
        "time_saved": time_saved,
        "refusals": refusals,
    }


def _backend_stats(backend: Any) -> BackendStats:
    store: Any = getattr(backend, "_store", None)
    rows = store.latencies() if hasattr(store, "latencies") else []
    latencies = {name: Latency(*numbers) for name, *numbers in rows}
    # Those that can say count their entries in no time.
    count = getattr(backend, "_held", None)
    return BackendStats(
        name=type(backend).__name__,
        entries=count() if callable(count) else None,
        latencies=latencies,
    )
