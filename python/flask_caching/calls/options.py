"""The options of a decorated function, and the description of one of its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from .._engine import MISSING
from .._warn import warn
from ..backends.spec import DURATION, SHARE, seconds_of
from ..keys.tags import tag_keys
from ..mistakes import check_hash_method
from ..utils import wants_args

__all__ = ["CallOptions", "Description", "adapted", "asks", "callable_or_none", "first"]


@dataclass(frozen=True, slots=True)
class Description:
    """What a call is.

    :param key: its key; where ``versions`` are part of it, what comes before them.
    :param versions: the keys of the versions that follow it.
    :param timeout: the call's own: seconds, or None; ``MISSING``: the function's applies.
    :param is_read_only: the key may be read, but this call does not fill it.
    """

    key: Any
    versions: tuple[str, ...] = ()
    timeout: Any = MISSING
    is_read_only: bool = False
    #: The keys of the tags; with :data:`~flask_caching.keys.tags.EPOCH` where the result says more.
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """The options that the decorators share, as :meth:`Cache.cached` documents them."""

    unless: Callable[..., Any] | None = None
    forced_update: Callable[..., Any] | None = None
    is_stale: Callable[..., Any] | None = None
    response_filter: Callable[..., Any] | None = None
    hash_method: Callable[..., Any] | None = None
    cache_none: bool = False
    source_check: bool | None = None
    single_flight: bool | None = None
    lease: bool | None = None
    stale_while_revalidate: Any = None
    stale_if_error: Any = None
    jitter: float | None = None
    tags: Any = ()

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Self:
        """The options among the arguments of a decorator, which may have others and lack some."""
        names = cls.__dataclass_fields__.keys() & arguments.keys()
        return cls(**{name: arguments[name] for name in names})

    def __post_init__(self) -> None:
        for name in ("unless", "forced_update", "is_stale", "response_filter"):
            object.__setattr__(self, name, callable_or_none(name, getattr(self, name)))
        check_hash_method(self.hash_method)
        for name in ("single_flight", "lease"):
            if not isinstance(getattr(self, name), bool | None):
                raise TypeError(
                    f"{name} must be True, False, or None for CACHE_{name.upper()}, not "
                    f"{getattr(self, name)!r}"
                )
        if self.lease and self.single_flight is False:
            raise ValueError(
                "lease=True with single_flight=False: calls of one process would wait for each "
                "other through the cache; leave single_flight out"
            )
        for name in ("stale_while_revalidate", "stale_if_error"):
            given = getattr(self, name)
            if given is not None:
                if not DURATION.accepts(given):
                    raise TypeError(f"{name} must be {DURATION.words}, not {given!r}")
                object.__setattr__(self, name, seconds_of(given))
        if self.jitter is not None and not SHARE.accepts(self.jitter):
            raise TypeError(f"jitter must be {SHARE.words}, not {self.jitter!r}")
        if not callable(self.tags):
            object.__setattr__(self, "tags", tag_keys(self.tags))
        elif asks(lambda tags: not wants_args(tags), self.tags):
            raise TypeError("tags is called with the result, and this one takes no argument")

    def check_with(self, timeout: Any) -> None:
        """Refuse options that say nothing of what never expires.

        :param timeout: of the decorator, or of the call.
        """
        if timeout is None or isinstance(timeout, str) or seconds_of(timeout) != 0:
            return
        for name in ("stale_while_revalidate", "stale_if_error", "jitter"):
            if getattr(self, name):
                raise ValueError(
                    f"{name} with timeout=0, which never expires: give a timeout, or leave {name} "
                    "out"
                )


def callable_or_none(name: str, given: Any) -> Callable[..., Any] | None:
    """An option that is a function of the application; whatever else is given counts for nothing.

    :param name: the option's name, for the warning.
    """
    if callable(given):
        function: Callable[..., Any] = given
        return function
    if given is None:
        return None
    warn(
        f"{name}={given!r} is ignored: it has to be a function, which is called each time. For a "
        f"value that never changes: {name}=lambda: {given!r}",
        UserWarning,
    )
    return None


def asks(
    question: Callable[[Callable[..., Any]], bool], function: Callable[..., Any] | None
) -> bool:
    """Whether ``question`` of a function of the application's is answered with yes."""
    if function is None:
        return False
    try:
        return question(function)
    except (TypeError, ValueError):
        # A built-in without a signature.
        return False


def adapted(
    question: Callable[..., Any], wants: Callable[[Callable[..., Any]], bool], always: int = 0
) -> Callable[..., Any]:
    """``question``, to be called with all that is known of a call.

    :param wants: whether it is passed on all of that.
    :param always: otherwise, how many of the first arguments are.
    """
    if asks(wants, question):
        return question
    return lambda *args, **_: question(*args[:always])


def first(given: Any, default: float) -> float:
    """What was given, or the default."""
    return default if given is None else given
