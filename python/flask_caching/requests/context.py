"""Which application, and which request, a call belongs to."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from flask import ctx, has_request_context, request
from werkzeug.local import LocalProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

__all__ = [
    "SESSION",
    "active_app",
    "active_context",
    "active_method",
    "active_request_context",
    "behind_proxies",
    "is_debugged",
    "name_of",
    "session_of",
]

#: Returns the active application context, which has the application in ``app``; its argument where
#: none is active, and an error or None where that is left out. One read of a context variable:
#: Flask's proxies cost a multiple of it.
active_context: Callable[..., Any]

#: Returns the active request context, which has the request in ``request``; its argument where none
#: is active.
active_request_context: Callable[..., Any]

try:
    from flask.globals import _cv_app
except ImportError:  # Flask 2.1 keeps its contexts on stacks.
    from flask.globals import _app_ctx_stack, _request_ctx_stack  # type: ignore[attr-defined]

    def _top_app_context(default: Any = None) -> Any:
        context = _app_ctx_stack.top
        return default if context is None else context

    def _top_request_context(default: Any) -> Any:
        context = _request_ctx_stack.top
        return default if context is None else context

    active_context = _top_app_context
    active_request_context = _top_request_context

else:
    active_context = _cv_app.get
    try:
        from flask.globals import _cv_request
    except ImportError:  # Later Flasks have one context for both.

        def _top_request_context(default: Any) -> Any:
            context: Any = _cv_app.get(default)
            return context if getattr(context, "has_request", False) else default

        active_request_context = _top_request_context
    else:
        active_request_context = _cv_request.get


_request_context: type = vars(ctx).get("RequestContext") or ctx.AppContext

#: The attribute in which a request context has the session, or None while it has none. Later Flasks
#: note who asks for it by its public name.
SESSION = (
    "_session" if isinstance(getattr(_request_context, "session", None), property) else "session"
)

#: Returns the session of a request context.
session_of: Callable[[Any], Any] = attrgetter(SESSION)


def active_app() -> Flask | None:
    """The application whose context is active, or None outside any."""
    context = active_context(None)
    if context is None:
        return None
    app: Flask = context.app
    return app


def behind_proxies(app: Flask) -> Flask:
    """The application that ``current_app``, or another proxy, stands for at the moment."""
    # Not by `isinstance`, which a proxy answers for what it stands for.
    while issubclass(type(app), LocalProxy):
        app = app._get_current_object()  # type: ignore[attr-defined]
    return app


def is_debugged(app: Any) -> bool:
    """Whether an application is in debug mode; what only looks like one need not say."""
    return bool(getattr(app, "debug", False))


def name_of(app: Any) -> str:
    """An application's name, for messages."""
    return str(getattr(app, "name", type(app).__name__))


def active_method() -> str | None:
    """The HTTP method of the active request, or None outside any."""
    return request.method if has_request_context() else None
