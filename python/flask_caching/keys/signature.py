"""The arguments of a call in the one order that a key is made of."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from ..utils import get_function_parameters
from ..values.immutable import IMMUTABLE

__all__ = ["ArgumentOrder", "is_immutable", "parameters_of"]

_SCALARS = (str, bytes, int, float, bool, complex, type(None))


def is_immutable(value: Any) -> bool:
    """Whether ``value`` is plain data that stays as it is.

    Each part is looked at once, whatever refers to what, and however deep.
    """
    pending = [value]
    seen: set[int] = set()
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is tuple:
            if id(item) not in seen:
                seen.add(id(item))
                pending.extend(item)
        elif kind not in _SCALARS and IMMUTABLE.get(kind, "") is not None:
            return False
    return True


def parameters_of(f: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function, or what stands for those that nobody can tell."""
    try:
        return get_function_parameters(f)
    except ValueError:
        # A built-in without a signature, which may take anything.
        return [
            inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
            inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
        ]


class ArgumentOrder:
    """What a function's signature says about the order of arguments, read once.

    :param f: the function.
    :param ignored: the names of arguments that stand as None in the key, or one name.
    """

    def __init__(self, f: Callable[..., Any], ignored: Iterable[str] | None = None) -> None:
        ignored = (ignored,) if isinstance(ignored, str) else ignored or ()
        ignored = self._ignored = frozenset(name for name in ignored if isinstance(name, str))
        parameters = parameters_of(f)
        positional = [
            parameter
            for parameter in parameters
            if parameter.kind
            in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        ]
        self._plan = [
            (
                parameter.name,
                parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD,
                # What is missing is marked by `Parameter.empty`: None is an argument like others.
                parameter.default,
                parameter.name in ignored,
            )
            for parameter in positional
        ]
        #: The defaults that may be another value by the next call, and mean another call then.
        self.changeable = [
            default
            for _, _, default, left_out in self._plan
            if not left_out and default is not inspect.Parameter.empty and not is_immutable(default)
        ]
        #: The places of the arguments that are left out, and their names.
        self.ignored_places = [at for at, (*_, left_out) in enumerate(self._plan) if left_out]
        self.ignored_names = sorted(ignored)
        first = positional[0].name if positional else ""
        #: How many arguments can be given by position, and the defaults of the last of them.
        self.positional = len(positional)
        self.defaults = tuple(
            parameter.default
            for parameter in positional
            if parameter.default is not inspect.Parameter.empty
        )
        #: Whether further arguments can be given by position.
        self.takes_more = any(
            parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters
        )
        #: Whether it takes further arguments by name.
        self.takes_any_name = any(
            parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters
        )
        #: Whether the first argument is the instance or class that a method is called on.
        self.on_instance = first == "self"
        self.on_class = first == "cls"
        #: Whether that first argument is left out of the key.
        self.ignores_first = first in ignored

    def normalize(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The positional arguments, defaults filled in, and the remaining keywords sorted by name.

        :param args: the positional arguments of a call.
        :param kwargs: its keyword arguments.
        """
        rest = dict(kwargs)
        ordered: list[Any] = []
        following = iter(args)
        for name, by_keyword, default, ignored in self._plan:
            value = rest.pop(name) if by_keyword and name in rest else next(following, default)
            ordered.append(None if ignored else value)
        ordered.extend(args[len(self._plan) :])
        names = sorted(rest) if not self._ignored else sorted(rest.keys() - self._ignored)
        return ordered, {name: rest[name] for name in names}
