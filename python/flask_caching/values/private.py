"""Which answers of a view are for one visitor alone, by what they say themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

__all__ = ["why_private"]

#: What begins the directives of `Cache-Control` that keep shared caches away.
_FOR_NOBODY_ELSE = ("private", "no-store")


def why_private(rv: Any) -> str | None:
    """Why what a view returned must not be given to another visitor; None where nothing says so.

    :param rv: what the view returned, or the :class:`HTTPException` that it raised.
    """
    if type(rv) is str:
        return None
    for name, value in _headers(rv):
        name = name.lower()
        if name == "set-cookie":
            return "it sets a cookie"
        if name == "cache-control":
            for directive in _tokens(value):
                kind = directive.partition("=")[0].strip()
                if kind in _FOR_NOBODY_ELSE:
                    return f"its Cache-Control says {kind}"
        if name == "vary" and "cookie" in _tokens(value):
            return "it says Vary: Cookie itself"
    return None


def _tokens(value: Any) -> list[str]:
    return [token.strip() for token in str(value).lower().split(",")]


def _headers(rv: Any) -> Iterator[tuple[str, Any]]:
    """The headers of what a view returned, whichever way it says them."""
    if isinstance(rv, tuple) and rv:
        # A body, and after it a status, headers, or both.
        for given in rv[1:3]:
            yield from _pairs(given)
        rv = rv[0]
    if isinstance(rv, HTTPException):
        if rv.response is None:
            yield from _pairs(rv.get_headers())
            return
        rv = rv.response
    if isinstance(rv, Response):
        yield from rv.headers


def _pairs(given: Any) -> Iterator[tuple[str, Any]]:
    """The headers in a mapping of them to a value or several, or in a list of pairs."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        return
    items = getattr(given, "items", None)
    for item in given if items is None else items():
        if isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], str):
            name, value = item
            for one in value if isinstance(value, (tuple, list, set)) else (value,):
                yield name, one
