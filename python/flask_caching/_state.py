"""What one ``Cache`` knows about one application."""

from __future__ import annotations

import itertools
import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._inflight import InFlight
from .errors import CacheBackendError, CacheKeyError

if TYPE_CHECKING:
    from cachelib.serializers import BaseSerializer
    from flask import Flask

__all__ = ["AppState"]

logger = logging.getLogger("flask_caching")


@dataclass(eq=False)
class AppState:
    """The settings that apply while one application uses one ``Cache``.

    :param app: the application.
    :param hash_method: ``CACHE_HASH_METHOD``.
    :param source_check: ``CACHE_SOURCE_CHECK``.
    :param enable_signals: ``CACHE_ENABLE_SIGNALS``.
    :param serializer: what ``CACHE_SERIALIZER`` describes; None: the backend's own.
    """

    app: weakref.ref[Flask]
    hash_method: Callable[..., Any]
    source_check: bool
    enable_signals: bool
    serializer: BaseSerializer | None = None
    #: Unlike that of any other state.
    number: int = field(default_factory=itertools.count().__next__)
    in_flight: InFlight = field(default_factory=InFlight)
    #: The failures of an outage, which is two lines of log.
    failures: int = 0
    #: What fails, "reading" or "storing", and what has not failed since the outage began.
    _failing: set[str] = field(default_factory=set)
    _sound: set[str] = field(default_factory=set)
    #: The names of what keys were refused for.
    _refused: set[str] = field(default_factory=set)

    def failed(self, backend: Any, error: Exception, doing: str, name: str) -> None:
        """Note that the cache failed a decorated function; in debug mode, raise why.

        :param doing: "reading" or "storing": one may fail while the other works.
        :param name: what was read or stored.
        """
        app = self.app()
        if app is not None and app.debug:
            raise error
        if isinstance(error, CacheKeyError):
            # Of one key, not of the cache.
            if name not in self._refused:
                self._refused.add(name)
                logger.error("%s is not cached: %s", name, error)
            return
        is_news = doing not in self._failing and (not self._failing or doing in self._sound)
        self.failures += 1
        self._failing.add(doing)
        self._sound.discard(doing)
        if is_news and not (
            isinstance(error, CacheBackendError) and getattr(backend, "_logs_outages", False)
        ):
            logger.error(
                "The cache failed while %s %s: %s. Decorated functions run uncached until it works "
                "again.",
                doing,
                name,
                error,
                exc_info=error,
            )

    def worked(self, backend: Any, doing: str) -> None:
        """The cache answered after failures."""
        self._sound.add(doing)
        self._failing.discard(doing)
        if self._failing:
            return
        failures, self.failures = self.failures, 0
        self._sound.clear()
        if failures and not getattr(backend, "_logs_outages", False):
            logger.warning("The cache works again, after %d failed operations.", failures)
