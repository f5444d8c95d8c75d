"""What one ``Cache`` knows about one application."""

from __future__ import annotations

import itertools
import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._inflight import InFlight
from .errors import CacheBackendError

if TYPE_CHECKING:
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
    """

    app: weakref.ref[Flask]
    hash_method: Callable[..., Any]
    source_check: bool
    enable_signals: bool
    #: Unlike that of any other state.
    number: int = field(default_factory=itertools.count().__next__)
    in_flight: InFlight = field(default_factory=InFlight)
    #: Failures of the cache since it last worked, so that an outage is two lines of log.
    failures: int = 0

    def failed(self, backend: Any, error: Exception, doing: str) -> None:
        """Note that the cache failed a decorated function; in debug mode, raise why."""
        app = self.app()
        if app is not None and app.debug:
            raise error
        self.failures += 1
        if self.failures == 1 and not (
            isinstance(error, CacheBackendError) and getattr(backend, "_logs_outages", False)
        ):
            logger.error(
                "The cache failed while %s: %s. Decorated functions run uncached until it works "
                "again.",
                doing,
                error,
                exc_info=error,
            )

    def worked(self, backend: Any) -> None:
        """The cache answered after failures."""
        failures, self.failures = self.failures, 0
        if failures and not getattr(backend, "_logs_outages", False):
            logger.warning("The cache works again, after %d failed operations.", failures)
