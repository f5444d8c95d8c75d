"""Whether a view used the session of the visitor that it ran for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from flask.sessions import NullSession, SecureCookieSession

from .context import SESSION, active_request_context, session_of
from .look_alike import look_alike

__all__ = ["PLAIN_SESSIONS", "READS_ARE_TOLD", "SessionReads", "SessionUse"]

#: Whether contexts note who asks for the session, in its ``accessed``. Up to Flask 3.1.2 sessions
#: note some of what is read of them.
READS_ARE_TOLD = SESSION != "session"

#: The classes of sessions that can be looked at without being used. Without a secret key there is
#: none that could be written to.
PLAIN_SESSIONS = (SecureCookieSession, NullSession)

_READ = "the view read the session, which had something in it"
_WROTE = "the view wrote to the session"

_READING = (
    *("__getitem__", "__contains__", "__iter__", "__len__", "__bool__", "__reversed__", "__eq__"),
    *("__ne__", "__or__", "__ror__", "__repr__", "__str__", "get", "keys", "values", "items"),
    *("copy", "pop", "popitem", "setdefault"),
)
_WRITING = ("__setitem__", "__delitem__", "__ior__", "clear", "update")

#: Where a session notes how it was used while it is watched.
_NOTES = "_flask_caching_notes"

#: What every session has: its methods note themselves what they tell.
_PLAIN = frozenset({*dir(SecureCookieSession), "__dict__", "__class__", "on_update", _NOTES})


class SessionUse:
    """How the session of the active request is used from now on, until :meth:`end`.

    Flask's own ``accessed`` does not say it: hooks before the view may have set it already, and up
    to Flask 3.1.2 not every read does. A session that could tell something of its visitor is
    therefore of a class, for that time, whose methods note that they were called; the usual, empty
    one is only looked at before and after.
    """

    __slots__ = ("_before", "_context", "_held", "_notes", "_session", "_was_modified")

    def __init__(self) -> None:
        context = self._context = active_request_context(None)
        session = self._session = None if context is None else session_of(context)
        self._before: _Before | None = None
        if session is None:
            return
        self._held = _holds_something(session)
        self._was_modified = getattr(session, "modified", True)
        self._notes: set[str] | None = None
        if self._held or self._was_modified:
            self._notes = set()
            self._before = _watch(session, self._notes)

    def end(self) -> str | None:
        """How it was used, where that makes a view's answer its visitor's alone; otherwise None."""
        session = self._session
        if session is None:
            # Outside a request; or it is opened when it is first used.
            session = None if self._context is None else session_of(self._context)
            return _READ if session is not None and _holds_something(session) else None
        before, notes = self._before, self._notes
        if before is not None and notes is not None:
            _unwatch(session, notes, before)
        if (
            (notes and _WROTE in notes)
            or (not self._was_modified and session.modified)
            or (not self._held and _holds_something(session))
        ):
            return _WROTE
        # A session that could not be watched is taken as read.
        has_read = before is None or (notes is not None and _READ in notes)
        return _READ if self._held and has_read else None


class SessionReads:
    """Whether anybody uses the session of a request from now on, until :meth:`end`, be it empty.

    :param context: the context of the request.
    """

    __slots__ = ("_before", "_context", "_notes", "_session")

    def __init__(self, context: Any) -> None:
        self._context = context
        session = self._session = session_of(context)
        self._notes: set[str] = set()
        self._before = None if self._is_nobodys() else _watch(session, self._notes)

    def end(self) -> bool:
        """Whether somebody has, or may have."""
        is_another = session_of(self._context) is not self._session
        if self._is_nobodys():
            return is_another
        if self._before is None:
            # It could not be watched.
            return True
        _unwatch(self._session, self._notes, self._before)
        return is_another or bool(self._notes)

    def _is_nobodys(self) -> bool:
        return self._session is None or isinstance(self._session, NullSession)


def _holds_something(session: Any) -> bool:
    """Whether a session says anything of its visitor. To ask that is not to read it."""
    if type(session) is SecureCookieSession:
        return bool(session)
    notes = getattr(session, _NOTES, None)
    if notes is not None:
        # The view around this one has asked nothing.
        object.__setattr__(session, _NOTES, None)
        try:
            return bool(session)
        finally:
            object.__setattr__(session, _NOTES, notes)
    accessed = getattr(session, "accessed", None)
    holds = bool(session)
    if accessed is False and session.accessed:
        session.accessed = False
    return holds


class _Before(NamedTuple):
    """What a session was before it was watched."""

    cls: type
    #: The notes of the view around this one.
    notes: set[str] | None


def _watch(session: Any, notes: set[str]) -> _Before | None:
    """Let a session note how it is used; None where it cannot."""
    cls: Any = type(session)
    if hasattr(cls, _NOTES):
        before = _Before(cls, getattr(session, _NOTES))
        object.__setattr__(session, _NOTES, notes)
        return before
    try:
        watched = _watched_class(cls)
        object.__setattr__(session, _NOTES, notes)
    except Exception:
        # Its class has a say about those below it, or its objects about their attributes.
        return None
    try:
        object.__setattr__(session, "__class__", watched)
    except TypeError:
        object.__delattr__(session, _NOTES)
        return None
    return _Before(cls, None)


def _unwatch(session: Any, notes: set[str], before: _Before) -> None:
    if before.notes is None:
        object.__setattr__(session, "__class__", before.cls)
        with suppress(AttributeError):
            object.__delattr__(session, _NOTES)
    else:
        # What this view has used, the one around it has.
        before.notes.update(notes)
        object.__setattr__(session, _NOTES, before.notes)


@functools.lru_cache(maxsize=32)
def _watched_class(cls: Any) -> type:
    """A subclass whose methods note that they were called."""
    members: dict[str, Any] = {
        # Otherwise its objects would differ in more than their methods.
        "__slots__": (),
        # A class that has an `__eq__` of its own has no other's.
        "__hash__": cls.__hash__,
        _NOTES: None,
    }
    for names, note in ((_READING, _READ), (_WRITING, _WROTE)):
        for name in names:
            method = getattr(cls, name, None)
            if callable(method):
                members[name] = _noting(method, note)
    members["__setattr__"] = _noting_marks(cls.__setattr__)
    members["__getattribute__"] = _noting_own(cls.__getattribute__)
    members["__reduce_ex__"] = _as_it_was(cls)
    watched: type = look_alike(cls, members)
    return watched


def _noting_own(method: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """A ``__getattribute__`` that notes what a class of sessions of its own has been asked for."""

    @functools.wraps(method)
    def noting(self: Any, name: str) -> Any:
        if name not in _PLAIN:
            notes = object.__getattribute__(self, _NOTES)
            if notes is not None:
                notes.add(_READ)
        return method(self, name)

    return noting


def _as_it_was(cls: Any) -> Callable[[Any, Any], Any]:
    """A ``__reduce_ex__`` by which a session is copied and pickled as it was before it was watched:
    it has been read by then."""

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        notes = object.__getattribute__(self, _NOTES)
        if notes is not None:
            notes.add(_READ)
        with suppress(AttributeError):
            object.__delattr__(self, _NOTES)
        object.__setattr__(self, "__class__", cls)
        return self.__reduce_ex__(protocol)

    return __reduce_ex__


def _noting(method: Callable[..., Any], note: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def noting(self: Any, *args: Any, **kwargs: Any) -> Any:
        notes = getattr(self, _NOTES)
        if notes is not None:
            notes.add(note)
        return method(self, *args, **kwargs)

    return noting


def _noting_marks(method: Callable[..., Any]) -> Callable[..., Any]:
    """A ``__setattr__`` that notes ``session.modified = True``, by which a change is told."""

    @functools.wraps(method)
    def noting(self: Any, name: str, value: Any) -> None:
        notes = getattr(self, _NOTES)
        if notes is not None and name == "modified" and value:
            notes.add(_WROTE)
        method(self, name, value)

    return noting
