"""What became of the calls of one ``Cache``: ``cache.stats()``."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ._engine import CacheFlags, flights_under_way

if TYPE_CHECKING:
    from .calls.policy import CallPolicy

__all__ = ["CacheStats", "CallCounts", "Policies"]


@dataclass(frozen=True, slots=True)
class CallCounts:
    """How often what became of calls, in this process.

    :param hits: calls that were answered from the cache.
    :param misses: calls that were not found, or found and not wanted.
    :param stored: results that were stored.
    :param refused: results that were not, because an option, the kind of response or the backend
        would not have them.
    :param superseded: results that were not, because something was deleted since the call began.
    :param errors: failures of the cache while a call was looked up or its result stored.
    :param described: calls whose key had to be made before they could be looked for; others were
        recognised.
    """

    hits: int = 0
    misses: int = 0
    stored: int = 0
    refused: int = 0
    superseded: int = 0
    errors: int = 0
    described: int = 0

    def as_dict(self) -> dict[str, Any]:
        """All of it as a new dictionary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CacheStats(CallCounts):
    """The counts of all functions together, also of those that exist no more, and more.

    :param functions: the counts of each decorated function that still exists, by its qualified
        name; functions of one name are counted together.
    :param under_way: computations that are under way at present, of every cache of this process.
    """

    functions: Mapping[str, CallCounts] = field(default_factory=dict)
    under_way: int = 0


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


def stats_of(policies: Policies, flags: CacheFlags) -> CacheStats:
    """The statistics of functions with these policies, all of the cache with these flags."""
    by_name: dict[str, dict[str, int]] = {}
    totals = flags.retired_counts()
    for policy in policies:
        counts = by_name.setdefault(policy.name, dict.fromkeys(totals, 0))
        for event, count in policy.road.counts().items():
            counts[event] += count
            totals[event] += count
    functions = {name: CallCounts(**counts) for name, counts in by_name.items()}
    return CacheStats(**totals, functions=functions, under_way=flights_under_way())
