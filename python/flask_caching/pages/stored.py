"""Stored pages: made of responses, and made into responses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug.datastructures import Headers

from .._engine import page_clock, page_etag
from .rules import HOP_BY_HOP, tokens

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.wrappers import Response

    from .options import PageOptions

__all__ = ["Taken", "added_headers", "headers_of", "is_as_it_was", "page_of", "response_of", "take"]

#: A page as it is stored: see the binding's `pages`.
Page = tuple[str, str, tuple[Any, ...], tuple[Any, ...], bytes, str, int, int]


class Taken(NamedTuple):
    """What of a response is stored: immutable, whatever becomes of the response."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def take(response: Response) -> Taken:
    """What a response is made of, without the headers that are about one connection."""
    left_out = HOP_BY_HOP.union(tokens(response.headers.getlist("Connection")))
    pairs = [pair for pair in response.headers.to_wsgi_list() if pair[0].lower() not in left_out]
    return Taken(response.status, tuple(pairs), response.get_data())


def page_of(taken: Taken, options: PageOptions, lifetime: float) -> Page:
    """The page that is stored.

    :param lifetime: seconds; 0: for ever.
    """
    added, etag = added_headers(Headers(taken.headers), taken.status, taken.body, options)
    return (
        "page",
        taken.status,
        taken.headers,
        tuple(added),
        taken.body,
        etag,
        page_clock(),
        int(lifetime * 1000),
    )


def added_headers(
    headers: Headers, status: str, body: bytes, options: PageOptions, etag: str | None = None
) -> tuple[list[tuple[str, str]], str]:
    """The headers that an answer gets beside its own, and its entity tag.

    :param etag: that of the body, where it is known.
    """
    added = []
    own = headers.get("ETag")
    if own is None and options.etag and status.startswith("200"):
        own = etag or page_etag(body)
        added.append(("ETag", own))
    named = tokens(headers.getlist("Vary"))
    vary = [name for name in options.vary if name.lower() not in named]
    if options.cookies and "cookie" not in named:
        vary.append("Cookie")
    if vary and "*" not in named:
        added.append(("Vary", ", ".join(vary)))
    return added, own or ""


def response_of(app: Flask, page: Page) -> Response:
    """The response that a page was made of."""
    # As a list: a body by itself would be measured first.
    response = app.response_class([page[4]], page[1])
    response.headers = headers_of(page[2])
    return response


def headers_of(pairs: Iterable[tuple[str, str]]) -> Headers:
    """The headers that ``pairs`` are; added one by one, they cost a multiple."""
    headers = Headers()
    headers._list[:] = pairs
    return headers


def is_as_it_was(response: Response, page: Page) -> bool:
    """Whether hooks have left alone what :func:`response_of` has made of a page."""
    parts: Any = response.response
    return (
        type(parts) is list
        and len(parts) == 1
        and parts[0] is page[4]
        and response.status == page[1]
        and response.headers._list == list(page[2])
    )
