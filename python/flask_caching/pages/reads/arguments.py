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

__all__ = ["ArgumentReads", "begin_arguments", "note_query"]

#: Where a request, and each copy of it, has what is noted of its query.
_NOTES = "_flask_caching_query"

#: What tells the query as a whole.
_TELLING = ("query_string", "full_path", "url")


class _Notes:
    """What is noted of the query of a request and its copies."""

    __slots__ = ("arguments", "times_whole")

    def __init__(self) -> None:
        #: They note themselves what is read of them.
        self.arguments: list[Any] = []
        #: How often the query was read as a whole.
        self.times_whole = 0


class ArgumentReads:
    """What is read of a request's query from now on, until :meth:`end`.

    :param request: the request.
    :param others: the names of its arguments that are no part of its page.
    """

    __slots__ = ("_cls", "_notes", "_others", "_request")

    def __init__(self, request: Request, others: Collection[str]) -> None:
        self._request, self._others = request, others
        attributes = request.__dict__
        cls: Any = type(request)
        self._cls: Any = cls
        known = attributes.get("args")
        self._notes: _Notes = attributes.setdefault(_NOTES, _Notes())
        if not isinstance(cls.parameter_storage_class, type):
            self._notes.times_whole += 1
            return
        noting = noting_class(cls.parameter_storage_class)
        if type(known) is cls.parameter_storage_class:
            try:
                # Hooks may have handed it on.
                known.__class__ = noting
            except TypeError:
                # What they have handed on is not noted.
                self._notes.times_whole += 1
                known = attributes["args"] = noting(known)
        if known is not None:
            self._notes.arguments.append(known)
        attributes.pop("values", None)
        attributes["parameter_storage_class"] = noting
        try:
            object.__setattr__(request, "__class__", _noting_query(cls))
        except Exception:
            # Its class allows none: it may read what it likes.
            self._notes.times_whole += 1

    def again(self) -> ArgumentReads:
        """The same of who comes after this has ended."""
        return ArgumentReads(self._request, self._others)

    def end(self) -> bool:
        """Whether some of the others were read."""
        request = self._request
        object.__setattr__(request, "__class__", self._cls)
        request.__dict__.pop("parameter_storage_class", None)
        if self._notes.times_whole:
            return True
        read = frozenset().union(*map(names_read, self._notes.arguments))
        return None in read or not read.isdisjoint(self._others)


def begin_arguments(request: Request, names: Collection[str]) -> ArgumentReads | None:
    """Note what is read of the query of a request that has arguments beside ``names``; None: it
    has no others."""
    query = request.environ.get("QUERY_STRING")
    if not query:
        return None
    # Of bytes, some versions of Python give back only what is ASCII.
    query = query.encode("latin-1", "replace").decode(errors="replace")
    others = {name for name, _ in parse_qsl(query, keep_blank_values=True)}.difference(names)
    return ArgumentReads(request, others) if others else None


def note_query(request: Any) -> None:
    """What is asked of a request may have been made of its query."""
    notes = request.__dict__.get(_NOTES)
    if notes is not None:
        notes.times_whole += 1


@functools.lru_cache(maxsize=32)
def _noting_query(cls: Any) -> Any:
    """A subclass of a class of requests whose objects note that their query was read."""

    def telling(name: str) -> Any:
        def read(self: Any) -> Any:
            attributes = self.__dict__
            attributes[_NOTES].times_whole += 1
            # What the application may have made a property of its own.
            return getattr(super(noting, self), name) if hasattr(cls, name) else attributes[name]

        def change(self: Any, value: Any) -> None:
            self.__dict__[name] = value

        def forget(self: Any) -> None:
            del self.__dict__[name]

        return property(read, change, forget)

    def read_args(self: Any) -> Any:
        attributes = self.__dict__
        if "args" not in attributes:
            notes = attributes[_NOTES]
            times = notes.times_whole
            made = attributes["args"] = super(noting, self).args
            # They are made of the whole query.
            notes.times_whole = times
            notes.arguments.append(made)
        return attributes["args"]

    def change_args(self: Any, value: Any) -> None:
        self.__dict__["args"] = value

    def forget_args(self: Any) -> None:
        del self.__dict__["args"]

    members = {
        "args": property(read_args, change_args, forget_args),
        **{name: telling(name) for name in _TELLING},
    }
    noting = look_alike(cls, members)
    return noting
