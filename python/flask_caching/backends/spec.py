"""What a backend says about itself: its names, its settings, and what they are for.

A backend is a class with a :class:`BackendSpec` in ``backend_spec``. The rest follows from that:
which ``CACHE_TYPE`` finds it, how its settings are checked, what its constructor is called with,
and what the documentation lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from datetime import timedelta
from numbers import Number
from typing import Any, Literal

from ..errors import CacheConfigError, CacheConfigTypeError

__all__ = [
    "ADDRESSES",
    "CALLABLE",
    "COUNT",
    "DURATION",
    "FLAG",
    "INTERVAL",
    "OPTIONAL_DURATION",
    "OPTIONAL_TEXT",
    "PORT",
    "SECONDS",
    "SECRET",
    "SHARE",
    "TEXT",
    "TIMEOUT",
    "BackendSpec",
    "Kind",
    "Setting",
    "as_flag",
    "as_number",
    "check",
    "number_not_flag",
    "seconds_of",
]


class Kind:
    """What a value may be.

    :param words: how a message says it: "CACHE_THRESHOLD must be a whole number, not 'many'".
    :param types: the classes whose objects are accepted.
    :param test: accepts others.
    :param read: returns what a value stands for, where that is not itself: environments know only
        text. None is a value that is not set.
    """

    def __init__(
        self,
        words: str,
        *types: type,
        test: Callable[[Any], bool] | None = None,
        read: Callable[[Any], Any] | None = None,
    ) -> None:
        self.words = words
        self._types = types
        self._test = test
        self._read = read

    def read(self, value: Any, default: Any) -> Any:
        """What ``value`` stands for.

        :param default: what stands for nothing.
        :raises ValueError: it is not of this kind.
        """
        if self._read is not None:
            value = self._read(value)
            if value is None:
                return default
        if not self.accepts(value):
            raise ValueError(self.words)
        return value

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is of this kind."""
        return isinstance(value, self._types) or (self._test is not None and self._test(value))


def as_number(value: Any) -> Any:
    """A number, also one that is written as text; None where there is none: None and blank text.

    :return: an int where it is whole; what is no number, as it is.
    """
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "":
        return None
    if type(value) is int or not isinstance(value, (str, Number)):
        return value
    try:
        # Not by way of a float, which has no more than 53 bits.
        return int(value) if isinstance(value, (str, bool)) else _whole_or_not(value)
    except (TypeError, ValueError):
        pass
    try:
        return _whole_or_not(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return value


def _whole_or_not(value: Any) -> Any:
    try:
        return int(value) if value == int(value) else float(value)
    except OverflowError:
        # An infinite one.
        return value


def number_not_flag(value: Any) -> Any:
    """:func:`as_number`, where True and False are none."""
    return value if isinstance(value, bool) else as_number(value)


def as_flag(value: Any) -> Any:
    """True or False, also written as text; None where there is none: None and blank text.

    :return: what is neither, as it is.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.strip().lower()
        return None if not text else _FLAGS.get(text, value)
    return bool(value) if isinstance(value, (int, float)) and value in (0, 1) else value


def seconds_of(value: Any) -> float:
    """A duration in seconds; a negative number for what is none.

    :param value: a number of seconds, or a ``timedelta``.
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value) if _is_number(value) and not isinstance(value, bool) else -1.0


_FLAGS = {
    **dict.fromkeys(("true", "yes", "on", "t", "y", "1"), True),
    **dict.fromkeys(("false", "no", "off", "f", "n", "0"), False),
}


def _is_number(value: Any) -> bool:
    # A NaN is none.
    return isinstance(value, (int, float)) and value == value


FLAG = Kind("True or False", bool, read=as_flag)
TIMEOUT = Kind(
    "a number of seconds or a datetime.timedelta", timedelta, test=_is_number, read=as_number
)
DURATION = Kind(
    "a number of seconds or a datetime.timedelta, 0 or more",
    test=lambda v: 0 <= seconds_of(v) < float("inf"),
    read=number_not_flag,
)
INTERVAL = Kind(
    "a number of seconds or a datetime.timedelta, 0 or more, or False",
    test=DURATION.accepts,
    read=lambda v: 0 if as_flag(v) is False else v if v is True else as_number(v),
)
OPTIONAL_DURATION = Kind(
    "a number of seconds or a datetime.timedelta, 0 or more, or None",
    test=lambda v: v is None or 0 <= seconds_of(v) < float("inf"),
    read=lambda v: v if isinstance(v, bool | None) else as_number(v),
)
SHARE = Kind(
    "a number from 0 to 1",
    test=lambda v: _is_number(v) and not isinstance(v, bool) and 0 <= v <= 1,
    read=number_not_flag,
)
SECONDS = Kind(
    "a positive number of seconds",
    test=lambda v: _is_number(v) and 0 < v < float("inf"),
    read=as_number,
)
COUNT = Kind(
    "a whole number, 0 or more", test=lambda v: isinstance(v, int) and v >= 0, read=as_number
)
PORT = Kind(
    "a port number from 1 to 65535",
    test=lambda v: isinstance(v, int) and 0 < v < 65536,
    read=as_number,
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
        """This setting with another ``option``, ``goes``, ``doc`` or ``default``."""
        return replace(self, **changes)

    def check(self, config: MutableMapping[str, Any]) -> None:
        """Put what the value in a configuration stands for in its place.

        :raises CacheConfigError: it is of the wrong kind.
        """
        if self.name in config:
            config[self.name] = self.read(config[self.name], self.name)

    def check_option(self, options: MutableMapping[str, Any]) -> None:
        """Put what the option of the backend that this setting fills stands for in its place.

        :raises CacheConfigError: it is of the wrong kind.
        """
        if self.option in options and self.kind in (FLAG, SECONDS, COUNT, PORT):
            name = f"CACHE_OPTIONS: {self.option!r}"
            options[self.option] = self.read(options[self.option], name)

    def read(self, value: Any, name: str) -> Any:
        """What ``value`` stands for.

        :param name: how a message calls it.
        :raises CacheConfigError: it is of the wrong kind.
        """
        try:
            return self.kind.read(value, self.default)
        except ValueError:
            # Its context would be an exception that has the value.
            pass
        shown = type(value).__name__ if self.secret else repr(value)
        raise CacheConfigTypeError(f"{name} must be {self.kind.words}, not {shown}")

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
    :param keeps_copies: whether ``CACHE_NEAR`` is for it; where it is not, why.
    """

    name: str
    doc: str
    settings: tuple[Setting, ...] = ()
    deprecated: tuple[str, ...] = ()
    keeps_copies: Literal[True] | str = ""

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


def check(settings: tuple[Setting, ...], config: MutableMapping[str, Any]) -> None:
    """Check those of ``settings`` that a configuration has; what stands for another becomes it.

    :raises CacheConfigError: one is of the wrong kind; the message names it.
    """
    for setting in settings:
        setting.check(config)
