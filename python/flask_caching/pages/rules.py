"""Which answers may be stored, and for how long: RFC 9111 for a shared cache in an origin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._engine import MISSING, page_seconds_until

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from .options import PageOptions

__all__ = ["HOP_BY_HOP", "bypassed", "directives", "freshness", "tokens", "why_not_stored"]

#: RFC 9110, 7.6.1, and what earlier ones named.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

#: What keeps shared caches away.
_FOR_NOBODY_ELSE = ("no-store", "private", "no-cache")

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


def tokens(values: Iterable[str]) -> list[str]:
    """The members of a header that is a list of names, in lower case."""
    return [token.strip().lower() for value in values for token in value.split(",")]


def directives(response: Response) -> dict[str, list[str]]:
    """The directives of ``Cache-Control`` and their values; one without a value has ``''``."""
    found: dict[str, list[str]] = {}
    for value in response.headers.getlist("Cache-Control"):
        for directive in _split(value):
            name, _, argument = directive.partition("=")
            found.setdefault(name.strip().lower(), []).append(argument.strip().strip('"'))
    return found


def _split(value: str) -> list[str]:
    """The members of a list, whose quoted parts may have commas."""
    members, quoted, start = [], False, 0
    for at, character in enumerate(value):
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            members.append(value[start:at])
            start = at + 1
    return [*members, value[start:]]


def why_not_stored(
    response: Response, options: PageOptions, is_authorized: bool, most_bytes: int
) -> str | None:
    """Why an answer is not stored, in one word or a few with dashes; None: it may be.

    :param response: the answer, as it leaves the application.
    :param is_authorized: whether the request had ``Authorization``.
    :param most_bytes: the largest body.
    """
    headers = response.headers
    if response.status_code not in options.statuses:
        return "status"
    if "Set-Cookie" in headers:
        return "set-cookie"
    vary = tokens(headers.getlist("Vary"))
    if "*" in vary:
        return "vary-star"
    if "cookie" in vary and not options.cookies:
        return "vary-cookie"
    control = directives(response)
    for name in _FOR_NOBODY_ELSE:
        if name in control:
            return name
    if is_authorized and "public" not in control and "s-maxage" not in control:
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


def freshness(response: Response, default: Any) -> Any:
    """How long an answer may be stored: seconds, or ``default`` where it does not say; ``MISSING``:
    it is stale at once."""
    control = directives(response)
    for name in ("s-maxage", "max-age"):
        if name in control:
            # The shortest, where there are several; what is no number is stale.
            values = control[name]
            if not all(value.isascii() and value.isdigit() for value in values):
                return MISSING
            return min(min(int(value) for value in values), 1 << 31) or MISSING
    expires = response.headers.get("Expires")
    if expires is not None:
        left = page_seconds_until(expires)
        return left if left is not None and left > 0 else MISSING
    return default
