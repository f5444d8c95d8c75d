"""What one ``Cache`` knows about one application."""

from __future__ import annotations

import itertools
import logging
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .._engine import CacheFlags
from ..backends.spec import seconds_of
from ..errors import CacheBackendError, CacheKeyError
from ..pages.settings import PageSettings
from ..requests.context import is_debugged, name_of
from .port import Port

if TYPE_CHECKING:
    from cachelib.serializers import BaseSerializer
    from flask import Flask

    from ..cache import Cache

__all__ = ["AppState", "AppStates"]

logger = logging.getLogger("flask_caching")

_numbers = itertools.count()

#: Of how many functions it is known that the log says why their calls are not cached.
_MOST_NAMES = 1000


class AppState:
    """The settings that apply while one application uses one ``Cache``.

    They have the names of the ``CACHE_*`` values; durations are seconds, 0 for none.

    :param cache: the cache.
    :param config: the configuration.
    :param serializer: what ``CACHE_SERIALIZER`` describes; None: the backend's own.
    :param pages: what is about pages.
    """

    #: The application, once it is one of :class:`AppStates`.
    app: weakref.ref[Flask]
    #: Its name, as it was then: to ask for it takes a call.
    app_name: str
    #: What was given to the cache and to ``init_app``, the later over the earlier, both over the
    #: application's own.
    layers: tuple[Mapping[str, Any] | None, ...] = (None,)
    #: How many operations failed in the present outage, of which only beginning and end are logged.
    failures = 0

    def __init__(
        self,
        cache: Cache,
        config: Mapping[str, Any],
        serializer: BaseSerializer | None,
        pages: PageSettings,
    ) -> None:
        self.cache = cache
        self.config = {name: value for name, value in config.items() if name[:6] == "CACHE_"}
        self.serializer = serializer
        self.pages = pages
        self.hash_method: Callable[..., Any] = config["CACHE_HASH_METHOD"]
        self.source_check = bool(config["CACHE_SOURCE_CHECK"])
        self.enable_signals = bool(config["CACHE_ENABLE_SIGNALS"])
        self.store_private = bool(config["CACHE_STORE_PRIVATE"])
        self.single_flight = bool(config["CACHE_SINGLE_FLIGHT"])
        self.wait = seconds_of(config["CACHE_WAIT"])
        self.stats_shared = seconds_of(config["CACHE_STATS_SHARED"])
        self.stale_while_revalidate = seconds_of(config["CACHE_STALE_WHILE_REVALIDATE"] or 0)
        self.stale_if_error = seconds_of(config["CACHE_STALE_IF_ERROR"] or 0)
        self.stale_retry = seconds_of(config["CACHE_STALE_RETRY"])
        self.refresh_workers: int = config["CACHE_REFRESH_WORKERS"]
        self.jitter = float(config["CACHE_JITTER"])
        #: Whether entries are kept for longer, or shorter, than their timeout says.
        self.has_conditions = bool(
            self.stale_while_revalidate or self.stale_if_error or self.jitter
        )
        self.lease = bool(config["CACHE_LEASE"])
        self.lease_ttl = seconds_of(config["CACHE_LEASE_TTL"])
        #: A number that no other state has.
        self.number = next(_numbers)
        self._ports: dict[tuple[int, bool], Port] = {}
        #: What fails, "reading" or "storing", and what has not failed since the outage began.
        self._failing: set[str] = set()
        self._sound: set[str] = set()
        #: The names of what keys were refused for.
        self._refused: set[str] = set()

    def for_cache(self, cache: Cache) -> AppState:
        """These settings for another cache."""
        other = AppState(cache, self.config, self.serializer, self.pages)
        other.enable_signals, other.layers = self.enable_signals, self.layers
        return other

    @property
    def _flags(self) -> CacheFlags:
        return self.cache._flags

    def port(self, backend: Any, replaced: int, none_is_miss: bool) -> Port:
        """The way to the backend; see :class:`Port`."""
        port = self._ports.get((replaced, none_is_miss))
        if port is None or port.backend is not backend:
            port = Port(self.cache, backend, replaced, none_is_miss)
            self._ports[replaced, none_is_miss] = port
        return port

    def failed(self, backend: Any, error: Exception, access: str, name: str) -> None:
        """Note that the cache failed a decorated function; in debug mode, raise why.

        :param access: "reading" or "storing": one may fail while the other works.
        :param name: what was read or stored.
        """
        app = self.app()
        if is_debugged(app):
            raise error
        if isinstance(error, CacheKeyError):
            # Of one key, not of the cache.
            if name not in self._refused:
                if len(self._refused) >= _MOST_NAMES:
                    self._refused.clear()
                self._refused.add(name)
                logger.error("%s is not cached: %s", name, error)
            return
        is_news = access not in self._failing and (not self._failing or access in self._sound)
        self.failures += 1
        if app is not None:
            self._flags.note_outage(self.number, True)
        self._failing.add(access)
        self._sound.discard(access)
        if is_news and not (
            isinstance(error, CacheBackendError) and getattr(backend, "_logs_outages", False)
        ):
            logger.error(
                "The cache failed while %s %s: %s. Decorated functions run uncached until it works "
                "again.",
                access,
                name,
                error,
                exc_info=error,
            )

    def worked(self, backend: Any, access: str) -> None:
        """Note that the cache answered: after failures, this may end the outage."""
        if not self.failures:
            return
        self._sound.add(access)
        self._failing.discard(access)
        if self._failing:
            return
        failures, self.failures = self.failures, 0
        self._flags.note_outage(self.number, False)
        self._sound.clear()
        if not getattr(backend, "_logs_outages", False):
            logger.warning("The cache works again, after %d failed operations.", failures)


class AppStates:
    """The states of one ``Cache``, one for each application, for as long as that lives."""

    def __init__(self) -> None:
        # By the application's id: a WeakKeyDictionary costs a third of a call of a function that is
        # not answered natively.
        self._by_id: dict[int, AppState] = {}

    def add(self, app: Flask, state: AppState) -> None:
        """Keep the state of an application, in place of an earlier one."""
        by_id, key = self._by_id, id(app)

        def forget(_: object) -> None:
            gone = by_id.pop(key, None)
            if gone is not None:
                # An outage ends with its application.
                gone._flags.note_outage(gone.number, False)

        earlier = by_id.get(key)
        state.app, state.app_name = weakref.ref(app, forget), name_of(app)
        by_id[key] = state
        if earlier is not None:
            earlier._flags.note_outage(earlier.number, False)

    def __getitem__(self, app: Flask) -> AppState:
        """The state of an application; a ``KeyError`` where it has none."""
        state = self._by_id[id(app)]
        if state.app() is not app:
            raise KeyError(app)
        return state

    def find(self, app: Flask) -> AppState | None:
        """The state of an application, if it has one."""
        return next((state for state in self if state.app() is app), None)

    def __iter__(self) -> Iterator[AppState]:
        return iter(list(self._by_id.values()))
