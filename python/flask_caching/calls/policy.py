"""The policy of a decorated function: what ``cached`` and ``memoize`` share."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException

from .._engine import MISSING, CallParts, Road, Turn
from ..backends._gevent import wait_among_greenlets
from ..errors import CacheNotInitializedError, UnstorableValueError
from ..keys.closures import source_text
from ..keys.identity import Unidentifiable
from ..keys.tags import EPOCH, tag_keys
from ..utils import wants_args, wants_extra_args
from ..values.responses import why_not_storable
from . import refresh
from .elsewhere import Vain
from .options import CallOptions, Description, adapted, callable_or_none, first
from .reporting import Reporting
from .waiting import leasing
from .waiting.following import task

if TYPE_CHECKING:
    from flask import Flask

    from .._engine import Refreshing
    from ..cache import Cache
    from ..extension.state import AppState

__all__ = ["CallOptions", "CallPolicy", "Description", "callable_or_none"]

logger = logging.getLogger("flask_caching")


class CallPolicy(Reporting):
    """Describes the calls of a decorated function, and judges what they return.

    The road reads ``cache_none``, ``is_view``, ``is_page``, ``timed_class``, ``checks_hits``,
    ``listens``, ``filters``, ``single_flight`` and ``lease`` once.

    :param cache: the cache it was decorated with.
    :param f: the undecorated function.
    :param options: the decorator's.
    """

    #: What it is about, for statistics.
    kind = "function"
    #: Whether an HTTPException of the function is a result, and a tuple a response and its status.
    is_view = False
    #: Whether it wants to :meth:`hear` what calls came to.
    listens = False
    #: Whether its results are pages, which say themselves how long they may be old.
    is_page = False
    #: The class of results that have a ``timeout`` of their own, where there is one.
    timed_class: type | None = None
    #: Whether its keys are made of the active request.
    reads_request = False
    #: The function as the application sees it.
    wrapper: Any
    #: Runs it, and brings what it returns to the road.
    compute: Callable[..., Any]
    road: Road

    def __init__(self, cache: Cache, f: Callable[..., Any], options: CallOptions) -> None:
        super().__init__(cache, f)
        self.module = str(getattr(f, "__module__", None) or "")
        inner = getattr(f, "_flask_caching_policy", None)
        self.is_async = inspect.iscoroutinefunction(f) or getattr(inner, "is_async", False)
        self.unless, self.forced_update, self.is_stale = cache._questions(options)
        self.response_filter = options.response_filter
        self.hash_method = cache._hash_method_by(options.hash_method)
        #: What is raised and yet a result, which is raised again when it is delivered.
        self.results = (HTTPException,) if self.is_view else ()
        #: Whether no subclass of ``Cache`` has a ``_call_fn`` of its own, which calls the function.
        self.runs_when_called = not cache._has_own("_call_fn")
        #: Whether, besides, calling it runs it: it is no coroutine function.
        self.runs_as_it_is = self.runs_when_called and not self.is_async
        # Of any type, as in Flask-Caching: only its truth counts.
        self.cache_none = bool(options.cache_none)
        self.source_check = options.source_check
        self.checks_hits = self.is_stale is not None
        self.filters = options.response_filter is not None
        self.single_flight = options.single_flight
        self.options = options
        self.tags: tuple[str, ...] = (EPOCH,) if callable(options.tags) else options.tags
        self.has_conditions = bool(
            self.tags
            or options.stale_while_revalidate is not None
            or options.stale_if_error is not None
            or options.jitter is not None
        )
        #: What cannot be refreshed where its caller is not.
        self.vain = Vain()
        self.lease = options.lease
        if options.lease:
            cache._note_leases()
        #: The attributes of the decorated function, which an application may set.
        self.attributes: dict[str, Any] = {}
        #: Its attribute ``make_cache_key``, where the application has put in no other.
        self.built_in_make_cache_key: Callable[..., str] = self.make_cache_key
        self._source: str | None = None
        self._ask_unless = self.unless and adapted(self.unless, wants_args)
        self._ask_forced_update = self.forced_update and adapted(self.forced_update, wants_args)
        self._ask_is_stale = self.is_stale and adapted(self.is_stale, wants_extra_args, 1)

    # What a kind of decorator says about its calls.

    def parts(self) -> CallParts:
        """What calls are told apart by."""
        raise NotImplementedError

    def describe(
        self, state: AppState, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Description | None:
        """Describe a call; None where it is not to be cached."""
        try:
            description = self.description(state, args, kwargs)
            if self.tags and description is not None:
                return replace(description, tags=self.tags)
            return description
        except Unidentifiable as reason:
            self.note_once("unidentifiable", "%s is not cached: %s", self.name, reason)
        except Exception as error:
            self.stand_aside("key", error)
        return None

    def description(
        self, state: AppState, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Description | None:
        """What a kind of decorator says of a call; None: it is not to be cached.

        :raises Unidentifiable: an argument cannot be told apart from others.
        """
        raise NotImplementedError

    def make_cache_key(self, *args: Any, **kwargs: Any) -> str:
        """The key of a call with these arguments."""
        raise NotImplementedError

    def make_wrapper(self) -> Callable[..., Any] | None:
        """A function of its own in place of the decorated one; None: the usual one."""
        return None

    def makes_plain_keys(self) -> bool:
        """Whether keys are made of plain arguments as the road makes them."""
        return False

    # What the road asks.

    def place(self) -> tuple[AppState, Any] | None:
        """The active application's state and backend; None where the call is not to be cached.

        :raises CacheNotInitializedError: the cache is set up for no application, or not for the
            active one, which is in debug mode.
        """
        try:
            return self.cache._place()
        except CacheNotInitializedError as error:
            if not hasattr(self.cache, "app") or error.debug:
                raise
            self.note_once("not initialized", "%s is not cached: %s", self.name, error)
            return None

    def is_stale_value(
        self, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> bool | None:
        """Whether ``is_stale`` will not have what was found; None: the call runs uncached."""
        assert self._ask_is_stale is not None
        try:
            return bool(self._ask_is_stale(value, *args, **kwargs))
        except Exception as error:
            self.stand_aside("is_stale", error)
            return None

    def judge(self, rv: Any) -> bool:
        """Whether what a function returned may be stored."""
        if self.response_filter is not None:
            filtered = rv.get_response() if isinstance(rv, HTTPException) else rv
            if not self.response_filter(filtered):
                self.road.note_refusal("response_filter would not have it")
                return False
        reason = why_not_storable(rv, is_view=self.is_view)
        if reason is None:
            return True
        self.road.note_refusal(reason or "it answers a conditional or partial request")
        if reason:
            self.note_once(
                reason, "The response of %s is served but not cached: %s.", self.name, reason
            )
        return False

    # How the road waits: for tasks, greenlets and other processes.
    task = staticmethod(task)
    wait_among_greenlets = staticmethod(wait_among_greenlets)
    hold = leasing.hold
    hold_awaited = leasing.hold_awaited

    # Tags, and values that are not fresh any more.

    def rules(self, state: AppState) -> tuple[float, float, float]:
        """For how many seconds after its timeout a value is answered while it is refreshed, and
        where that fails; and the largest share that a lifetime is shortened by."""
        options = self.options
        return (
            first(options.stale_while_revalidate, state.stale_while_revalidate),
            first(options.stale_if_error, state.stale_if_error),
            first(options.jitter, state.jitter),
        )

    def tags_of(
        self, rv: Any, call: tuple[tuple[Any, ...], dict[str, Any]]
    ) -> tuple[str, ...] | None:
        """The keys of the tags of a result; None where they cannot be had: it is not stored."""
        try:
            ask_tags = adapted(self.options.tags, wants_extra_args, 1)
            return tag_keys(ask_tags(rv, *call[0], **call[1]))
        except Exception as error:
            self.stand_aside("tags", error)
            return None

    def answers_stale(
        self,
        state: AppState,
        backend: Any,
        key: Any,
        may_refresh: bool,
        call: tuple[tuple[Any, ...], dict[str, Any]],
        looked: int,
    ) -> Refreshing | bool:
        """Whether an old value is the answer; otherwise the call computes, and has it if it fails.

        :param may_refresh: it may be answered while it is refreshed, which is begun here.
        :param call: the arguments, and those by name.
        :param looked: how many refreshes had ended before the value was looked for.
        :return: what is held while the call computes, where it is the one refresh of the entry.
        """
        if not may_refresh:
            return refresh.has_failed(backend, key)
        return refresh.begin(self, state, backend, key, call, looked)

    def refreshes_elsewhere(self, key: Any) -> bool:
        """Whether ``key`` can be refreshed where its caller, who is to refresh it, is not."""
        return not self.vain.has(key)

    def refresh_context(self, app: Flask) -> AbstractContextManager[Any]:
        """What it is refreshed in, beside an application context; asked in the call."""
        return nullcontext()

    def refresh_call(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Compute once more what is stored under ``key``."""
        turn = self.road.refresh(args, kwargs, key=key)
        if type(turn) is Turn and turn.is_open:
            # What was raised as a result is raised to whoever called.
            with suppress(*self.results):
                self.compute(turn, self.run, args, kwargs)
        elif self.is_view and self._key_of(args, kwargs) != key:
            # A stranger has another key, and it is not that another process refreshes it.
            self.vain.note(key)

    def _key_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The key of a call, without versions; None where it is not to be cached."""
        place = self.place()
        description = None if place is None else self.describe(place[0], args, kwargs)
        return None if description is None else description.key

    def keeps_back(self, rv: Any, reason: str) -> bool:
        """Whether a result is not stored for ``reason``, which makes it one visitor's alone."""
        return False

    def in_place_of(self, rv: Any, reason: UnstorableValueError) -> Any:
        """What is stored in place of a result that cannot be; ``MISSING``: nothing."""
        self.note_unstorable(reason)
        return MISSING

    # What the decorated function asks.

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """What the undecorated function returns."""
        if self.runs_as_it_is:
            return self.f(*args, **kwargs)
        return self.cache._call_fn(self.f, *args, **kwargs)

    async def run_awaited(self, *args: Any, **kwargs: Any) -> Any:
        """What a coroutine function returns that a subclass of ``Cache`` calls in its own way."""
        result = self.cache._call_fn(self.f, *args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    def is_bypassed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether ``unless`` keeps the call away from the cache."""
        return self._ask_unless is not None and bool(self._ask_unless(self.f, *args, **kwargs))

    def is_refreshed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool | None:
        """Whether ``forced_update`` asks for a new value; None: the call runs uncached."""
        if self._ask_forced_update is None:
            return False
        try:
            return bool(self._ask_forced_update(*args, **kwargs))
        except Exception as error:
            self.stand_aside("forced_update", error)
            return None

    # What every kind of key is made with.

    def source(self, state: AppState) -> str:
        """The function's source where it belongs into the key, otherwise ''."""
        wanted = (
            self.cache._source_check_of(state) if self.source_check is None else self.source_check
        )
        if not wanted:
            return ""
        if self._source is None:
            self._source = source_text(self.f)
        return self._source

    def digest(self, state: AppState, text: str) -> Any:
        """The hash object of ``text``, by the decorator's hash method or the application's."""
        digest = self.hash_method_in(state)()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest

    def hash_method_in(self, state: AppState) -> Callable[..., Any]:
        """The decorator's hash method, or the application's."""
        return self.hash_method or self.cache._hash_method_of(state)
