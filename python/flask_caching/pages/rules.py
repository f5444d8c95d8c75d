"""Which answers may be stored: RFC 9111 for a shared cache in an origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from .._engine import PageHeaders
    from .options import PageOptions

__all__ = ["bypassed", "why_not_stored"]

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


def why_not_stored(
    response: Response,
    headers: PageHeaders,
    options: PageOptions,
    is_authorized: bool,
    most_bytes: int,
) -> str | None:
    """Why an answer is not stored, in one word or a few with dashes; None: it may be.

    :param response: the answer.
    :param headers: its headers.
    :param is_authorized: whether the request had ``Authorization``.
    :param most_bytes: the largest body.
    """
    if response.status_code not in options.statuses:
        return "status"
    if headers.sets_cookie:
        return "set-cookie"
    vary = headers.vary
    if "*" in vary:
        return "vary-star"
    if "cookie" in vary and not options.cookies:
        return "vary-cookie"
    forbidden = headers.forbidden_by
    if forbidden is not None:
        return forbidden
    if is_authorized and not headers.is_for_all:
        return "authorization"
    return _why_not_kept(response, most_bytes)


def _why_not_kept(response: Response, most_bytes: int) -> str | None:
    """The same, by the way in which its body is produced."""
    if response.direct_passthrough or response.is_streamed:
        return "streamed"
    if getattr(response, "_on_close", None):
        return "call-on-close"
    if sum(len(part) for part in response.response) > most_bytes:
        return "too-large"
    return None
