"""What stands around an application: after its hooks, and in front of it."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from flask import Flask

from .._engine import MemoryBackend, NoteReads, PageFront, Turn
from ..errors import CacheConfigError
from ..requests.context import active_request_context, name_of
from ..requests.sessions import READS_ARE_TOLD, SessionReads
from .passage import passage_of
from .reads import noting_class, watch_own
from .visitors import IN_FRONT, TURN
from .wrapper import answer_error

if TYPE_CHECKING:
    from ..cache import Cache

__all__ = ["make_front", "watch_answers"]

logger = logging.getLogger("flask_caching")

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_CACHES = "_flask_caching_caches"
#: Where a context has what notes that its session is read.
_SESSION_READS = "_flask_caching_session_reads"


def watch_answers(app: Flask, cache: Cache) -> None:
    """Let pages see the answers of an application, after hooks and session, and which cookies and
    headers its hooks and views read."""
    caches = getattr(app.process_response, _CACHES, None)
    if caches is None:
        caches = []
        process = _processing(app.process_response, caches)
        setattr(process, _CACHES, caches)
        app.process_response = process  # type: ignore[method-assign]
        app.full_dispatch_request = _dispatching(app.full_dispatch_request)  # type: ignore[method-assign]
        app.handle_user_exception = _handling(app.handle_user_exception)  # type: ignore[method-assign]
        if not READS_ARE_TOLD:
            # It comes after all others, and before the session is saved.
            app.after_request_funcs.setdefault(None, []).insert(0, _end_session_reads)
    if not any(known is cache for known in caches):
        caches.append(cache)


def _processing(inner: Any, caches: list[Cache]) -> Any:
    @functools.wraps(inner)
    def process_response(*args: Any) -> Any:
        context = active_request_context(None)
        passage = passage_of(context)
        try:
            final = inner(*args)
        except BaseException:
            if passage is not None:
                passage.fail()
            raise
        if not READS_ARE_TOLD:
            # Somebody has left it out.
            _end_session_reads(final)
        if context.request.method not in _SAFE and 200 <= final.status_code < 400:
            for cache in caches:
                cache._forget_pages_of(context.request.environ)
        if passage is None:
            return final
        # What an error handler answers after this is no page of the view's.
        try:
            if not passage.conclude_plainly(context, args[-1], final):
                final = passage.conclude(context, args[-1], final)
        except BaseException:
            passage.fail()
            raise
        return final

    return process_response


def _dispatching(inner: Any) -> Any:
    note_reads = NoteReads(noting_class)

    @functools.wraps(inner)
    def full_dispatch_request(*args: Any) -> Any:
        context = active_request_context(None)
        # The session has read its cookie by now, which is no use of it.
        note_reads(context.request)
        watch_own(context.request)
        if READS_ARE_TOLD:
            return inner(*args)
        setattr(context, _SESSION_READS, SessionReads(context))
        try:
            return inner(*args)
        except BaseException:
            # Nobody watches any more what follows.
            _end_session_reads(None)
            raise

    return full_dispatch_request


def _end_session_reads(response: Any) -> Any:
    """A function that is called after requests, as the last one."""
    context = active_request_context(None)
    reads = vars(context).pop(_SESSION_READS, None)
    passage = passage_of(context)
    if reads is not None and reads.end() and passage is not None:
        passage.note_session()
    return response


def _handling(inner: Any) -> Any:
    @functools.wraps(inner)
    def handle_user_exception(*args: Any) -> Any:
        context = active_request_context(None)
        passage = passage_of(context)
        handle = functools.partial(inner, *args)
        if passage is None or not passage.waits_for(args[-1]):
            return handle()
        return answer_error(passage, context, handle)

    return handle_user_exception


def make_front(app: Flask, cache: Cache, says_status: bool, earlier: PageFront | None) -> PageFront:
    """Put pages in front of an application.

    :param earlier: what this cache has put there before.
    :raises CacheConfigError: something else is there already, which may change what a request says.
    """
    inner: Any = app.wsgi_app
    if isinstance(earlier, PageFront):
        # It stays where it was put.
        return earlier
    innermost = inner
    while isinstance(innermost, PageFront):
        innermost = innermost.app
    if getattr(innermost, "__func__", None) is not Flask.wsgi_app:
        raise CacheConfigError(
            "CACHE_PAGES_IN_FRONT is set, but app.wsgi_app is not Flask's own any more: "
            f"{type(innermost).__name__} may change what a request says, after the page was "
            "chosen. Call cache.init_app(app) first, and wrap app.wsgi_app then"
        )

    def look_up(road: Any, environ: dict[str, Any]) -> Any:
        method = environ["REQUEST_METHOD"]
        if cache._chooses_backend or TURN in environ or method not in ("GET", "HEAD"):
            # It is chosen by who asks, which Flask knows; or the page is being refreshed.
            return None
        backend, state = app.extensions["cache"][cache], cache._states[app]
        if isinstance(backend, MemoryBackend) and state.enable_signals:
            # Who hears them expects to be in the application.
            return None
        # As `visiting` does, which takes three times as long.
        token = IN_FRONT.set((app, environ))
        try:
            answer = road.begin((), {}, app.extensions, method, environ, state.app_name)
        finally:
            IN_FRONT.reset(token)
        if type(answer) is Turn:
            environ[TURN] = (road, answer)
        return answer

    def failed(error: Exception) -> None:
        logger.error("Pages in front of %s failed: %s", app.name, error, exc_info=error)

    front = PageFront(inner, (app.extensions, name_of(app)), look_up, failed, says_status)
    app.wsgi_app = front  # type: ignore[method-assign]
    return front
