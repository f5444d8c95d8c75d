"""How an argument stands in a key: its repr, where that tells it apart from every other argument.

2.5.1 of Flask-Caching writes ``repr(argument)``, and so does this module, wherever two different
arguments never have one repr. The exceptions, each marked by a suffix that no such repr has:

- an object whose repr holds a memory address is told apart by a token that belongs to it as long as
  it lives, in this process only;
- an object that prints its members, such as a dataclass, is written member by member where one of
  them is not plain data;
- a set is written in the order of its members' reprs, so that equal sets of every process agree;
- a subclass of a built-in type that prints like its base, and an object whose repr does not name
its
  class, get the name of the class;
- arrays and data frames, whose repr is abridged, get a digest of their content.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import re
import sys
import threading
import uuid
import weakref
from collections.abc import Callable
from types import FunctionType
from typing import Any

from ..errors import CacheKeyError
from ..utils import get_id
from .members import member_names, members_of

__all__ = [
    "Rivals",
    "Unidentifiable",
    "instance_identity",
    "is_plain",
    "object_token",
    "text_of",
    "text_of_arguments",
    "told_apart_by",
]

_SCALARS = frozenset({str, bytes, int, float, bool, type(None), complex, type(Ellipsis)})
#: Bits of the longest integer that every Python prints (640 digits is the smallest limit).
_LONGEST_DECIMAL = 2048
#: As CPython prints addresses; shorter hexadecimal numbers are an application's own data.
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+|\b0x[0-9a-fA-F]{9,16}\b")
_BUILTIN_REPRS: frozenset[Any] = frozenset(
    kind.__repr__
    for kind in (
        str,
        bytes,
        bytearray,
        int,
        float,
        complex,
        bool,
        list,
        tuple,
        dict,
        set,
        frozenset,
    )
)
#: Packages whose types abridge or round what they print.
_BULK_PACKAGES = frozenset(
    {"numpy", "pandas", "polars", "pyarrow", "scipy", "torch", "xarray", "array", "jax", "cupy"}
)


class Unidentifiable(CacheKeyError):
    """The argument cannot be told apart from others: the call is not cached."""


def is_plain(value: Any, _depth: int = 0) -> bool:
    """Whether ``repr(value)`` identifies ``value``: built-in data all through, sets excepted."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if _depth > 40:
        return _is_plain_deep_down(value)
    if kind is tuple or kind is list:
        return all(is_plain(item, _depth + 1) for item in value)
    if kind is dict:
        return all(is_plain(k, _depth + 1) and is_plain(v, _depth + 1) for k, v in value.items())
    return False


def _is_plain_deep_down(value: Any) -> bool:
    """:func:`is_plain` without recursion."""
    seen: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind in _SCALARS:
            continue
        if kind not in (tuple, list, dict) or len(seen) > 10_000:
            return False
        if id(item) not in seen:
            seen.add(id(item))
            pending.extend(item)
            if kind is dict:
                pending.extend(item.values())
    return True


def text_of_arguments(arguments: tuple[Any, ...], rivals: Rivals) -> str:
    """The text of a call's positional arguments.

    :param arguments: the arguments.
    :param rivals: the classes of the function's arguments.
    :raises Unidentifiable: one of them cannot be told apart.
    """
    return text_of(arguments, rivals)


def text_of(value: Any, rivals: Rivals) -> str:
    """The text of one value; see :func:`text_of_arguments`."""
    try:
        if is_plain(value):
            try:
                return repr(value)
            except ValueError:
                # It holds an integer of more digits than Python prints.
                pass
        return _Writer(rivals).write(value)
    except RecursionError:
        raise Unidentifiable("an argument is nested too deeply") from None


def instance_identity(instance: Any, function: Callable[..., Any], rivals: Rivals) -> str:
    """What stands for the instance or class that a method is called on.

    :param instance: the ``self`` or ``cls``.
    :param function: the method, undecorated.
    :param rivals: the classes of the function's arguments.
    :raises Unidentifiable: it cannot be told apart.
    """
    instance = _behind_proxy(instance)
    if not hasattr(instance, "__caching_id__") and _prints_too_little(instance):
        return _Writer(rivals).write(instance)
    text = get_id(instance)
    kind = instance if isinstance(instance, type) else type(instance)
    if kind is instance:
        text += rivals.suffix(text, instance)
    elif not hasattr(instance, "__caching_id__") and _prints_address(text, instance):
        token = _tokens.token(instance)
        rivals.note(instance)
        return f"{text} {token}"
    definer = getattr(function, "__qualname__", "").rpartition(".")[0]
    if definer == kind.__qualname__ and getattr(function, "__module__", "") == kind.__module__:
        return text
    # Inherited: the class that defines the method, and its other subclasses, may print the same.
    if _names_class(text, kind) and definer.rpartition(".")[2] != kind.__name__:
        return text if kind is instance else text + rivals.suffix_of_name(kind)
    return f"{text} of {_full_name(kind)}"


