"""What a backend says about itself: its names, its settings, and what they are for.

A backend is a class with a :class:`BackendSpec` in ``backend_spec``. The rest follows from that:
which ``CACHE_TYPE`` finds it, how its settings are checked, what its constructor is called with,
and what the documentation lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from ..errors import CacheConfigError, CacheConfigTypeError

__all__ = [
    "ADDRESSES",
    "CALLABLE",
    "COUNT",
    "FLAG",
    "NUMBER",
    "OPTIONAL_TEXT",
    "PORT",
    "SECONDS",
    "SECRET",
    "TEXT",
    "TIMEOUT",
    "BackendSpec",
    "Kind",
    "Setting",
    "check",
]


class Kind:
    """What a value may be.

    :param words: how a message says it: "CACHE_THRESHOLD must be a whole number, not 'many'".
    :param types: the classes whose objects are accepted.
    :param test: accepts others.
    """

    def __init__(self, words: str, *types: type, test: Callable[[Any], bool] | None = None) -> None:
        self.words = words
        self._types = types
        self._test = test

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is of this kind."""
        return isinstance(value, self._types) or (self._test is not None and self._test(value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    # A NaN is none.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def _is_number_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip().isascii() and value.strip().isdigit()


FLAG = Kind("True or False", bool, type(None), test=lambda v: v in (0, 1))
TIMEOUT = Kind(
    "a number of seconds or a datetime.timedelta",
    timedelta,
    test=lambda v: _is_number(v) or _is_number_text(v),
)
SECONDS = Kind("a positive number of seconds", test=lambda v: _is_number(v) and v > 0)
COUNT = Kind("a whole number, 0 or more", test=lambda v: _is_whole(v) and v >= 0)
NUMBER = Kind(
    "a whole number, 0 or more",
    test=lambda v: (_is_whole(v) or _is_number_text(v)) and int(v) >= 0,
)
PORT = Kind(
    "a port number from 1 to 65535",
    test=lambda v: (_is_whole(v) or _is_number_text(v)) and 0 < int(v) < 65536,
)
TEXT = Kind("a string", str)
OPTIONAL_TEXT = Kind("a string or None", str, type(None))
SECRET = Kind("a string or None", str, bytes, type(None))
ADDRESSES = Kind("a list or tuple of server addresses", list, tuple)
CALLABLE = Kind("a hash constructor, for example hashlib.sha256", test=callable)


@dataclass(frozen=True)
class Setting:
    """A ``CACHE_*`` value.

    :param name: its key in the configuration.
    :param kind: what it may be.
    :param doc: what it is for, in a line of Markdown.
    :param default: what applies where the configuration has none.
    :param option: the parameter of the backend's constructor that it fills; ``""``: none.
    :param goes: how it gets there. ``keyword``: over the same one in ``CACHE_OPTIONS``;
        ``if_set``: likewise, but only where it is neither None nor empty; ``unless_given``: only
        where it is configured and ``CACHE_OPTIONS`` has none; ``first``: before ``CACHE_ARGS``;
        ``last``: after them.
    :param secret: no message may show it.
    :param required: what is missing where the configuration has none, which then is an error.
    """

    name: str
    kind: Kind
    doc: str
    default: Any = None
    option: str = ""
    goes: Literal["keyword", "if_set", "unless_given", "first", "last"] = "keyword"
    secret: bool = False
    required: str = ""

    def but(self, **changes: Any) -> Setting:
        """The same setting with other ``option``, ``goes``, ``doc`` or ``default``."""
        return replace(self, **changes)

    def check(self, config: Mapping[str, Any]) -> None:
        """Check the value in a configuration.

        :raises CacheConfigError: it is of the wrong kind.
        """
        if self.name in config and not self.kind.accepts(value := config[self.name]):
            shown = type(value).__name__ if self.secret else repr(value)
            raise CacheConfigTypeError(f"{self.name} must be {self.kind.words}, not {shown}")

    def fill(self, config: Mapping[str, Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        """Put the value where the constructor takes it."""
        value = config.get(self.name, self.default)
        if not self.option:
            return
        if self.goes == "first":
            args.insert(0, value)
        elif self.goes == "last":
            args.append(value)
        elif self.goes == "unless_given":
            if config.get(self.name) is not None:
                kwargs.setdefault(self.option, value)
        elif self.goes == "keyword" or value:
            kwargs[self.option] = value


@dataclass(frozen=True)
class BackendSpec:
    """A backend of this package.

    :param name: what ``CACHE_TYPE`` calls it, and its class.
    :param doc: where entries live, in a line of Markdown.
    :param settings: what it reads of the configuration.
    :param deprecated: former names of it, which work and warn.
    """

    name: str
    doc: str
    settings: tuple[Setting, ...] = ()
    deprecated: tuple[str, ...] = ()

    def fill(self, config: Mapping[str, Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        """Add to a constructor's arguments what the configuration says.

        :param args: the positional arguments, which are changed.
        :param kwargs: the keyword arguments, which are changed.
        :raises CacheConfigError: a setting is missing.
        """
        for setting in self.settings:
            if setting.required and setting.name not in config:
                raise CacheConfigError(f"{self.name} needs {setting.name}, {setting.required}")
            setting.fill(config, args, kwargs)


def check(settings: tuple[Setting, ...], config: Mapping[str, Any]) -> None:
    """Check those of ``settings`` that a configuration has.

    :raises CacheConfigError: one is of the wrong kind; the message names it.
    """
    for setting in settings:
        setting.check(config)
