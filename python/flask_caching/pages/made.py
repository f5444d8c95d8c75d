"""What Flask makes of the text that a view returns, learned once: to have it made anew takes longer
than to store a page."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any, NamedTuple

from flask import Flask, Response
from werkzeug.datastructures import Headers

__all__ = ["ResponseModel", "model_of"]

#: What the making of a response asks of its class: settings, which are to be plain values,
_SETTINGS = ("default_mimetype", "default_status", "automatically_set_content_length", "charset")
#: and what else, where none but Werkzeug is to have a say.
_MAKING = frozenset(
    {
        *("__init__", "__new__", "__setattr__", "__getattribute__", "__getattr__", "__class__"),
        *("set_data", "data", "get_data", "status", "status_code", "_status", "_status_code"),
        *("_clean_status", "headers", "response", "direct_passthrough", "_on_close", "__del__"),
        *("_charset", *_SETTINGS),
    }
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
    make = type(app).make_response
    if not (
        _has_no_say(cls)
        and all(_is_own(vars(Headers).get(name), Headers) for name in ("__init__", "__setitem__"))
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


def _has_no_say(cls: type) -> bool:
    """Whether a class of responses only says of what kind they are, but nothing of each."""
    flasks = Response.__mro__
    own = cls.__mro__[: -len(flasks)]
    return (
        type(cls) is type
        and cls.__mro__[len(own) :] == flasks
        and all(_is_setting(*it) for base in own for it in vars(base).items() if it[0] in _MAKING)
        and all(
            _is_setting(name, value) or _is_own(value, base)
            for base in flasks[:-1]
            for name, value in vars(base).items()
            if name in _MAKING
        )
    )


def _is_setting(name: str, value: Any) -> bool:
    return name in _SETTINGS and type(value) in (str, int, bool, type(None))


def _is_own(member: Any, cls: type) -> bool:
    """Whether a member of a class is the one that it was written with: nobody has put another in
    its place, or around it."""
    if isinstance(member, property):
        return all(_is_own(it, cls) for it in (member.fget, member.fset) if it is not None)
    module = vars(sys.modules[cls.__module__])
    return type(member) is FunctionType and member.__globals__ is module
