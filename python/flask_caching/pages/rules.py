"""Which requests a page answers.

Which answers are stored: the binding's ``pages/taken.rs``; what headers say of that: the
engine's ``page/facts.rs``.
"""

from __future__ import annotations

from typing import Any

__all__ = ["bypassed", "is_authorized", "keeps_nothing"]

#: Requests with these headers want what the origin alone can decide.
_FOR_THE_ORIGIN = {
    "HTTP_RANGE": "range",
    "HTTP_IF_MATCH": "if-match",
    "HTTP_IF_UNMODIFIED_SINCE": "if-unmodified-since",
    "HTTP_TRANSFER_ENCODING": "request-body",
}


def bypassed(method: str, environ: dict[str, Any]) -> str | None:
    """Why a request is neither answered from the cache nor fills it; None: nothing is unusual."""
    if method not in ("GET", "HEAD") or environ.get("REQUEST_METHOD") != method:
        return "method"
    for name, reason in _FOR_THE_ORIGIN.items():
        if name in environ:
            return reason
    if environ.get("CONTENT_LENGTH") not in (None, "", "0"):
        return "request-body"
    if "websocket" in environ.get("HTTP_UPGRADE", "").lower():
        # An application may have another route for it.
        return "upgrade"
    return None


def is_authorized(environ: dict[str, Any]) -> bool:
    """Whether the visitor has said who he is, to the application or to the server before it."""
    return "HTTP_AUTHORIZATION" in environ or bool(environ.get("REMOTE_USER"))


def keeps_nothing(backend: Any) -> bool:
    """Whether a backend takes whatever it is given and has none of it, as ``NullCache``."""
    return bool(getattr(backend, "_keeps_nothing", False))
