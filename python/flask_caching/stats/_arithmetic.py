"""Sums and differences of statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

__all__ = ["difference", "total"]

T = TypeVar("T")


def difference(later: T, earlier: Any) -> T:
    """What was counted in between; states are those of ``later``."""
    return cast("T", _combined(later, earlier, lambda one, other: max(one - other, 0)))


def total(one: T, other: T) -> T:
    """What both have counted; states are those of ``one``."""
    return cast("T", _combined(one, other, lambda one, other: one + other))


def _combined(one: Any, other: Any, combine: Callable[[Any, Any], Any]) -> Any:
    if is_dataclass(one) and not isinstance(one, type):
        if other is None:
            return one
        changes = {
            part.name: _combined(getattr(one, part.name), getattr(other, part.name), combine)
            for part in fields(one)
            if part.metadata.get("counts", True)
        }
        return replace(one, **changes)
    if isinstance(one, Mapping):
        return _mappings(one, other or {}, combine)
    if isinstance(one, tuple):
        # Of pairs, which are a mapping whose order counts.
        return tuple(sorted(_mappings(dict(one), dict(other or ()), combine).items()))
    if one is None or other is None:
        return one if one is not None else other
    return combine(one, other)


def _mappings(
    one: Mapping[Any, Any], other: Mapping[Any, Any], combine: Callable[[Any, Any], Any]
) -> dict[Any, Any]:
    """By key; what only one of them has is combined with nothing."""
    made = {}
    for key in {**one, **other}:
        mine, theirs = one.get(key), other.get(key)
        if mine is None:
            mine = _nothing(theirs)
        made[key] = _combined(mine, _nothing(mine) if theirs is None else theirs, combine)
    return {key: value for key, value in made.items() if value != 0}


def _nothing(like: Any) -> Any:
    """The zero of a kind of number, or of a group of them."""
    if isinstance(like, (int, float)):
        return type(like)()
    states = {
        part.name: getattr(like, part.name)
        for part in fields(like)
        if not part.metadata.get("counts", True)
    }
    return type(like)(**states)
