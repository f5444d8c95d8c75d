"""What statistics are made of: frozen, with types, and the same in every process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from ._arithmetic import difference, total

__all__ = [
    "BackendStats",
    "CacheStats",
    "CallCounts",
    "FunctionCounts",
    "Latency",
    "Operations",
    "Refusal",
]

#: What a field is that has no difference: a state, not a count.
_STATE = {"counts": False}


def _as_json(value: Any) -> Any:
    if isinstance(value, _Counted):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {key: _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a group of numbers can do."""

    def as_dict(self) -> dict[str, Any]:
        """All of it as a new dictionary, which JSON can write; derived numbers included."""
        names = [one.name for one in fields(self)]
        return {name: _as_json(getattr(self, name)) for name in (*names, *self._derived())}

    def _derived(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class CallCounts(_Counted):
    """How often what became of calls.

    :param hits: calls that were answered from the cache.
    :param misses: calls that were not found, or found and not wanted.
    :param stale: of the hits, answers that were past their time and given nevertheless.
    :param near_hits: of the hits, those that this process's copy of a server's entries answered.
    :param waits: calls that waited for another's computation.
    :param stored: results that were stored.
    :param refused: results that were not, because an option, the kind of response or the backend
        would not have them.
    :param superseded: results that were not, because something was deleted since the call began.
    :param deletions: how often results were deleted by naming their function: by
        ``delete_memoized``, ``delete_cached`` and their like, or by a fragment's ``'del'``.
    :param errors: failures of the cache while a call was looked up or its result stored.
    :param described: calls whose key had to be made before they could be looked for; others were
        recognised.
    :param computed: runs of the function that ended with a result, on behalf of the cache.
    :param computing_time: seconds that these took, with all that they called and waited for.
    :param time_saved: seconds that the hits would have taken: for each function, its hits times its
        mean computing time.
    :param refusals: how often results were refused, by the reason.
    """

    hits: int = 0
    misses: int = 0
    stale: int = 0
    near_hits: int = 0
    waits: int = 0
    stored: int = 0
    refused: int = 0
    superseded: int = 0
    deletions: int = 0
    errors: int = 0
    described: int = 0
    computed: int = 0
    computing_time: float = 0.0
    time_saved: float = 0.0
    refusals: Mapping[str, int] = field(default_factory=dict)

    @property
    def hit_ratio(self) -> float | None:
        """The part of the calls that were hits, from 0 to 1; None: there were no calls."""
        calls = self.hits + self.misses
        return self.hits / calls if calls else None

    @property
    def mean_computing_time(self) -> float | None:
        """Seconds that the function takes; None: it has not run yet."""
        return self.computing_time / self.computed if self.computed else None

    def _derived(self) -> tuple[str, ...]:
        return ("hit_ratio", "mean_computing_time")


@dataclass(frozen=True, slots=True)
class FunctionCounts(CallCounts):
    """The counts of one function, view, page or fragment.

    :param kind: ``"function"``, ``"view"``, ``"page"`` or ``"fragment"``.
    :param name: its qualified name, which functions of several modules may have.
    :param module: of a function, its module.
    """

    kind: str = field(default="function", metadata=_STATE)
    name: str = field(default="", metadata=_STATE)
    module: str = field(default="", metadata=_STATE)


@dataclass(frozen=True, slots=True)
class Operations(_Counted):
    """How often the cache was asked explicitly: ``cache.get()``, ``cache.set()`` and their like.

    Calls of decorated functions are not among them, but where an application has put a method of
    its own in the place of one of these, or the backend is NullCache or none of this package's.

    :param hits: keys that ``get``, ``get_many`` and ``get_dict`` found.
    :param misses: keys that they did not find.
    :param writes: keys that ``set``, ``set_many`` and ``add`` were given.
    :param deletions: keys that were to be deleted, by ``delete_memoized`` and its like, too,
        whether there was something under them or not.
    :param clears: calls of ``clear``.
    :param near_hits: of the hits, those that this process's copy of a server's entries answered.
    """

    hits: int = 0
    misses: int = 0
    writes: int = 0
    deletions: int = 0
    clears: int = 0
    near_hits: int = 0


@dataclass(frozen=True, slots=True)
class Latency(_Counted):
    """How long one kind of operation of the backend took: what went to a server or a disk.

    :param count: operations.
    :param errors: of these, those that failed.
    :param seconds: what all of them took together.
    :param buckets: pairs of seconds and the number of operations that took at most so long, and
        longer than those of the pair before; without those of which there are none.
    """

    count: int = 0
    errors: int = 0
    seconds: float = 0.0
    buckets: tuple[tuple[float, int], ...] = ()

    def quantile(self, part: float) -> float | None:
        """Seconds that a part of the operations took at most; up to a fifth too long.

        :param part: from 0 to 1.
        :return: None where there were none.
        """
        total = sum(count for _, count in self.buckets)
        seen = 0
        for longest, count in self.buckets:
            seen += count
            if seen >= part * total:
                return longest
        return None

    @property
    def p50(self) -> float | None:
        """Seconds that half of them took at most."""
        return self.quantile(0.5)

    @property
    def p99(self) -> float | None:
        """Seconds that 99 of 100 took at most."""
        return self.quantile(0.99)

    def _derived(self) -> tuple[str, ...]:
        return ("p50", "p99")


@dataclass(frozen=True, slots=True)
class BackendStats(_Counted):
    """What is known of the backend of one application.

    :param name: its class.
    :param entries: how many entries it holds; None: it cannot say. Servers are asked, and files
        looked at, for the statistics of all processes only; what a server holds is counted
        whoever stored it, on Redis in the whole database.
    :param bytes: what they take up; None: it cannot say. Of a Redis server: all its memory.
    :param evictions: how many entries had to make room, expired ones included: in this process
        since the backend was made, or on servers since they were started; None: it cannot say.
    :param latencies: by operation; empty where nothing goes to a server or a disk. How long reading
        and writing the counts of processes takes is not among them.
    """

    name: str = field(default="", metadata=_STATE)
    entries: int | None = field(default=None, metadata=_STATE)
    bytes: int | None = field(default=None, metadata=_STATE)
    evictions: int | None = None
    latencies: Mapping[str, Latency] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal(_Counted):
    """A result that was not stored.

    :param name: whose.
    :param reason: why.
    :param at: when, in seconds since 1970.
    :param module: that of its function.
    """

    name: str
    reason: str
    at: float
    module: str = ""


@dataclass(frozen=True, slots=True)
class CacheStats(CallCounts):
    """The counts of all functions together, also of those that exist no more, and more.

    :param functions: the counts of each decorated function, page and fragment that still exists, by
        its qualified name; where several modules have one, by ``"module:name"``. What has one name
        in one module is counted together. A fragment is ``"fragment NAME"`` by its name in the
        template, or ``"fragment template.html:12"`` where that has none or makes it.
    :param operations: what was asked of the cache explicitly.
    :param backend: what is known of the active application's backend; None: there is none.
    :param last_refusals: the newest of the results that were not stored, the newest first.
    :param under_way: computations that are under way at present, of every cache of this process.
    :param processes: how many processes were counted.
    """

    functions: Mapping[str, FunctionCounts] = field(default_factory=dict)
    operations: Operations = field(default_factory=Operations)
    backend: BackendStats | None = None
    last_refusals: tuple[Refusal, ...] = field(default=(), metadata=_STATE)
    under_way: int = field(default=0, metadata=_STATE)
    processes: int = field(default=1, metadata=_STATE)

    def delta(self, earlier: CacheStats) -> Self:
        """What has been counted since then; states, such as ``under_way``, are the present ones.

        :param earlier: what ``cache.stats()`` returned before. Where a count is lower now, as in a
            child of ``fork()``, the difference is 0.
        """
        return self._combined(difference, earlier)

    def _with(self, other: CacheStats) -> Self:
        """What another process has counted as well."""
        return self._combined(total, other)

    def _combined(self, combine: Callable[[Self, Any], Self], other: CacheStats) -> Self:
        counted = combine(self._by_identity(), other._by_identity())
        return replace(counted, functions=named(counted.functions))

    def _by_identity(self) -> Self:
        """Its functions by what they are: their names depend on which others there are."""
        functions: Any = {identity(key, counts): counts for key, counts in self.functions.items()}
        return replace(self, functions=functions)


def identity(key: str, counts: FunctionCounts) -> tuple[str, str, str]:
    """The module, the name and the kind of a function, whatever others there are.

    :param key: what it is called among these.
    """
    return (counts.module, counts.name or key, counts.kind)


def named(functions: Mapping[Any, FunctionCounts]) -> dict[str, FunctionCounts]:
    """What functions are called, by what they are; as shortly as these can be told apart."""
    kinds = Counter((module, name) for module, name, _ in functions)
    modules = Counter(name for _, name in kinds)
    made = {}
    for (module, name, kind), counts in functions.items():
        called = name if modules[name] == 1 else f"{module}:{name}"
        # A view that is also a page is two things.
        made[called if kinds[module, name] == 1 else f"{called} ({kind})"] = counts
    return made
