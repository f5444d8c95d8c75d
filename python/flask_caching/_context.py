"""Which application, and which request, a call belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import current_app, has_request_context, request

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["active_app", "active_method"]

try:
    # One read of a context variable; the proxies cost a multiple of it.
    from flask.globals import _cv_app
except ImportError:  # Flask 2.1 keeps its contexts on stacks.
    _cv_app = None  # type: ignore[assignment]


def active_app() -> Flask | None:
    """The application whose context is active, or None outside any."""
    if _cv_app is not None:
        context: Any = _cv_app.get(None)
        return None if context is None else context.app
    if not current_app:
        return None
    app: Flask = current_app._get_current_object()
    return app


def active_method() -> str | None:
    """The HTTP method of the active request, or None outside any."""
    return request.method if has_request_context() else None
