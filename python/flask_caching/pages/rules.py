"""Which answers may be stored: RFC 9111 for a shared cache in an origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from .._engine import PageHeaders
    from .options import PageOptions

__all__ = ["bypassed", "why_not_kept", "why_not_shared"]

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


def why_not_shared(
    status: int, headers: PageHeaders, options: PageOptions, is_authorized: bool
) -> str | None:
    """Why an answer is not for others, in one word or a few with dashes; None: it may be.

    :param status: its status.
    :param headers: its headers.
    :param is_authorized: whether the request had ``Authorization``.
    """
    if status not in options.statuses:
        return "status"
    if headers.sets_cookie:
        return "set-cookie"
    vary = headers.vary
    if vary:
        if "*" in vary:
            return "vary-star"
        if "cookie" in vary and not options.cookies:
            return "vary-cookie"
    forbidden = headers.forbidden_by
    if forbidden is not None:
        return forbidden
    if is_authorized and not headers.is_for_all:
        return "authorization"
    return None


def why_not_kept(response: Response, most_bytes: int) -> str | None:
    """Why the body of an answer is not stored, likewise.

    :param most_bytes: the largest.
    """
    parts: Any = response.response
    if response.direct_passthrough or (type(parts) is not list and response.is_streamed):
        return "streamed"
    if getattr(response, "_on_close", None):
        return "call-on-close"
    size = len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
    return "too-large" if size > most_bytes else None
