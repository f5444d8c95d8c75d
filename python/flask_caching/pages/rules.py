"""Which requests a page answers, and which bodies may be stored.

What headers say of that: the engine's ``page/facts.rs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werkzeug.wrappers import Response


__all__ = ["bypassed", "keeps_nothing", "why_not_kept"]

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
    return None


def why_not_kept(response: Response, most_bytes: int) -> str | None:
    """Why the body of an answer is not stored, in one word or a few with dashes; None: it may be.

    :param most_bytes: the largest.
    """
    parts: Any = response.response
    if response.direct_passthrough or (type(parts) is not list and response.is_streamed):
        return "streamed"
    if getattr(response, "_on_close", None):
        return "call-on-close"
    size = len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
    return "too-large" if size > most_bytes else None


def keeps_nothing(backend: Any) -> bool:
    """Whether a backend takes whatever it is given and has none of it, as ``NullCache``."""
    return bool(getattr(backend, "_keeps_nothing", False))
