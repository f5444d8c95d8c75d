"""What ``cached`` and ``memoize`` share: one call of a decorated function, from key to result."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Hashable, Mapping
from types import GeneratorType, MappingProxyType
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException

from . import _access
from ._access import MISSING
from ._engine import Deadline, MemoryBackend
from ._inflight import Computation
from ._state import AppState
from .errors import CacheKeyError, CacheNotInitializedError, UnstorableValueError
from .keys.closures import source_text
from .keys.identity import Unidentifiable
from .keys.signature import is_immutable
from .utils import join_generator, normalize_timeout, wants_args, wants_extra_args
from .values.responses import why_not_storable

if TYPE_CHECKING:
    from blinker import NamedSignal

    from .cache import Cache

__all__ = ["Decorated", "Lookup"]

logger = logging.getLogger("flask_caching")


class Lookup:
    """How far a call got: answered (``value`` is there), or to be computed and perhaps stored."""

    # Defaults of the class, since most calls get on with them.
    value: Any = MISSING
    #: Where the result is to be stored; None: nowhere.
    key: str | None = None
    #: A key, and what was found under it when it was only a guess.
    prefetched: tuple[str, Any] | None = None
    #: The key came from the native table.
    is_known = False
    #: The key may be read, but this call does not fill it.
    read_only = False
    #: When the versions that this call made expire.
    made_until: Mapping[str, Deadline] = MappingProxyType({})
    computation: Computation | None = None

    def __init__(self, state: AppState | None, backend: Any) -> None:
        self.state = state
        self.backend = backend
        #: The versions in the key, by their own keys.
        self.versions: dict[str, str] = {}


class Decorated:
    """A decorated function and its options.

    :param cache: the cache it was decorated with.
    :param f: the undecorated function.
    :param options: ``unless``, ``forced_update``, ``is_stale``, ``response_filter``,
        ``hash_method``,
        ``cache_none`` and ``source_check`` as the decorators take them.
    """

    hit_signal: NamedSignal
    miss_signal: NamedSignal
    #: Whether receivers of its signals are given `f`: a receiver need not take what is not sent.
    signals_function = False
    #: Whether an HTTPException of the function is a result to be stored.
    stores_http_exceptions = False
    #: The function as the application sees it; it carries the attributes an application may set.
    wrapper: Any
    #: Its attribute ``make_cache_key``, where the application has put in no other.
    built_in_make_cache_key: Callable[..., str]

    def __init__(
        self,
        cache: Cache,
        f: Callable[..., Any],
        *,
        unless: Callable[..., Any] | None,
        forced_update: Callable[..., Any] | None,
        is_stale: Callable[..., Any] | None,
        response_filter: Callable[..., Any] | None,
        hash_method: Callable[..., Any] | None,
        cache_none: bool,
        source_check: bool | None,
    ) -> None:
        self.cache = cache
        self.f = f
        self.name = getattr(f, "__qualname__", repr(f))
        inner = getattr(f, "_flask_caching_core", None)
        self.is_async = inspect.iscoroutinefunction(f) or getattr(inner, "is_async", False)
        self.unless = unless
        self.forced_update = forced_update
        self.is_stale = is_stale
        self.response_filter = response_filter
        self.hash_method = hash_method
        self.cache_none = cache_none
        self.source_check = source_check
        self._source: str | None = None
        self._noted: dict[str, object] = {}
        self._unless_wants_args = _asks(wants_args, unless)
        self._forced_update_wants_args = _asks(wants_args, forced_update)
        self._is_stale_wants_more = _asks(wants_extra_args, is_stale)
        #: Whether a call that is found is answered by what was found and nothing else, once
        #: ``unless`` and ``forced_update`` were asked.
        self.is_simple = not self.is_async and is_stale is None
        #: The native table of calls that were answered before, where this function can have one.
        self.hits: Any = None

    # What a kind of decorator says about its keys.

    def find_key(self, lookup: Lookup, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """The key of a call, None where the call is not to be cached."""
        raise NotImplementedError

    def timeout_of(self, rv: Any) -> Any:
        """The timeout that a result is stored with."""
        return normalize_timeout(self.wrapper.cache_timeout)

    def write(self, lookup: Lookup, key: str, rv: Any, timeout: Any) -> Any:
        """Store a result; False where it was refused."""
        return _access.write(self.cache, lookup.backend, key, rv, timeout)

    def answered(self) -> None:
        """The call was answered from the cache."""

    def is_unchanged(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the function cannot have changed what it was called with."""
        return is_immutable((*args, *kwargs.values()))

    def make_hits(self) -> Any:
        """Make the native table of calls; None where calls cannot be told apart natively."""
        return None

    def wrap_hits(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """A function that answers a call by ``call``, the native table's."""
        raise NotImplementedError

    def find_hit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of a call that the native table has, otherwise MISSING."""
        raise NotImplementedError

    def find_signalled_hit(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, Any] | None:
        """The key and the result of a call that the native table has and signals are sent of."""
        return None

    def remember(self, lookup: Lookup, key: str, args: tuple[Any, ...], kwargs: Any) -> None:
        """Enter a call that was answered or stored into the native table."""
        raise NotImplementedError

    # One call.

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call of the decorated function."""
        if self.is_async and _in_running_loop():
            return self._call_async(args, kwargs)
        if self.unless is not None and self.is_bypassed(args, kwargs):
            return self.run(args, kwargs)
        refreshed = self.forced_update is not None and self.is_refreshed(args, kwargs)
        return self.answer(args, kwargs, refreshed=refreshed)

    def answer(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        asked: str | None = None,
        key: Any = MISSING,
        refreshed: bool = False,
    ) -> Any:
        """Answer a call of which ``unless`` and ``forced_update`` were asked.

        :param asked: a key under which ``cache.get`` was asked just now, and had nothing.
        :param key: the key of the call, where the application has made it already.
        :param refreshed: whether ``forced_update`` wants a new value.
        """
        lookup = self._look_up(args, kwargs, asked, key, refreshed)
        if lookup.value is not MISSING:
            return self._deliver(lookup.value)
        try:
            try:
                rv = self.run(args, kwargs)
            except HTTPException as error:
                if not self.stores_http_exceptions:
                    raise
                # Raised again when it is delivered.
                rv = error
            return self._finish(lookup, rv, args, kwargs)
        finally:
            self._end(lookup)

    async def _call_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.unless is not None and self.is_bypassed(args, kwargs):
            return await self.f(*args, **kwargs)
        refreshed = self.forced_update is not None and self.is_refreshed(args, kwargs)
        lookup = self._look_up(args, kwargs, refreshed=refreshed)
        if lookup.value is not MISSING:
            return self._deliver(lookup.value)
        try:
            try:
                rv = await self.f(*args, **kwargs)
            except HTTPException as error:
                if not self.stores_http_exceptions:
                    raise
                # Raised again when it is delivered.
                rv = error
            return self._finish(lookup, rv, args, kwargs)
        finally:
            self._end(lookup)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the undecorated function returns."""
        if not self.is_async:
            return self.f(*args, **kwargs)
        return self.cache._run_coroutine_function(self.f, args, kwargs)

    def is_bypassed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether ``unless`` keeps the call away from the cache."""
        assert self.unless is not None
        if self._unless_wants_args:
            return bool(self.unless(self.f, *args, **kwargs))
        return bool(self.unless())

    def is_refreshed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether ``forced_update`` asks for a new value."""
        assert self.forced_update is not None
        if self._forced_update_wants_args:
            return bool(self.forced_update(*args, **kwargs))
        return bool(self.forced_update())

    def _look_up(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        asked: str | None = None,
        key: Any = MISSING,
        refreshed: bool = False,
    ) -> Lookup:
        state, backend = self._place()
        lookup = Lookup(state, backend)
        if state is None:
            return lookup
        if asked is not None:
            lookup.prefetched = asked, None
        # Elsewhere the table was asked before the call came here.
        is_unasked = self.hits is not None and (state.enable_signals or not self.is_simple)
        if is_unasked and not refreshed and not self.cache._guard.patched:
            signalled, value = self._find_hit(state, args, kwargs)
            if value is not MISSING:
                refreshed = self._is_stale(value, args, kwargs)
                if not refreshed:
                    if signalled is not None:
                        self._signal(self.hit_signal, state, signalled, args, kwargs)
                    lookup.value = value
                    return lookup
        try:
            if key is MISSING:
                key = self.find_key(lookup, args, kwargs)
        except Unidentifiable as reason:
            self.note_once("unidentifiable", "%s is not cached: %s", self.name, reason)
            return lookup
        if key is None:
            return lookup
        if not _is_hashable(key):
            error = CacheKeyError(f"{key!r} cannot be a key: it cannot be hashed")
            state.failed(backend, error, "reading", self.name)
            return lookup
        value = MISSING if refreshed else self._read(lookup, key, args, kwargs)
        if value is not MISSING:
            self._signal(self.hit_signal, state, key, args, kwargs)
            self.answered()
            lookup.value = value
            self._remember(lookup, key, args, kwargs)
            return lookup
        self._signal(self.miss_signal, state, key, args, kwargs)
        if not lookup.read_only:
            lookup.key = key
            lookup.computation = state.in_flight.begin(key, *lookup.versions)
        return lookup

    def _find_hit(
        self, state: AppState, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str | None, Any]:
        """The result in the native table, if any, and its key where signals are sent of it."""
        if state.enable_signals:
            return self.find_signalled_hit(args, kwargs) or (None, MISSING)
        return None, self.find_hit(args, kwargs)

    def _place(self) -> tuple[AppState | None, Any]:
        """The active application's state and backend."""
        try:
            return self.cache._place()
        except CacheNotInitializedError as error:
            if not hasattr(self.cache, "app") or error.debug:
                raise
            self.note_once("not initialized", "%s is not cached: %s", self.name, error)
            return None, None

    def _read(self, lookup: Lookup, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        state, backend = lookup.state, lookup.backend
        assert state is not None
        try:
            if lookup.prefetched is not None and lookup.prefetched[0] == key:
                value = lookup.prefetched[1]
                if value is None and not self.cache_none:
                    value = MISSING
            else:
                value = _access.read(self.cache, backend, key, self.cache_none)
        except Exception as error:
            state.failed(backend, error, "reading", self.name)
            return MISSING
        if state.failures:
            state.worked(backend, "reading")
        if value is not MISSING and self._is_stale(value, args, kwargs):
            return MISSING
        return value

    def _is_stale(self, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if self.is_stale is None:
            return False
        if self._is_stale_wants_more:
            return bool(self.is_stale(value, *args, **kwargs))
        return bool(self.is_stale(value))

    def _remember(
        self, lookup: Lookup, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if (
            self.hits is not None
            and not lookup.is_known
            and isinstance(lookup.backend, MemoryBackend)
        ):
            self.remember(lookup, key, args, kwargs)

    def _finish(
        self, lookup: Lookup, rv: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Store what the function returned, if it may be, and give it to the caller."""
        if lookup.state is None:
            return rv
        if lookup.key is not None:
            if isinstance(rv, GeneratorType):
                rv = join_generator(rv)
            stored = self._is_wanted(rv) and self._store(lookup, rv)
            if stored and self.is_unchanged(args, kwargs):
                self._remember(lookup, lookup.key, args, kwargs)
        return self._deliver(rv)

    def _is_wanted(self, rv: Any) -> bool:
        if self.response_filter is not None:
            filtered = rv.get_response() if isinstance(rv, HTTPException) else rv
            if not self.response_filter(filtered):
                return False
        reason = why_not_storable(rv, is_view=self.stores_http_exceptions)
        if reason:
            self.note_once(
                reason, "The response of %s is served but not cached: %s.", self.name, reason
            )
        return reason is None

    def _store(self, lookup: Lookup, rv: Any) -> bool:
        state, backend, key, computation = (
            lookup.state,
            lookup.backend,
            lookup.key,
            lookup.computation,
        )
        assert state is not None
        assert key is not None
        assert computation is not None
        timeout = self.timeout_of(rv)
        try:
            with computation.lock:
                if computation.superseded:
                    return False
                if self.write(lookup, key, rv, timeout) is False:
                    return False
        except UnstorableValueError as reason:
            self.note_once(
                "unstorable", "The result of %s is served but not cached: %s", self.name, reason
            )
        except Exception as error:
            state.failed(backend, error, "storing", self.name)
        else:
            if state.failures:
                state.worked(backend, "storing")
            return True
        return False

    def _deliver(self, value: Any) -> Any:
        if isinstance(value, HTTPException) and self.stores_http_exceptions:
            raise value
        return value

    @staticmethod
    def _end(lookup: Lookup) -> None:
        if lookup.computation is not None:
            assert lookup.state is not None
            lookup.state.in_flight.end(lookup.computation)

    def _signal(
        self,
        signal: NamedSignal,
        state: AppState,
        key: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        if state.enable_signals and signal.receivers:
            function = {"f": self.f} if self.signals_function else {}
            signal.send(cache=self.cache, cache_key=key, args=args, kwargs=kwargs, **function)

    # Small things both kinds of key need.

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
        digest = (self.hash_method or self.cache._hash_method_of(state))()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest

    def note_once(self, what: str, message: str, *arguments: Any) -> None:
        """Log a warning about this function, the first time only."""
        mark = object()
        if self._noted.setdefault(what, mark) is mark:
            logger.warning(message, *arguments)


def _asks(
    question: Callable[[Callable[..., Any]], bool], function: Callable[..., Any] | None
) -> bool:
    if function is None:
        return False
    try:
        return question(function)
    except (TypeError, ValueError):
        # A built-in without a signature.
        return False


def _is_hashable(key: object) -> bool:
    return isinstance(key, (str, Hashable))


def _in_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
