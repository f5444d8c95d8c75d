"""The names of functions and instances as they stand in keys."""

from __future__ import annotations

import functools
import hashlib
import string
from collections.abc import Callable
from typing import Any

__all__ = [
    "del_chars",
    "function_name",
    "instance_name",
    "null_control",
    "short_digest",
    "underlying_function",
    "valid_chars",
]

#: The characters of a name that stand in a key as they are; all others are left out.
valid_chars = frozenset(string.ascii_letters + string.digits + "_.")

#: The characters of Latin-1 that are left out, and what ``str.translate`` leaves them out by.
del_chars = "".join(chr(code) for code in range(256) if chr(code) not in valid_chars)
null_control: dict[int, None] = dict.fromkeys(map(ord, del_chars))

#: Longer instance tokens are replaced by their digest.
LONGEST_TOKEN = 128


def short_digest(text: str) -> str:
    """32 hexadecimal characters that stand for ``text``."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def underlying_function(f: Any) -> Any:
    """The function behind a partial, a bound method or a callable object, which gives the name."""
    while isinstance(f, functools.partial):
        f = f.func
    f = getattr(f, "__func__", f)
    if not hasattr(f, "__name__") and callable(f):
        return underlying_function(type(f).__call__)
    return f


def function_name(f: Callable[..., Any]) -> str:
    """``module.qualname`` of ``f``, without the characters that no key holds.

    A name that differs from others only in letters outside ASCII, which would be left out, gets a
    digest of the whole name.
    """
    function = underlying_function(f)
    name = getattr(function, "__qualname__", None) or function.__name__
    return _filtered(f"{getattr(function, '__module__', None)}.{name}")


def instance_name(function: str, identity: str) -> str:
    """The name of an instance's part in a function's versions.

    :param function: the function's name.
    :param identity: what tells the instance apart (see :func:`~flask_caching.utils.get_id`).
    """
    token = _filtered(identity)
    if len(token) > LONGEST_TOKEN or not token:
        token = short_digest(identity)
    return f"{function}.{token}"


def _filtered(name: str) -> str:
    kept = "".join(character for character in name if character in valid_chars)
    if name.isascii():
        return kept
    return kept + short_digest(name)