class _Writer:
    """Writes one value; keeps the containers it is in, as a value may hold itself."""

    def __init__(self, rivals: Rivals) -> None:
        self._rivals = rivals
        self._open: list[int] = []

    def write(self, value: Any) -> str:
        kind = type(value)
        if kind is int and value.bit_length() > _LONGEST_DECIMAL:
            return hex(value)
        if kind in _SCALARS:
            return repr(value)
        if kind in (list, tuple, dict, set, frozenset):
            return self._container(value, kind)
        return self._object(_behind_proxy(value))

    def _container(self, value: Any, kind: type) -> str:
        if id(value) in self._open:
            level = len(self._open) - self._open.index(id(value))
            dots = "..." if level == 1 else f"...{level}"
            if kind is list:
                return f"[{dots}]"
            return f"{{{dots}}}" if kind is dict else f"({dots})"
        if len(self._open) > 200:
            raise Unidentifiable("an argument is nested too deeply")
        self._open.append(id(value))
        try:
            if kind is dict:
                return (
                    "{"
                    + ", ".join(f"{self.write(k)}: {self.write(v)}" for k, v in value.items())
                    + "}"
                )
            members = [self.write(member) for member in value]
        finally:
            self._open.pop()
        if kind is list:
            return f"[{', '.join(members)}]"
        if kind is tuple:
            return f"({members[0]},)" if len(members) == 1 else f"({', '.join(members)})"
        if not members:
            return f"{kind.__name__}()"
        text = f"{{{', '.join(sorted(members))}}}"
        return text if kind is set else f"frozenset({text})"

    def _object(self, value: Any) -> str:
        kind = type(value)
        if kind in _SCALARS or kind in (list, tuple, dict, set, frozenset):
            return self.write(value)
        if kind.__repr__ in _BUILTIN_REPRS:
            return self._like_builtin(value, kind)
        if _is_bulk(kind):
            return f"{value!r} {_content_digest(value, self._rivals)}"
        members = members_of(value)
        if members is not None and not is_plain(members):
            return f"{_full_name(kind)}{self._inside(value, lambda: self.write(members))}"
        text = repr(value)
        if isinstance(value, type):
            return text + self._rivals.suffix(text, value)
        if _prints_address(text, value):
            identity = getattr(kind, "__caching_id__", None)
            if identity is not None:
                return f"{get_id(value)} of {_full_name(kind)}"
            token = _tokens.token(value)
            self._rivals.note(value)
            return f"{text} {token}"
        if kind is re.Pattern:
            # Long patterns are cut off in their repr.
            whole = repr(value.pattern)
            return text if whole in text else f"{text} {whole}"
        if _names_class(text, kind):
            return text + self._rivals.suffix_of_name(kind)
        return f"{text} of {_full_name(kind)}"

    def _like_builtin(self, value: Any, kind: type) -> str:
        """A subclass that prints like its base: what it holds, its class, its own attributes."""
        for base in (dict, list, tuple, set, frozenset):
            if issubclass(kind, base):
                text = self._inside(value, functools.partial(self._as, base, value))
                break
        else:
            text = repr(value)
        attributes = getattr(value, "__dict__", None)
        extra = self.write(dict(attributes)) if attributes else ""
        return text if kind is bytearray else f"{text} of {_full_name(kind)}{extra}"

    def _as(self, base: type, value: Any) -> str:
        return self.write(base(value))

    def _inside(self, value: Any, write: Callable[[], str]) -> str:
        """What ``write`` makes of the members of ``value``, which may hold itself."""
        if id(value) in self._open:
            return f"(...{len(self._open) - self._open.index(id(value))})"
        self._open.append(id(value))
        try:
            return write()
        finally:
            self._open.pop()


def _behind_proxy(value: Any) -> Any:
    """What a werkzeug proxy (``current_user``, ``g``) stands for."""
    if type(value).__module__ == "werkzeug.local" and hasattr(value, "_get_current_object"):
        return value._get_current_object()
    return value


def _prints_address(text: str, value: Any) -> bool:
    return (
        _ADDRESS.search(text) is not None
        or f"{id(value):x}" in text.lower()
        or str(id(value)) in text
    )


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


@functools.lru_cache(maxsize=1024)
def _class_name_pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")


def _names_class(text: str, kind: type) -> bool:
    """Whether the repr names its object's class, so that no other class prints the same."""
    return _class_name_pattern(kind.__name__).search(text) is not None


