"""Copies of arguments, for a call that is made when its caller has gone on."""

from __future__ import annotations

from typing import Any

__all__ = ["own"]


def own(value: Any) -> Any:
    """A copy of what arguments are made of, as far as that is plain containers.

    It has their shape: what is shared, or in itself, is so in the copy. Each is copied once, and
    none by a recursion, whatever their shape.

    :raises Exception: of the application, where a key of a dict will not be told apart.
    """
    copies = _Copies()
    copy = copies.of(value)
    copies.fill()
    return copy


class _Copies:
    def __init__(self) -> None:
        #: By their ids, what was copied, which lives on so that nothing else gets its id.
        self._made: dict[int, tuple[Any, Any]] = {}
        #: Copies of dicts and lists that still hold what the caller's do.
        self._to_fill: list[Any] = []

    def of(self, value: Any) -> Any:
        kind = type(value)
        if kind not in _CONTAINERS:
            return value
        if id(value) not in self._made:
            if kind is tuple:
                self._copy_tuples(value)
            else:
                # In one step, whatever other threads do to it.
                copy = value.copy()
                self._made[id(value)] = (value, copy)
                if kind is not set:
                    self._to_fill.append(copy)
        return self._made[id(value)][1]

    def _copy_tuples(self, outermost: tuple[Any, ...]) -> None:
        """Copy a tuple, and before it those in it: what it holds can be put in only once."""
        todo = [outermost]
        while todo:
            one = todo[-1]
            inner = [it for it in one if type(it) is tuple and id(it) not in self._made]
            if inner and id(one) not in self._made:
                todo.extend(inner)
                continue
            todo.pop()
            if id(one) not in self._made:
                self._made[id(one)] = (one, tuple(map(self.of, one)))

    def fill(self) -> None:
        """Put copies in the place of what is the caller's."""
        while self._to_fill:
            copy = self._to_fill.pop()
            items = copy.items() if type(copy) is dict else enumerate(copy)
            for place, item in items:
                if type(item) in _CONTAINERS:
                    copy[place] = self.of(item)


_CONTAINERS = frozenset((dict, list, tuple, set))
