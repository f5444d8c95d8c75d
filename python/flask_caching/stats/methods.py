"""What a ``Cache`` says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..entry import EntryInfo, entry_of
from ..extension.proxies import Proxies
from ..health import CacheHealth, health_of
from ._counting import stats_of
from ._shared import stats_of_all

if TYPE_CHECKING:
    from ..cache import Cache
    from . import CacheStats

__all__ = ["Observed"]


class Observed(Proxies):
    """The methods that ask what the cache does, and what it holds."""

    def stats(self, all_processes: bool = False) -> CacheStats:
        """What became of calls in this process: of decorated functions and template fragments.

        A child of ``fork()`` counts from 0.

        :param all_processes: add what other processes have counted, where the active application's
            backend is shared: what they left in it at most ``CACHE_STATS_SHARED`` seconds ago. The
            counts of a process that has ended are forgotten after three times as long.
        :raises CacheBackendError: the backend failed, of all processes.
        :raises CacheNotInitializedError: it is not set up for the active application, likewise.
        """
        cache = cast("Cache", self)
        return stats_of_all(cache) if all_processes else stats_of(cache)

    def inspect(self, key: str) -> EntryInfo | None:
        """What is known of one entry.

        :param key: as for ``get``.
        :return: the class of its value, its size, how long it has left, and the value; None where
            there is none.
        :raises CacheBackendError: a server failed.
        """
        return entry_of(cast("Cache", self), key)

    def health(self) -> CacheHealth:
        """What this process knows of the servers of the active application; none is asked.

        :raises CacheNotInitializedError: the cache is not set up for it.
        """
        return health_of(self._place()[1])
