"""What tells functions of one name apart.

2.5.1 of Flask-Caching keys a function by its name, so that two functions made by one ``def`` share
their entries although they compute with what they close over. Here

- what a closure holds of plain immutable data is part of its keys, in every process;
- of functions that differ in something else (what they close over, their code, the defaults of
  their keyword-only parameters), the first one decorated keeps the keys of its name, so that an
  application factory's functions have the same keys in every process; the others are told apart by
  the code and the defaults, and by the identity of what they close over, in this process;
- a lambda, which has no name, is told apart by its code.
"""

from __future__ import annotations

import dis
import functools
import inspect
import uuid
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

from .identity import NameCollisions, Unidentifiable, is_plain, object_token, text_of
from .names import function_name, short_digest, underlying_function

__all__ = ["FirstOfName", "identity_beside_name", "source_text"]

#: Of how many names the first function is known; those of further names are never the first.
_MOST_NAMES = 10_000

_IMMUTABLE = (str, bytes, int, float, complex, bool, type(None))


@dataclass(frozen=True)
class FirstOfName:
    """What the first function of a name is made of; nothing of it is kept alive.

    :param digest: of its code and defaults.
    :param closed_over: references to what it closes over; None for what is gone.
    """

    digest: str
    closed_over: list[Callable[[], Any]]


def identity_beside_name(
    known: dict[str, FirstOfName], f: Callable[..., Any], by_code: bool = True
) -> str:
    """What stands beside the function's name in its keys; '' where the name says it all.

    :param known: the first function of each name, to which this one is added.
    :param f: the function, a partial or a callable object.
    :param by_code: whether functions of one name are told apart by their code; what
        ``source_check=False`` says no to. Lambdas always are.
    """
    parts = [_partial_identity(f)]
    function = underlying_function(f)
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType):
        is_lambda = function.__name__ == "<lambda>"
        text = _code_text(code) + _text(function.__kwdefaults__)
        plain, others = _cells(function, code)
        parts.append(short_digest(text) if is_lambda else "")
        parts.append(short_digest(_text(plain)) if plain else "")
        name = " ".join([function_name(f), *parts]) if is_lambda else function_name(f)
        if not (is_lambda and len(plain) == len(code.co_freevars)):
            made = FirstOfName(
                short_digest(text), [_reference(function, *other) for other in others]
            )
            values = [value for _, value in others]
            parts.append(
                _identity_among_namesakes(known, name, text, made, values, by_code or is_lambda)
            )
    kept = " ".join(part for part in parts if part)
    return f"<{kept}>" if kept else ""


def source_text(f: Callable[..., Any]) -> str:
    """The source of a function, its code where there is no source, '' where there is neither."""
    try:
        return inspect.getsource(f)
    except (OSError, TypeError):
        code = getattr(underlying_function(f), "__code__", None)
        return _code_text(code) if isinstance(code, CodeType) else ""


def _code_text(code: CodeType) -> str:
    constants = [
        _code_text(constant) if isinstance(constant, CodeType) else _text(constant)
        for constant in code.co_consts
    ]
    return repr((code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants))


def _cells(function: Any, code: CodeType) -> tuple[list[tuple[str, Any]], list[tuple[int, Any]]]:
    """What the function closes over: plain immutable data by name, and other objects by place."""
    own = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("STORE_DEREF", "DELETE_DEREF")
    }
    plain: list[tuple[str, Any]] = []
    others: list[tuple[int, Any]] = []
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    for place, (name, cell) in enumerate(cells):
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
            others.append((place, value))
    return plain, others


def _identity_among_namesakes(
    known: dict[str, FirstOfName],
    name: str,
    text: str,
    made: FirstOfName,
    values: list[Any],
    by_code: bool,
) -> str:
    """'' for the first function of a name and those made of the same, otherwise a digest."""
    first = known.get(name)
    if first is None and len(known) < _MOST_NAMES:
        first = known.setdefault(name, made)
    if first is made:
        return ""
    same_values = (
        first is not None
        and len(first.closed_over) == len(values)
        and all(
            reference() is value for reference, value in zip(first.closed_over, values, strict=True)
        )
    )
    if first is not None and same_values:
        return "" if first.digest == made.digest or not by_code else short_digest(text)
    return short_digest(text + repr([_token(value) for value in values]))


def _reference(function: Any, place: int, value: Any) -> Callable[[], Any]:
    """What returns ``value``, which ``function`` closes over at ``place``, as long as it lives."""
    try:
        return weakref.ref(value)
    except TypeError:
        # A list or dict: it lives as long as the function, at least.
        of = weakref.ref(function)

    def value_of_function() -> Any:
        holder = of()
        try:
            return None if holder is None else holder.__closure__[place].cell_contents
        except ValueError:
            return None

    return value_of_function


def _token(value: Any) -> str:
    try:
        return object_token(value)
    except Unidentifiable:
        return uuid.uuid4().hex


def _text(value: Any) -> str:
    try:
        return text_of(value, NameCollisions(lambda value: None))
    except Unidentifiable:
        return uuid.uuid4().hex


def _partial_identity(f: Any) -> str:
    """What a partial has bound, or which callable object it is."""
    if isinstance(f, functools.partial):
        bound = _text((f.args, dict(sorted(f.keywords.items()))))
        return short_digest(bound + _partial_identity(f.func))
    if not hasattr(f, "__name__") and callable(f):
        return short_digest(_text(f))
    return ""
