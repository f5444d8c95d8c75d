"""Walks over built-in data: each part once, whatever refers to what, and however deep.

A walk looks at copies of what can be changed, so that another thread may change it meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

__all__ = ["SCALARS", "Allowance", "is_plain", "items_of"]

#: Classes whose objects hold nothing else.
SCALARS = frozenset({str, bytes, int, float, bool, type(None), complex, type(Ellipsis)})

_PRINTED_WHOLE = frozenset({tuple, list, dict})


class Allowance:
    """How many parts may be printed of a value: some times as many as it has.

    What refers to its parts again and again is printed again and again: sixty lists, each of which
    holds the next one twice, have more characters than there is memory.
    """

    _TIMES = 100
    _MORE = 20_000

    def __init__(self) -> None:
        self._printed = 0
        self._held = 0
        self._seen: set[int] = set()

    def spend(self, value: Any, parts: int) -> bool:
        """Count ``value`` with its number of ``parts``; whether it may still be printed."""
        self._printed += parts + 1
        if id(value) not in self._seen:
            self._seen.add(id(value))
            self._held += parts + 1
        return self._printed <= self._TIMES * self._held + self._MORE


def items_of(container: Any) -> Collection[Any]:
    """What a list, tuple, dict, set or frozenset holds at this moment; keys and values of a dict.

    :param container: an object of exactly one of these classes.
    """
    kind = type(container)
    if kind is list:
        return tuple(container)
    if kind is dict:
        copy = container.copy()
        return (*copy, *copy.values())
    return container.copy() if kind is set else container  # type: ignore[no-any-return]


def is_plain(value: Any) -> bool:
    """Whether ``repr(value)`` identifies ``value``: built-in data all through, sets excepted.

    Not what refers to its parts so often that it cannot be printed.
    """
    kind = type(value)
    if kind in SCALARS:
        return True
    if kind not in _PRINTED_WHOLE:
        return False
    seen = {id(value)}
    pending = [value]
    is_tree = True
    while pending:
        for item in items_of(pending.pop()):
            kind = type(item)
            if kind in SCALARS:
                continue
            if kind not in _PRINTED_WHOLE:
                return False
            if not item:
                continue
            if id(item) in seen:
                is_tree = False
            else:
                seen.add(id(item))
                pending.append(item)
    return is_tree or _can_be_printed(value)


def _can_be_printed(value: Any) -> bool:
    """Whether the repr of plain data, in which something appears twice, is not much too long.

    It goes the way of ``repr``, which leaves out what it is in.
    """
    allowance = Allowance()
    way: list[tuple[int, Iterator[Any]]] = [(id(value), iter(items_of(value)))]
    is_open = {id(value)}
    while way:
        at, items = way[-1]
        inner = next((i for i in items if type(i) in _PRINTED_WHOLE and id(i) not in is_open), None)
        if inner is None:
            way.pop()
            is_open.discard(at)
            continue
        parts = items_of(inner)
        if not allowance.spend(inner, len(parts)):
            return False
        is_open.add(id(inner))
        way.append((id(inner), iter(parts)))
    return True
