"""Small public helpers: names, arguments, timeouts, fragment keys."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.datastructures import MultiDict

from ._engine import normalize_timeout as _normalize_timeout
from .keys.names import (
    del_chars,
    function_name,
    instance_name,
    null_control,
    short_digest,
    valid_chars,
)

__all__ = [
    "FragmentKey",
    "del_chars",
    "function_namespace",
    "get_arg_default",
    "get_arg_names",
    "get_function_parameters",
    "get_id",
    "join_generator",
    "make_template_fragment_key",
    "normalize_timeout",
    "null_control",
    "query_args_as_pairs",
    "valid_chars",
    "wants_args",
    "wants_extra_args",
]

TEMPLATE_FRAGMENT_KEY_TEMPLATE = "_template_fragment_cache_%s%s"

_TAKES_ARGUMENTS = frozenset(inspect._ParameterKind) - {inspect.Parameter.KEYWORD_ONLY}


#: What is put behind the public string where it does not say which fragment is meant: a digest, or,
#: for a block without a name, its number in its line, or both.
_PLACE = re.compile(r"#(?:[0-9a-f]{32}|#[0-9]+(?: [0-9a-f]{32})?)\Z")


def looks_like_place(text: str) -> bool:
    """Whether ``text`` ends like the storage of a fragment whose public string is ambiguous."""
    return _PLACE.search(text) is not None


class FragmentKey(str):
    """The key of a template fragment: its public string, and where the fragment is stored.

    ``("a_b", ["c"])`` and ``("a", ["b_c"])`` have one public string. Where another name and other
    keys could be written the same way, :attr:`storage` tells them apart by a digest; elsewhere it
    is the string itself. What looks as if it ended in a digest gets one, too: no name and no keys
    can be chosen to be stored in the place of others. :class:`~flask_caching.Cache` reads and
    deletes by :attr:`storage`.
    """

    storage: str
    #: Whether it is where a fragment is stored, and not a name that has to be looked up.
    is_place = False

    @classmethod
    def at(cls, place: str) -> FragmentKey:
        """The key of the fragment that is stored at ``place``."""
        key = super().__new__(cls, place)
        key.storage = place
        key.is_place = True
        return key

    def __new__(cls, fragment_name: str, vary_on: Iterable[Any] = ()) -> FragmentKey:
        name_and_keys = [_text_of_part(part) for part in (fragment_name, *vary_on)]
        text = TEMPLATE_FRAGMENT_KEY_TEMPLATE % (
            name_and_keys[0],
            "".join(f"_{part}" for part in name_and_keys[1:]),
        )
        key = super().__new__(cls, text)
        is_ambiguous = any("_" in part for part in name_and_keys) or looks_like_place(text)
        digest = f"#{short_digest(repr(tuple(name_and_keys)))}" if is_ambiguous else ""
        key.storage = text + digest
        return key

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickled and copied elsewhere it is the public string.
        return (str, (str(self),))


def _text_of_part(part: Any) -> str:
    try:
        return str(part)
    except ValueError:
        # An integer of more digits than Python prints.
        if isinstance(part, int):
            return hex(part)
        raise


def make_template_fragment_key(fragment_name: str, vary_on: list[Any] | None = None) -> str:
    """The key under which ``{% cache %}`` stores a fragment.

    :param fragment_name: the first key of the tag.
    :param vary_on: the further keys of the tag; each is written with ``str()``.
    :return: the key, to be handed to :meth:`~flask_caching.Cache.delete` and its like as it is.
    """
    return FragmentKey(fragment_name, vary_on or ())


def normalize_timeout(timeout: int | float | timedelta | str | None) -> Any:
    """A timeout in the form that every backend takes.

    :param timeout: None (the default timeout), seconds, a string of digits or a ``timedelta``.
    :return: seconds; a ``timedelta`` is rounded up to whole ones. None stays None.
    :raises ValueError: a string that is not a whole number.
    """
    return _normalize_timeout(timeout)


def join_generator(rv: Any) -> Any:
    """What an iterable yields, as one value that can be stored.

    :param rv: an iterable; a str, bytes or what cannot be iterated is returned as it is.
    :return: one str or bytes where all pieces are that, otherwise a list of the pieces.
    """
    if isinstance(rv, (str, bytes)) or not isinstance(rv, Iterable):
        return rv
    pieces = list(rv)
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    if all(isinstance(piece, bytes) for piece in pieces):
        return b"".join(pieces)
    return pieces


def get_function_parameters(f: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of ``f``, annotations unevaluated."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        signature = inspect.signature(f, annotation_format=Format.FORWARDREF)
    else:
        signature = inspect.signature(f)
    return list(signature.parameters.values())


def get_arg_names(f: Callable[..., Any]) -> list[str]:
    """The names of the parameters of ``f`` that can be given by position and by name."""
    return [
        p.name
        for p in get_function_parameters(f)
        if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]


def get_arg_default(f: Callable[..., Any], position: int) -> Any:
    """The default of the parameter at ``position``, None where it has none."""
    default = get_function_parameters(f)[position].default
    return None if default is inspect.Parameter.empty else default


def wants_args(f: Callable[..., Any]) -> bool:
    """Whether ``f`` can be called with the arguments of a call."""
    return any(p.kind in _TAKES_ARGUMENTS for p in get_function_parameters(f))


def wants_extra_args(f: Callable[..., Any]) -> bool:
    """Whether ``f`` takes more than one argument."""
    return len([p for p in get_function_parameters(f) if p.kind in _TAKES_ARGUMENTS]) > 1


def get_id(obj: Any) -> str:
    """What tells ``obj`` apart from others of its class: ``__caching_id__()``, else its repr.

    A class is identified by a ``__caching_id__`` of its own (a class method or one of its
    metaclass), not by that of its instances.
    """
    method = getattr(obj, "__caching_id__", None)
    if method is not None and not (isinstance(obj, type) and not hasattr(method, "__self__")):
        return str(method())
    return repr(obj)


def function_namespace(f: Callable[..., Any], args: Any = None) -> tuple[str, str | None]:
    """The names under which the versions of a memoized function are kept.

    :param f: the function or method.
    :param args: the arguments of a call, from which the instance is taken.
    :return: the function's name, and the instance's where ``f`` is called on one.
    """
    instance = getattr(f, "__self__", None)
    if instance is None and args and get_arg_names(f)[:1] == ["self"]:
        instance = args[0]
    name = function_name(f)
    if instance is None or isinstance(instance, type):
        return name, None
    return name, instance_name(name, get_id(instance))


def query_args_as_pairs(
    query_args: str | Mapping[str, Any] | Iterable[tuple[str, Any]],
) -> list[tuple[str, str]]:
    """Query arguments as pairs of strings.

    :param query_args: a query string (a leading ``?`` is ignored), a mapping, or pairs.
    """
    if isinstance(query_args, str):
        return parse_qsl(query_args.removeprefix("?"), keep_blank_values=True)
    if isinstance(query_args, MultiDict):
        return [(str(name), str(value)) for name, value in query_args.items(multi=True)]
    if isinstance(query_args, Mapping):
        return [(str(name), str(value)) for name, value in query_args.items()]
    return [(str(name), str(value)) for name, value in query_args]
