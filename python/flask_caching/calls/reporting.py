"""What is logged and signalled of the calls of a function."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import UnstorableValueError
from ..requests.context import active_app, is_debugged
from ..requests.server_timing import note
from ..signals import cache_stale
from . import refresh

if TYPE_CHECKING:
    from blinker import NamedSignal

    from .._engine import Road
    from ..cache import Cache
    from ..extension.state import AppState

__all__ = ["Reporting"]

logger = logging.getLogger("flask_caching")


class Reporting:
    """The part of a policy that tells of calls.

    :param cache: the cache that the function was decorated with.
    :param f: the undecorated function.
    """

    #: What tells of calls, by what they came to.
    signals: ClassVar[dict[str, NamedSignal]] = {"stale": cache_stale}
    #: Whether receivers of hits and misses are given ``f``: a receiver need not take what is not
    #: sent.
    signals_function = False
    road: Road

    def __init__(self, cache: Cache, f: Callable[..., Any]) -> None:
        self.cache = cache
        self.f = f
        self.name = getattr(f, "__qualname__", repr(f))
        self._noted: dict[str, object] = {}

    def note_unstorable(self, reason: UnstorableValueError) -> None:
        """The result cannot be stored, nor can what is there in its place."""
        self.road.note_refusal(f"it cannot be stored: {reason}")
        self.note_once(
            "unstorable", "The result of %s is served but not cached: %s", self.name, reason
        )

    def signal(
        self,
        event: str,
        state: AppState,
        key: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Note what a call came to, and send its signal, if somebody listens.

        :param event: as statistics call it: "hits", "misses" or "stale".
        """
        note(event)
        signal = self.signals.get(event)
        if signal is not None and state.enable_signals and signal.receivers:
            function = {"f": self.f} if self.signals_function or event == "stale" else {}
            signal.send(cache=self.cache, cache_key=key, args=args, kwargs=kwargs, **function)

    def note_spent(self, seconds: float) -> None:
        """A look-up or a write took so long."""
        note(None, seconds)

    def hear(self, event: str) -> None:
        """A call came to this, see :meth:`signal`; asked where the policy ``listens``."""

    def note_failed_refresh(self, state: AppState, backend: Any, key: Any, error: Any) -> None:
        """The old value stands: log why, once until it is refreshed again."""
        refresh.fail(backend, key, state.stale_retry)
        if self._is_news("refresh"):
            logger.error(
                "%s could not be refreshed: %s. Its old value is answered while that is allowed.",
                self.name,
                f"{type(error).__name__}: {error}" if isinstance(error, Exception) else error,
                exc_info=error if isinstance(error, Exception) else None,
            )

    def note_refreshed(self) -> None:
        """The call that had an old value is over without it."""
        self._noted.pop("refresh", None)

    def stand_aside(self, what: str, error: Exception) -> None:
        """Let a call run uncached that the application's own code cannot be asked about.

        The one rule for all that an application is asked before its function runs, but for
        ``unless``, which decides whether there is a cache at all.

        :param what: what it was asked for: the log has one line for each.
        :raises Exception: the error, in debug mode.
        """
        app = active_app() or getattr(self.cache, "app", None)
        if is_debugged(app):
            raise error
        if self._is_news(what):
            logger.error(
                "%s runs uncached, because its %s cannot be had: %s: %s",
                self.name,
                what,
                type(error).__name__,
                error,
                exc_info=error,
            )

    def note_no_leases(self, backend: Any) -> None:
        """The backend cannot tell who computes."""
        self.note_once(
            "no leases",
            "%s has no lease: %s has no add() that is atomic, so each process computes by itself.",
            self.name,
            type(backend).__name__,
        )

    def note_no_metadata(self, has_tags: bool) -> None:
        """The backend does not keep what its entries depend on."""
        self.note_once(
            "no metadata",
            "%s %s: the backend, or a method of the cache that was replaced, keeps no metadata.",
            self.name,
            "is not cached, as it has tags" if has_tags else "has no stale answers",
        )

    def note_once(
        self, what: str, message: str, *arguments: Any, level: int = logging.WARNING
    ) -> None:
        """Log something about this function, the first time only."""
        if self._is_news(what):
            logger.log(level, message, *arguments)

    def _is_news(self, what: str) -> bool:
        mark = object()
        return self._noted.setdefault(what, mark) is mark
