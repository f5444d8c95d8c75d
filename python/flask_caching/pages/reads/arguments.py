"""Whether a view has read arguments of its query that are no part of its page."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from ...requests.look_alike import look_alike
from .cookies import names_read, noting_class

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

__all__ = ["ArgumentReads", "begin_arguments"]

#: Where a request notes that its query was read as a whole.
_WHOLE = "_flask_caching_query"

#: What tells the query as a whole.
_TELLING = ("query_string", "full_path", "url")


class ArgumentReads:
    """What is read of a request's query from now on, until :meth:`end`.

    :param request: the request.
    :param others: the names of its arguments that are no part of its page.
    """

    __slots__ = ("_cls", "_others", "_request")

    def __init__(self, request: Request, others: Collection[str]) -> None:
        self._request, self._others = request, others
        attributes = request.__dict__
        cls: Any = type(request)
        self._cls: Any = cls
        noting = noting_class(cls.parameter_storage_class)
        known = attributes.get("args")
        if type(known) is cls.parameter_storage_class:
            attributes["args"] = noting(known)
        attributes.pop("values", None)
        attributes["parameter_storage_class"] = noting
        try:
            request.__class__ = _noting_query(cls)
        except TypeError:
            # Its class allows none: it may read what it likes.
            attributes[_WHOLE] = True

    def end(self) -> bool:
        """Whether some of the others were read."""
        request = self._request
        request.__class__ = self._cls
        attributes = request.__dict__
        attributes.pop("parameter_storage_class", None)
        if attributes.pop(_WHOLE, False):
            return True
        names = names_read(attributes.get("args"))
        return None in names or not names.isdisjoint(self._others)


def begin_arguments(request: Request, names: Collection[str]) -> ArgumentReads | None:
    """Note what is read of the query of a request that has arguments beside ``names``; None: it
    has no others."""
    query = request.environ.get("QUERY_STRING")
    if not query:
        return None
    pairs = parse_qsl(query.encode("latin-1"), keep_blank_values=True)
    others = {name.decode(errors="replace") for name, _ in pairs}.difference(names)
    return ArgumentReads(request, others) if others else None


@functools.lru_cache(maxsize=32)
def _noting_query(cls: Any) -> Any:
    """A subclass of a class of requests whose objects note that their query was read."""

    def telling(name: str) -> Any:
        def read(self: Any) -> Any:
            attributes = self.__dict__
            attributes[_WHOLE] = True
            return attributes[name] if name in attributes else getattr(super(noting, self), name)

        def change(self: Any, value: Any) -> None:
            self.__dict__[name] = value

        return property(read, change)

    def read_args(self: Any) -> Any:
        attributes = self.__dict__
        if "args" not in attributes:
            # Which are made of the whole query; what is read of them they note themselves.
            before = attributes.get(_WHOLE, False)
            attributes["args"] = super(noting, self).args
            attributes[_WHOLE] = before
        return attributes["args"]

    def change_args(self: Any, value: Any) -> None:
        self.__dict__["args"] = value

    members = {
        "args": property(read_args, change_args),
        **{name: telling(name) for name in _TELLING},
    }
    noting = look_alike(cls, members)
    return noting