def _prints_too_little(value: Any) -> bool:
    """Whether an object prints its members, and these less than what tells them apart."""
    kind = type(value)
    members = members_of(value)
    if members is None and kind.__repr__ in _BUILTIN_REPRS:
        base = next((b for b in (list, dict, tuple, set, frozenset) if issubclass(kind, b)), None)
        members = None if base is None else base(value)
    return _is_bulk(kind) or (members is not None and not is_plain(members))


def _is_bulk(kind: type) -> bool:
    return any(
        base.__module__.partition(".")[0] in _BULK_PACKAGES
        and (hasattr(base, "__array__") or hasattr(base, "__dataframe__") or hasattr(base, "shape"))
        for base in kind.__mro__
    )


def _content_digest(value: Any, rivals: Rivals) -> str:
    try:
        content = pickle.dumps(value, protocol=4)
    except Exception:
        token = _tokens.token(value)
        rivals.note(value)
        return token
    return hashlib.sha256(content).hexdigest()


class _Tokens:
    """A token for each object that has nothing else to be told apart by, while it lives."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # A forked child shares no token with its parent: their copies of an object part ways.
        self._process = uuid.uuid4().hex
        self._count = 0
        self._lock = threading.RLock()
        self._known: dict[int, tuple[weakref.ref[Any], str]] = {}

    def known(self, value: Any) -> str | None:
        """The token of an object that has one already."""
        entry = self._known.get(id(value))
        return entry[1] if entry is not None and entry[0]() is value else None

    def token(self, value: Any) -> str:
        known = self.known(value)
        if known is not None:
            return known
        key = id(value)
        table = self._known

        def forget(reference: weakref.ref[Any]) -> None:
            entry = table.get(key)
            if entry is not None and entry[0] is reference:
                table.pop(key, None)

        try:
            reference = weakref.ref(value, forget)
        except TypeError:
            raise Unidentifiable(
                f"an object of {_full_name(type(value))} prints its memory address and cannot be "
                "referenced weakly; give it a __repr__ or a __caching_id__ method"
            ) from None
        with self._lock:
            known = self.known(value)
            if known is not None:
                return known
            self._count += 1
            token = f"{self._process}.{self._count}"
            self._known[key] = (reference, token)
        return token


class Rivals:
    """The classes that a function is called with: the first of a name keeps its repr.

    They belong to a function, so that those of an application factory, which makes its classes and
    functions again, have the same keys each time.

    :param note: called with each object that had to be told apart by its identity.
    """

    def __init__(self, note: Callable[[Any], None]) -> None:
        self.note = note
        self._first: dict[str, weakref.ref[type]] = {}
        self._first_of_name: dict[str, str] = {}

    def suffix_of_name(self, kind: type) -> str:
        """What tells the objects of a class from those of another class of its name."""
        full_name = _full_name(kind)
        first = self._first_of_name.setdefault(kind.__name__, full_name)
        suffix = "" if first == full_name else f" of {full_name}"
        return suffix + self.suffix(full_name, kind)

    def suffix(self, text: str, kind: type) -> str:
        """What tells a class from another that prints, or is called, ``text``.

        A class that its module holds under its name has no rival; of the others, that were made in
        a function, all but the first get a token.
        """
        if _is_importable(kind):
            return ""
        first = self._first.setdefault(text, weakref.ref(kind))
        return "" if first() is kind else f" {_tokens.token(kind)}"


def _is_importable(kind: type) -> bool:
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind


_tokens = _Tokens()


def told_apart_by(value: Any) -> str | tuple[str, ...] | None:
    """What tells an argument apart from others of its class, without the help of this module.

    :param value: the argument.
    :return: ``"repr"``; the names of the attributes that it prints, where its repr does if those of
        these do; ``"caching_id"``; ``"identity"``; or None where it takes what this module does.
    """
    if isinstance(value, type):
        plain = type(value) is type and not hasattr(value, "__caching_id__")
        return "identity" if plain else None
    kind = type(value)
    if _is_bulk(kind) or kind.__module__ == "werkzeug.local":
        return None
    prints_nothing = _repr_of(kind) is object.__repr__
    if hasattr(value, "__caching_id__"):
        return "caching_id" if prints_nothing and hasattr(kind, "__caching_id__") else None
    if prints_nothing:
        return "identity" if kind.__weakrefoffset__ else None
    if _prints_address(repr(value), value):
        return None
    names = member_names(kind)
    if names is not None:
        return names
    if members_of(value) is not None:
        return None
    return "repr" if isinstance(_repr_of(kind), FunctionType) else None


def _repr_of(kind: type) -> Any:
    return kind.__repr__


def object_token(value: Any) -> str:
    """The token of an object, in this process, while it lives.

    :raises Unidentifiable: the object cannot be referenced weakly.
    """
    return _tokens.token(value)
