"""The header ``Server-Timing``: in debug mode, what the cache did for each response."""

from __future__ import annotations

import functools
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flask import request

from .context import active_request_context

if TYPE_CHECKING:
    from flask import Flask

    from ..cache import Cache

__all__ = ["add_server_timing", "note"]

#: Where a request, and an application, keeps what is known of them.
_TALLY = "flask_caching.tally"
_ADDED = "flask_caching.server_timing"

#: Says for which request a page is looked up in front of Flask, where an application has such.
_in_front: ContextVar[tuple[Flask, dict[str, Any]] | None] | None = None


class _Tally:
    """What the cache did for one request; views may run in several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {"hits": 0, "misses": 0}
        self._seconds = 0.0

    def note(self, event: str | None, seconds: float, times: int = 1) -> None:
        with self._lock:
            self._seconds += seconds
            if event is not None:
                self._counts[event] = self._counts.get(event, 0) + times

    def header(self) -> str:
        with self._lock:
            said = [_said(event, count) for event, count in self._counts.items() if count]
            milliseconds = self._seconds * 1000
        spent = f"{milliseconds:.3g}" if milliseconds < 1000 else f"{milliseconds:.0f}"
        return f'cache;desc="{", ".join(said) or "not asked"}";dur={spent}'


def _said(event: str, count: int) -> str:
    singular = {"hits": "hit", "misses": "miss"}.get(event, event)
    return f"{count} {singular if count == 1 else event}"


def add_server_timing(app: Flask, cache: Cache) -> None:
    """Let an application in debug mode say what its caches did for a request, from now on.

    Outside debug mode nothing is added, and nothing is asked at a response.
    """
    global _in_front
    if not app.debug:
        return
    cache._flags.watch()
    if not cache._flags.has_replaced_proxies:
        # Where they are, calls of decorated functions go through them, and count already.
        cache._listen(_note_asked)
    front = cache._states[app].pages.front
    if front is not None:
        from ..pages.visitors import IN_FRONT

        _in_front = IN_FRONT
        front.say_timing(_header_in_front)
    if not app.extensions.get(_ADDED):
        app.extensions[_ADDED] = True
        app.process_response = _processing(app.process_response)  # type: ignore[method-assign]


def _processing(inner: Any) -> Any:
    # After all hooks, which may make another response, and after pages, which are not to store it.
    @functools.wraps(inner)
    def process_response(*args: Any) -> Any:
        response = inner(*args)
        tally = request.environ.get(_TALLY) or _Tally()
        response.headers.add("Server-Timing", tally.header())
        return response

    return process_response


def _header_in_front(environ: dict[str, Any], seconds: float) -> str:
    tally = environ.get(_TALLY)
    if tally is None:
        # Found without a question of which anybody hears.
        tally = _Tally()
        tally.note("hits", seconds)
    return str(tally.header())


def _note_asked(hits: int, misses: int, seconds: float) -> None:
    """Note what the application has asked for explicitly."""
    note("hits", seconds, hits)
    note("misses", 0.0, misses)


def note(event: str | None, seconds: float = 0.0, times: int = 1) -> None:
    """Note that the cache did something for the active request, if there is one.

    :param event: "hits", "misses" or the like; None: it took time only.
    :param seconds: how long it took.
    :param times: how often it did.
    """
    context: Any = active_request_context(None)
    if context is not None:
        # In the environment, which copies of the context share.
        environ = context.request.environ
    elif _in_front is not None and (asked := _in_front.get()) is not None:
        environ = asked[1]
    else:
        return
    environ.setdefault(_TALLY, _Tally()).note(event, seconds, times)
