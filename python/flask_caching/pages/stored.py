"""Stored pages: made of responses, and made into responses.

How a page is laid out: the binding's ``pages/layout.rs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug.datastructures import Headers

from .._engine import PageHeaders

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Flask
    from werkzeug.wrappers import Response

__all__ = [
    "HEADERS",
    "IS_COMPLETE",
    "RENDITIONS",
    "STATUS",
    "Page",
    "Taken",
    "body_of",
    "headers_of",
    "is_as_it_was",
    "is_page",
    "response_of",
    "take",
]

#: A page as it is stored.
Page = tuple[Any, ...]

#: Where in it its status and headers are; the bodies, as tuples of a coding, a body, an entity tag,
#: and headers; and whether a server sends the headers as they are.
STATUS, HEADERS, RENDITIONS, IS_COMPLETE = 1, 2, 9, 10
_LENGTH = 11


class Taken(NamedTuple):
    """What of a response is stored: immutable, whatever becomes of the response."""

    status: str
    headers: PageHeaders
    body: bytes


def is_page(value: Any) -> bool:
    """Whether what was found is a page: an application may store anything under any key."""
    return type(value) is tuple and len(value) == _LENGTH and value[0] == "page"


def take(response: Response, headers: PageHeaders) -> Taken:
    """What a response is made of.

    :param headers: its headers.
    """
    parts: Any = response.response
    if type(parts) is list and len(parts) == 1 and type(parts[0]) is bytes:
        return Taken(response.status, headers, parts[0])
    return Taken(response.status, headers, response.get_data())


def body_of(page: Page) -> bytes:
    """The body of a page, in no coding."""
    body: bytes = page[RENDITIONS][0][1]
    return body


def response_of(app: Flask, page: Page) -> Response:
    """The response that a page was made of."""
    # As a list: a body by itself would be measured first.
    return app.response_class([body_of(page)], page[STATUS], headers_of(page[HEADERS]))


def headers_of(pairs: Iterable[tuple[str, str]]) -> Headers:
    """The headers that ``pairs`` are; added one by one, they cost a multiple."""
    headers = Headers()
    headers._list[:] = pairs
    return headers


def is_as_it_was(
    response: Response, status: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> bool:
    """Whether a response still has what was taken from it, or what it was made of."""
    parts: Any = response.response
    return (
        type(parts) is list
        and len(parts) == 1
        and parts[0] is body
        and response.status == status
        and tuple(response.headers._list) == headers
    )
