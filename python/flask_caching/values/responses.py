"""Which answers of a view are not stored, whatever the backend could do with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

__all__ = ["is_server_error", "why_not_storable"]

#: Answers to a conditional or partial request: right for that request alone.
_CONDITIONAL = frozenset({206, 304})

#: What the first of a tuple may be that a view returns.
_BODIES = (str, bytes, bytearray, dict, list, Response, Iterator)


def why_not_storable(rv: Any, is_view: bool) -> str | None:
    """Why what a function returned must not be stored.

    :param rv: a return value of a view, an :class:`HTTPException` included, or any other value.
    :param is_view: whether a tuple is a response, its status and its headers.
    :return: None where it may be stored; ``""`` where it is an answer that is never stored and
        nobody needs to be told; otherwise the reason.
    """
    parts, response = _parts(rv, is_view)
    if _status(parts, response) in _CONDITIONAL:
        return ""
    if not isinstance(response, Response):
        return None
    if response.direct_passthrough:
        return "it sends a file"
    if response.is_streamed:
        return "it is streamed"
    if getattr(response, "_on_close", None):
        return "it has functions to call when it is closed"
    return None


def is_server_error(rv: Any) -> bool:
    """Whether what a view returned says that the server failed: a status of 500 or more."""
    status = _status(*_parts(rv, True))
    return status is not None and status >= 500


def _parts(rv: Any, is_view: bool) -> tuple[tuple[Any, ...], Any]:
    parts = rv if is_view and type(rv) is tuple and rv and isinstance(rv[0], _BODIES) else (rv,)
    response = parts[0]
    if isinstance(response, HTTPException) and response.response is not None:
        response = response.response
    return parts, response


def _status(parts: tuple[Any, ...], response: Any) -> int | None:
    status: Any = None
    if len(parts) > 1 and not isinstance(parts[1], (dict, list, tuple)):
        status = parts[1]
    elif isinstance(response, Response):
        status = response.status_code
    elif isinstance(response, HTTPException):
        status = response.code
    if isinstance(status, str):
        status = status.partition(" ")[0]
    try:
        return None if status is None else int(status)
    except (TypeError, ValueError):
        return None
