"""Answers as they are sent."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

from ..requests.look_alike import look_alike
from .stored import IS_COMPLETE, headers_of

if TYPE_CHECKING:
    from .stored import Page

__all__ = ["completes_itself", "send", "sending_class", "twin"]

#: Where a response has what is sent of it, as the binding's ``pages/taken.rs`` knows.
_SENT = "_flask_caching_sent"

#: What makes of a response what is sent, as Werkzeug has it: whoever puts something else there has
#: a say about that.
_SENDING = {
    name: getattr(Response, name)
    for name in (
        *("__call__", "get_wsgi_response", "get_wsgi_headers", "get_app_iter", "iter_encoded"),
        "close",
    )
}


def send(response: Response, answer: Any, page: Page, environ: dict[str, Any]) -> Response:
    """Make a response the answer that stands in front of Flask, given from within.

    :param answer: its status, headers and body.
    :param page: the page that it was made of.
    :param environ: the request's.
    """
    status, headers, body = answer
    response.headers._list[:] = headers
    if status[:3] == "304":
        response.status_code = 304
        response.response = body
    elif body:
        response.response = body
    if page[IS_COMPLETE] and not getattr(response, "_on_close", True):
        # Nothing is left for it to complete, which takes longer than all the rest.
        cls: Any = type(response)
        sending = sending_class(cls)
        if sending is not None:
            response.__class__ = sending
            response.__dict__[_SENT] = (environ, *answer, response.response)
    return response


def twin(response: Response) -> Response:
    """The same response once more, which can be changed where that one must not be."""
    cls: Any = type(response)
    made: Any = object.__new__(cls)
    made.__dict__.update(response.__dict__)
    for base in cls.__mro__:
        for name in vars(base).get("__slots__", ()):
            if hasattr(response, name):
                setattr(made, name, getattr(response, name))
    made.headers = headers_of(response.headers._list)
    for name in ("response", "_on_close"):
        value = made.__dict__.get(name)
        if type(value) is list:
            made.__dict__[name] = value.copy()
    return made  # type: ignore[no-any-return]


def completes_itself(response: Response) -> bool:
    """Whether the class of a response has a say about what is sent of it."""
    cls: Any = type(response)
    return sending_class(cls) is None


@functools.lru_cache(maxsize=32)
def sending_class(cls: Any) -> Any:
    """A subclass whose objects are sent as they are; None: the class has a say about that."""
    if any(getattr(cls, name) is not method for name, method in _SENDING.items()):
        return None

    def get_wsgi_response(self: Any, environ: dict[str, Any]) -> Any:
        sent = self.__dict__.pop(_SENT, None)
        if sent is not None:
            known, status, headers, body, parts = sent
            if (
                known is environ
                and self.response is parts
                and (not body or body == parts)
                and self.status == status
                and self.headers._list == headers
                and not self._on_close
                # Which may have a say themselves.
                and type(self.headers) is Headers
                and _SENDING.keys().isdisjoint(self.__dict__)
            ):
                return body, status, headers
        return cls.get_wsgi_response(self, environ)

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        # Who copies or pickles it gets it as it is without this.
        self.__dict__.pop(_SENT, None)
        self.__class__ = cls
        return self.__reduce_ex__(protocol)

    members = {"__reduce_ex__": __reduce_ex__, "get_wsgi_response": get_wsgi_response}
    return look_alike(cls, members)
