"""The header ``Server-Timing``: in debug mode, what the cache did for each response."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flask import request

from .context import active_request_context

if TYPE_CHECKING:
    from flask import Flask, Response

    from ..cache import Cache

__all__ = ["add_server_timing", "note"]

#: Where a request, and an application, keeps what is known of them.
_TALLY = "flask_caching.tally"
_ADDED = "flask_caching.server_timing"


class _Tally:
    """What the cache did for one request; views may run in several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {"hits": 0, "misses": 0}
        self._seconds = 0.0

    def note(self, event: str | None, seconds: float) -> None:
        with self._lock:
            self._seconds += seconds
            if event is not None:
                self._counts[event] = self._counts.get(event, 0) + 1

    def header(self) -> str:
        with self._lock:
            said = [_said(event, count) for event, count in self._counts.items() if count]
            milliseconds = self._seconds * 1000
        return f'cache;desc="{", ".join(said) or "not asked"}";dur={milliseconds:.3g}'


def _said(event: str, count: int) -> str:
    singular = {"hits": "hit", "misses": "miss"}.get(event, event)
    return f"{count} {singular if count == 1 else event}"


def add_server_timing(app: Flask, cache: Cache) -> None:
    """Let an application in debug mode say what its caches did for a request, from now on.

    Outside debug mode nothing is added, and nothing is asked at a response.
    """
    if not app.debug:
        return
    cache._flags.watch()
    if not app.extensions.get(_ADDED):
        app.extensions[_ADDED] = True
        # Not by its decorator, which an application that has answered a request refuses.
        app.after_request_funcs.setdefault(None, []).append(_add_header)


def _add_header(response: Response) -> Response:
    tally = request.environ.get(_TALLY) or _Tally()
    response.headers.add("Server-Timing", tally.header())
    return response


def note(event: str | None, seconds: float = 0.0) -> None:
    """Note that the cache did something for the active request, if there is one.

    :param event: "hits", "misses" or the like; None: it took time only.
    :param seconds: how long it took.
    """
    context: Any = active_request_context(None)
    if context is None:
        return
    # In the environment, which copies of the context share.
    tally = context.request.environ.setdefault(_TALLY, _Tally())
    tally.note(event, seconds)
