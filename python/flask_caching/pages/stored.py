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
    "RENDITIONS",
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

#: Where in it the bodies are: tuples of a coding, a body, an entity tag, and headers.
RENDITIONS = 9
_STATUS, _HEADERS, _LENGTH = 1, 2, 10


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
    return Taken(response.status, headers, response.get_data())


def body_of(page: Page) -> bytes:
    """The body of a page, in no coding."""
    body: bytes = page[RENDITIONS][0][1]
    return body


def response_of(app: Flask, page: Page) -> Response:
    """The response that a page was made of."""
    # As a list: a body by itself would be measured first.
    return app.response_class([body_of(page)], page[_STATUS], headers_of(page[_HEADERS]))


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
        and parts[0] is body_of(page)
        and response.status == page[_STATUS]
        and response.headers._list == list(page[_HEADERS])
    )
