"""What an object holds whose repr is nothing but its class and the reprs of its members.

Such a repr identifies the object no better than those of its members do: an array in a dataclass is
abridged, a set in a named tuple has the order of this process.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable
from fractions import Fraction
from types import MappingProxyType, MethodType, SimpleNamespace
from typing import Any

__all__ = ["member_names", "members_of"]

#: By the function that prints them, since a subclass may have one of its own.
_KNOWN: dict[Any, Callable[[Any], Any]] = {
    collections.deque.__repr__: lambda value: (list(value), value.maxlen),
    collections.OrderedDict.__repr__: dict,
    collections.defaultdict.__repr__: lambda value: (value.default_factory, dict(value)),
    collections.Counter.__repr__: dict,
    collections.ChainMap.__repr__: lambda value: list(value.maps),
    collections.UserDict.__repr__: lambda value: value.data,
    collections.UserList.__repr__: lambda value: value.data,
    SimpleNamespace.__repr__: vars,
    MappingProxyType.__repr__: dict,
    MethodType.__repr__: lambda value: (value.__func__, value.__self__),
    functools.partial.__repr__: lambda value: (value.func, value.args, value.keywords),
    Fraction.__repr__: lambda value: (value.numerator, value.denominator),
    range.__repr__: lambda value: (value.start, value.stop, value.step),
    slice.__repr__: lambda value: (value.start, value.stop, value.step),
}


def members_of(value: Any) -> Any:
    """What ``value`` prints, as built-in containers; None where its repr is more than that."""
    kind = type(value)
    printed_by = kind.__repr__
    known = _KNOWN.get(printed_by)
    if known is not None:
        return known(value)
    if _is_named_tuple(kind):
        return tuple(value)
    names = member_names(kind)
    return None if names is None else {name: getattr(value, name, None) for name in names}


def member_names(kind: type) -> tuple[str, ...] | None:
    """The attributes that objects of a named tuple, a dataclass or the like print and nothing else.

    :return: None where ``kind`` is no such class.
    """
    if _is_named_tuple(kind):
        return tuple(kind._fields)  # type: ignore[attr-defined]
    if not _is_generated(kind.__repr__):
        return None
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.repr)
    attributes = getattr(kind, "__attrs_attrs__", None)
    return None if attributes is None else tuple(a.name for a in attributes if a.repr)


def _is_named_tuple(kind: type) -> bool:
    return (
        issubclass(kind, tuple)
        and hasattr(kind, "_fields")
        and _is_of(kind.__repr__, "collections")
    )


def _is_of(function: Any, module: str) -> bool:
    return getattr(function, "__globals__", {}).get("__name__") == module


def _is_generated(function: Any) -> bool:
    """Whether a function was made from text, as those of dataclasses and attrs are."""
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    return code is not None and code.co_filename.startswith("<")
