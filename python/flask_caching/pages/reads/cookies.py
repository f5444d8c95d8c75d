"""Which cookies of its visitor a request's hooks and view have read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...requests.look_alike import look_alike

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

__all__ = ["cookies_aside", "names_read", "noting_class", "reads_others"]

#: Where the cookies of a request note the names that were read; None among them: all.
_NAMES = "_flask_caching_names"

_BY_NAME = ("__getitem__", "__contains__", "get", "getlist")
_ALL = (
    *("__iter__", "__reversed__", "__len__", "__eq__", "__ne__", "__or__", "__ror__", "__hash__"),
    *("__repr__", "__str__", "__copy__", "__deepcopy__", "__reduce_ex__", "copy", "deepcopy"),
    *("keys", "values", "items", "lists", "listvalues", "to_dict"),
)


def reads_others(request: Request, names: Collection[str]) -> bool:
    """Whether cookies other than ``names`` were read, also where the request has none of them."""
    cookies = request.__dict__.get("cookies")
    if cookies is None:
        return False
    if not hasattr(type(cookies), _NAMES):
        # Somebody has put others in their place.
        return True
    read = cookies.__dict__.get(_NAMES)
    if read is None:
        # What is empty is written as JSON without asking for what is in it.
        return isinstance(cookies, dict) and not dict.__len__(cookies)
    return not read.issubset(names)


def names_read(noting: Any) -> Set[str | None]:
    """The names that were read of an object of a :func:`noting_class`; None among them: all of it
    was, or may have been."""
    if not hasattr(type(noting), _NAMES):
        return {None} if noting is not None else frozenset()
    read: Set[str | None] = noting.__dict__.get(_NAMES, frozenset())
    return read


@contextmanager
def cookies_aside(request: Request) -> Iterator[None]:
    """What is read of the cookies meanwhile is not noted."""
    known = request.__dict__.get("cookies")
    before = set(getattr(known, "__dict__", {}).get(_NAMES, ()))
    try:
        yield
    finally:
        if known is None:
            request.__dict__.pop("cookies", None)
        elif _NAMES in getattr(known, "__dict__", {}):
            known.__dict__[_NAMES] = before


@functools.lru_cache(maxsize=32)
def noting_class(cls: type) -> type:
    """A subclass whose objects note what is read of them."""
    members: dict[str, Any] = {_NAMES: None}
    for names, is_by_name in ((_BY_NAME, True), (_ALL, False)):
        for name in names:
            method = getattr(cls, name, None)
            if callable(method):
                members[name] = _noting(method, is_by_name)
    reduce = members["__reduce_ex__"]

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        # A pickle has them as what they are without this.
        made_by, *rest = reduce(self, protocol)
        return (cls if made_by is type(self) else made_by, *rest)

    members["__reduce_ex__"] = __reduce_ex__
    made: type = look_alike(cls, members)
    return made


def _noting(method: Callable[..., Any], is_by_name: bool) -> Callable[..., Any]:
    @functools.wraps(method)
    def noting(self: Any, *args: Any, **kwargs: Any) -> Any:
        name = args[0] if is_by_name and args else None
        self.__dict__.setdefault(_NAMES, set()).add(name)
        return method(self, *args, **kwargs)

    return noting
