"""Which answers of a view are not stored, whatever the backend could do with them."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

__all__ = ["why_not_storable"]

#: Answers to a conditional or partial request: right for that request alone.
_CONDITIONAL = frozenset({206, 304})


def why_not_storable(rv: Any) -> str | None:
    """Why what a function returned must not be stored.

    :param rv: a return value of a view, an :class:`HTTPException` included, or any other value.
    :return: None where it may be stored; ``""`` where it is an answer that is never stored and
        nobody
        needs to be told; otherwise the reason.
    """
    response = rv[0] if type(rv) is tuple and rv else rv
    if isinstance(response, HTTPException) and response.response is not None:
        response = response.response
    if _status(rv, response) in _CONDITIONAL:
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


def _status(rv: Any, response: Any) -> int | None:
    status: Any = None
    if type(rv) is tuple and len(rv) > 1 and not isinstance(rv[1], (dict, list, tuple)):
        status = rv[1]
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
