"""What Flask makes of the text that a view returns, learned once: to have it made anew takes longer
than to store a page."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

__all__ = ["ResponseModel", "model_of"]

#: What the making of a response asks of its class.
_MAKING = (
    *("__init__", "__new__", "__setattr__", "__getattribute__", "set_data", "data"),
    *("status", "status_code", "headers", "response", "direct_passthrough", "_on_close"),
)
#: The attributes of one that was made, in their order.
_ATTRIBUTES = (
    *("headers", "_status", "_status_code", "direct_passthrough", "_on_close", "response"),
)
#: A text whose bytes tell in which encoding they are.
_SAMPLE = "\xe4"


class ResponseModel(NamedTuple):
    """What all responses have in common that an application makes of texts."""

    headers_class: type
    status: str
    code: int
    #: Names and values of their headers; None in place of the length of the body.
    pairs: tuple[tuple[str, str | None], ...]


def model_of(app: Flask) -> ResponseModel | None:
    """What all responses have in common that an application makes of texts; None: something else
    has a say about that."""
    cls: Any = app.response_class
    init, make = cls.__init__, type(app).make_response
    if not (
        type(cls) is type
        and all(getattr(cls, name, None) is getattr(Response, name, None) for name in _MAKING)
        and _is_own(init, Response)
        and _is_own(make, Flask)
        and "make_response" not in vars(app)
    ):
        return None
    sample = app.make_response(_SAMPLE)
    values, body = vars(sample), _SAMPLE.encode()
    headers: Any = values.get("headers")
    if not (
        type(sample) is cls
        and tuple(values) == _ATTRIBUTES
        and values["response"] == [body]
        and values["_on_close"] == []
        and values["direct_passthrough"] is False
        and type(headers) is Headers
        and list(vars(headers)) == ["_list"]
    ):
        return None
    length = ("Content-Length", str(len(body)))
    pairs = tuple((pair[0], None if pair == length else pair[1]) for pair in headers)
    return ResponseModel(Headers, values["_status"], values["_status_code"], pairs)


def _is_own(function: Callable[..., Any], cls: type) -> bool:
    """Whether a method is the one that a class was written with: nobody has put another in its
    place, or around it."""
    module = vars(sys.modules[cls.__module__])
    return type(function) is FunctionType and function.__globals__ is module
