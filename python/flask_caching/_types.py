"""What type checkers see of decorated functions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

__all__ = [
    "BoundCached",
    "BoundMemoized",
    "Cached",
    "CachedOfClass",
    "Forgettable",
    "Memoized",
    "MemoizedOfClass",
    "Timeout",
]

P = ParamSpec("P")
P2 = ParamSpec("P2")
R = TypeVar("R")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)

#: A timeout as an application may write it: seconds, or a ``timedelta``.
Timeout = int | float | timedelta


class BoundCached(Protocol[P, R_co]):
    """A cached method, reached through an instance or a class."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @property
    def uncached(self) -> Callable[..., Any]:
        """The undecorated function; its first argument is the instance."""
        ...

    @property
    def cache_timeout(self) -> Timeout | None:
        """The timeout that results are stored with."""
        ...

    @property
    def make_cache_key(self) -> Callable[..., str]:
        """Makes the key of a call."""
        ...


class BoundMemoized(BoundCached[P, R_co], Protocol[P, R_co]):
    """A memoized method, reached through an instance or a class."""

    @property
    def delete_memoized(self) -> Callable[[], None]:
        """Forgets all results of the function, of every instance."""
        ...


class Cached(Protocol[P, R]):
    """A function decorated with ``cached``."""

    __name__: str
    __qualname__: str

    uncached: Callable[P, R]
    cache_timeout: Timeout | None
    make_cache_key: Callable[..., str]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def __get__(
        self: Cached[Concatenate[Any, P2], T], instance: None, owner: type | None = None, /
    ) -> CachedOfClass[P, P2, R]: ...

    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> Cached[P, R]: ...

    @overload
    def __get__(
        self: Cached[Concatenate[Any, P2], T], instance: object, owner: type | None = None, /
    ) -> BoundCached[P2, T]: ...


class Memoized(Protocol[P, R]):
    """A function decorated with ``memoize``."""

    __name__: str
    __qualname__: str

    uncached: Callable[P, R]
    cache_timeout: Timeout | None
    make_cache_key: Callable[..., str]
    delete_memoized: Callable[[], None]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def __get__(
        self: Memoized[Concatenate[Any, P2], T], instance: None, owner: type | None = None, /
    ) -> MemoizedOfClass[P, P2, R]: ...

    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> Memoized[P, R]: ...

    @overload
    def __get__(
        self: Memoized[Concatenate[Any, P2], T], instance: object, owner: type | None = None, /
    ) -> BoundMemoized[P2, T]: ...


class CachedOfClass(Protocol[P, P2, R_co]):
    """A cached method that is reached through its class.

    It takes the instance first; unless it is a class method, which no type can tell.
    """

    __name__: str
    __qualname__: str

    uncached: Callable[..., Any]
    cache_timeout: Timeout | None
    make_cache_key: Callable[..., str]

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload
    def __call__(self, *args: P2.args, **kwargs: P2.kwargs) -> R_co: ...


class MemoizedOfClass(CachedOfClass[P, P2, R_co], Protocol[P, P2, R_co]):
    """A memoized method that is reached through its class."""

    delete_memoized: Callable[[], None]


#: A function whose results can be forgotten, or a partial of one.
Forgettable = (
    Memoized[..., Any] | BoundMemoized[..., Any] | MemoizedOfClass[..., ..., Any] | partial[Any]
)
