"""Stored pages: made of responses, and made into responses.

How a page is laid out: the binding's ``pages/layout.rs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from werkzeug.wrappers import Response

__all__ = [
    "HEADERS",
    "IS_COMPLETE",
    "RENDITIONS",
    "STATUS",
    "Page",
    "body_of",
    "headers_of",
    "is_page",
    "response_of",
]

#: A page as it is stored.
Page = tuple[Any, ...]

#: Where in it its status and headers are; the bodies, as tuples of a coding, a body, an entity tag,
#: and headers; and whether a server sends the headers as they are.
STATUS, HEADERS, RENDITIONS, IS_COMPLETE = 1, 2, 9, 10
_LENGTH = 11


def is_page(value: Any) -> bool:
    """Whether what was found is a page: an application may store anything under any key."""
    return type(value) is tuple and len(value) == _LENGTH and value[0] == "page"


def body_of(page: Page) -> bytes:
    """The body of a page, in no coding."""
    body: bytes = page[RENDITIONS][0][1]
    return body


def response_of(cls: type[Response], page: Page) -> Response:
    """The response that a page was made of, of this class."""
    pairs = page[HEADERS]
    # As a list: a body by itself would be measured first.
    response = cls([body_of(page)], page[STATUS], headers_of(pairs))
    if len(response.headers._list) != len(pairs):
        # It was given a `Content-Type` that the application had taken away.
        response.headers._list[:] = pairs
    return response


def headers_of(pairs: Iterable[tuple[str, str]]) -> Headers:
    """The headers that ``pairs`` are; added one by one, they cost a multiple."""
    headers = Headers()
    headers._list[:] = pairs
    return headers
