"""What tells closures of one name apart.

2.5.1 of Flask-Caching keys a function by its name, so that two functions made by one ``def`` share
their entries although they compute with what they close over. Here

- what a closure holds of plain immutable data is part of its keys, in every process;
- of closures over other objects, the first one decorated keeps the keys of its name, so that an
  application factory's functions have the same keys in every process; one made again over other
  objects is told apart by their identity, in this process;
- a lambda, which has no name, is told apart by its code.
"""

from __future__ import annotations

import dis
import functools
import uuid
import weakref
from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Any

from ._identity import Unidentifiable, is_plain, object_token, text_of
from ._names import lambda_digest, short_digest, underlying_function

if TYPE_CHECKING:
    from .cache import Cache

__all__ = ["closure_identity"]

_IMMUTABLE = (str, bytes, int, float, complex, bool, type(None))


def closure_identity(cache: Cache, f: Callable[..., Any]) -> str:
    """What stands beside the function's name in its keys; '' where the name says it all.

    :param cache: the cache, which remembers the closures it decorated.
    :param f: the function, a partial or a callable object.
    """
    parts = [_partial_identity(f), lambda_digest(f)]
    function = underlying_function(f)
    code = getattr(function, "__code__", None)
    if code is not None and function.__closure__:
        plain, others = _cells(function, code)
        if plain:
            parts.append(short_digest(repr(plain)))
        if others:
            parts.append(_rival_identity(cache, code, others))
    text = " ".join(part for part in parts if part)
    return f"<{text}>" if text else ""


def _cells(function: Any, code: CodeType) -> tuple[list[tuple[str, Any]], list[Any]]:
    """What the function closes over: plain immutable data by name, and other objects."""
    own = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("STORE_DEREF", "DELETE_DEREF")
    }
    plain: list[tuple[str, Any]] = []
    others: list[Any] = []
    for name, cell in zip(code.co_freevars, function.__closure__, strict=True):
        if name == "__class__" or name in own:
            # Its own state, as a counter that it increases: not what tells it apart.
            continue
        try:
            value = cell.cell_contents
        except ValueError:
            # Not bound yet, as the name of a function that calls itself.
            continue
        if isinstance(value, _IMMUTABLE) or (type(value) is tuple and is_plain(value)):
            plain.append((name, value))
        else:
            others.append(value)
    return plain, others


def _rival_identity(cache: Cache, code: CodeType, values: list[Any]) -> str:
    references = [_reference(value) for value in values]
    first = cache._closures.setdefault(code, references)
    if first is references or all(
        known() is value for known, value in zip(first, values, strict=True)
    ):
        return ""
    tokens = []
    for value in values:
        try:
            tokens.append(object_token(value))
        except Unidentifiable:
            tokens.append(uuid.uuid4().hex)
    return short_digest(repr(tokens))


def _reference(value: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(value)
    except TypeError:
        # A list or dict: kept, so that its address is not taken by another. One set for each `def`.
        return lambda: value


def _partial_identity(f: Any) -> str:
    """What a partial has bound, or which callable object it is."""
    if isinstance(f, functools.partial):
        bound = text_of((f.args, dict(sorted(f.keywords.items()))), lambda value: None)
        inner = _partial_identity(f.func)
        return short_digest(bound + inner)
    if not hasattr(f, "__name__") and callable(f):
        return short_digest(text_of(f, lambda value: None))
    return ""
