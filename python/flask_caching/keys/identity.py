"""How an argument stands in a key: its repr, where that tells it apart from every other argument.

2.5.1 of Flask-Caching writes ``repr(argument)``, and so does this module, wherever two different
arguments never have one repr. The exceptions, each marked by a suffix that no such repr has:

- an object whose repr holds a memory address is told apart by a token that belongs to it as long as
  it lives, in this process only;
- an object that prints its members, such as a dataclass, is written member by member where one of
  them is not plain data;
- a set is written in the order of its members' reprs, so that equal sets of every process agree;
- a subclass of a built-in type that prints like its base, and an object whose repr does not name
  its class, get the name of the class;
- an object whose repr could as well be the reprs of several, side by side, is quoted;
- arrays and data frames, whose repr is abridged, get a digest of their content.
"""

from __future__ import annotations

import functools
import hashlib
import pickle
import re
from collections.abc import Callable
from types import FunctionType
from typing import Any

from .._shown import is_of_the_moment
from ..utils import get_id
from .addresses import shows_address
from .collisions import NameCollisions
from .members import member_names, members_of
from .plain import SCALARS, Allowance, is_plain, items_of
from .tokens import Unidentifiable, full_name, object_token

__all__ = [
    "NameCollisions",
    "Unidentifiable",
    "identified_by",
    "instance_identity",
    "is_plain",
    "object_token",
    "text_of",
    "text_of_arguments",
]

_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
#: Bits of the longest integer that every Python prints (640 digits is the smallest limit).
_LONGEST_DECIMAL = 2048
#: How deep what is not plain data is written.
_DEEPEST = 200
#: How often an argument is looked at again that another thread changes meanwhile.
_MOST_LOOKS = 5
_CHANGED_MEANWHILE = re.compile("(changed size|keys changed|mutated) during (iteration|update)")
_CLOSED_BY = {"(": ")", "[": "]", "{": "}", "<": ">"}
_SEPARATORS = (", ", ": ")
_ARROWS = ("->", "=>")
_MARKS = re.compile(r"->|=>|[,:] |[()\[\]{}<>]")
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


def text_of_arguments(arguments: tuple[Any, ...], collisions: NameCollisions) -> str:
    """The text of a call's positional arguments.

    :param arguments: the arguments.
    :param collisions: the classes of the function's arguments.
    :raises Unidentifiable: one of them cannot be told apart.
    """
    return text_of(arguments, collisions)


def text_of(value: Any, collisions: NameCollisions) -> str:
    """The text of one value; see :func:`text_of_arguments`."""
    return _written(lambda: _text_of(value, collisions))


def instance_identity(
    instance: Any, function: Callable[..., Any], collisions: NameCollisions
) -> str:
    """What stands for the instance or class that a method is called on.

    :param instance: the ``self`` or ``cls``.
    :param function: the method, undecorated.
    :param collisions: the classes of the function's arguments.
    :raises Unidentifiable: it cannot be told apart.
    """
    return _written(lambda: _instance_identity(_behind_proxy(instance), function, collisions))


def _written(write: Callable[[], str]) -> str:
    """What ``write`` returns, of what another thread may change meanwhile.

    :raises Unidentifiable: nothing can be written.
    """
    for _ in range(_MOST_LOOKS):
        try:
            return write()
        except RecursionError:
            raise Unidentifiable("an argument is nested too deeply") from None
        except RuntimeError as error:
            if _CHANGED_MEANWHILE.search(str(error)) is None:
                raise
    raise Unidentifiable("an argument is changed all the time by other threads")


def _text_of(value: Any, collisions: NameCollisions) -> str:
    if is_plain(value):
        try:
            return repr(value)
        except ValueError:
            # It holds an integer of more digits than Python prints.
            pass
    return _Writer(collisions).write(value)


def _instance_identity(
    instance: Any, function: Callable[..., Any], collisions: NameCollisions
) -> str:
    has_id = hasattr(instance, "__caching_id__")
    if not has_id and _prints_too_little(instance):
        return _Writer(collisions).write(instance)
    text = get_id(instance) if has_id else _printed(instance)
    if text is None:
        return _Writer(collisions).write(instance)
    kind = instance if isinstance(instance, type) else type(instance)
    if kind is instance:
        text += collisions.suffix(text, instance)
    elif not has_id and shows_address(text, instance) and members_of(instance) is None:
        token = object_token(instance)
        collisions.note(instance)
        return f"{text} {token}"
    definer = getattr(function, "__qualname__", "").rpartition(".")[0]
    if definer == kind.__qualname__ and getattr(function, "__module__", "") == kind.__module__:
        return text
    # Inherited: the class that defines the method, and its other subclasses, may print the same.
    if _names_class(text, kind) and definer.rpartition(".")[2] != kind.__name__:
        return text if kind is instance else text + collisions.suffix_of_name(kind)
    return f"{text} of {collisions.name_of(kind)}"


class _Writer:
    """Writes one value; keeps the containers it is in, as a value may hold itself."""

    def __init__(self, collisions: NameCollisions) -> None:
        self._collisions = collisions
        self._open: list[int] = []
        self._allowance = Allowance()

    def write(self, value: Any) -> str:
        kind = type(value)
        if kind is int and value.bit_length() > _LONGEST_DECIMAL:
            return hex(value)
        if kind in SCALARS:
            return repr(value)
        if kind in _CONTAINERS:
            return self._container(value, kind)
        return self._object(_behind_proxy(value))

    def _spend(self, value: Any, parts: int) -> None:
        if not self._allowance.spend(value, parts):
            raise Unidentifiable("an argument refers to its parts too often to be printed")

    def _container(self, value: Any, kind: type) -> str:
        if id(value) in self._open:
            level = len(self._open) - self._open.index(id(value))
            dots = "..." if level == 1 else f"...{level}"
            if kind is list:
                return f"[{dots}]"
            return f"{{{dots}}}" if kind is dict else f"({dots})"
        self._spend(value, len(value))
        if len(self._open) > _DEEPEST:
            raise Unidentifiable("an argument is nested too deeply")
        self._open.append(id(value))
        try:
            if kind is dict:
                pairs = value.copy().items()
                written = (f"{self.write(k)}: {self.write(v)}" for k, v in pairs)
                return f"{{{', '.join(written)}}}"
            members = [self.write(member) for member in items_of(value)]
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
        if kind in SCALARS or kind in _CONTAINERS:
            return self.write(value)
        self._spend(value, 0)
        if kind.__repr__ in _BUILTIN_REPRS:
            return self._like_builtin(value, kind)
        if _is_bulk(kind):
            return f"{value!r} {_content_digest(value, self._collisions)}"
        members = members_of(value)
        text = None
        if members is None or is_plain(members):
            text = _printed(value)
        if text is None:
            if members is None:
                raise Unidentifiable(
                    f"an object of {full_name(kind)} prints an integer of too many digits"
                )
            inside = self._inside(value, lambda: self.write(members))
            return f"{self._collisions.name_of(kind)}{inside}"
        if isinstance(value, type):
            return text + self._collisions.suffix(text, value)
        if members is None and shows_address(text, value):
            return self._by_identity(value, kind, text)
        if kind is re.Pattern:
            # Long patterns are cut off in their repr.
            whole = repr(value.pattern)
            return text if whole in text else f"{text} {whole}"
        if isinstance(kind.__repr__, FunctionType) and members is None and not _is_closed(text):
            return f"{text!r} of {self._collisions.name_of(kind)}"
        if _names_class(text, kind):
            return text + self._collisions.suffix_of_name(kind)
        return f"{text} of {self._collisions.name_of(kind)}"

    def _by_identity(self, value: Any, kind: type, text: str) -> str:
        if getattr(kind, "__caching_id__", None) is not None:
            identity = get_id(value)
            if not _is_closed(identity):
                identity = repr(identity)
            return f"{identity} of {self._collisions.name_of(kind)}"
        token = object_token(value)
        self._collisions.note(value)
        return f"{text} {token}"

    def _like_builtin(self, value: Any, kind: type) -> str:
        """A subclass that prints like its base: what it holds, its class, its own attributes."""
        for base in (dict, list, tuple, set, frozenset):
            if issubclass(kind, base):
                text = self._inside(value, functools.partial(self._as, base, value))
                break
        else:
            whole = issubclass(kind, int) and int(value).bit_length() > _LONGEST_DECIMAL
            text = hex(value) if whole else repr(value)
        attributes = getattr(value, "__dict__", None)
        extra = self.write(dict(attributes)) if attributes else ""
        return text if kind is bytearray else f"{text} of {self._collisions.name_of(kind)}{extra}"

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


def _printed(value: Any) -> str | None:
    """The repr of an object; None where it holds an integer of more digits than Python prints."""
    if is_of_the_moment(type(value)):
        return object.__repr__(value)
    try:
        return repr(value)
    except ValueError as error:
        if "set_int_max_str_digits" in str(error):
            return None
        raise


def _is_closed(text: str) -> bool:
    """Whether a repr shows where it ends, beside others in a list or a call.

    Its brackets are paired, it does not begin with a quote, and what separates members stands
    within brackets. ``<User a>, <User b>`` is also what two users look like.
    """
    if text[:1] in ("", "'", '"'):
        return False
    closing: list[str] = []
    for mark in _MARKS.findall(text):
        if mark in _CLOSED_BY:
            closing.append(_CLOSED_BY[mark])
        elif mark in _SEPARATORS:
            if not closing:
                return False
        elif mark not in _ARROWS and (not closing or closing.pop() != mark):
            return False
    return not closing


def _behind_proxy(value: Any) -> Any:
    """What a werkzeug proxy (``current_user``, ``g``) stands for."""
    if type(value).__module__ == "werkzeug.local" and hasattr(value, "_get_current_object"):
        return value._get_current_object()
    return value


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


def _content_digest(value: Any, collisions: NameCollisions) -> str:
    try:
        content = pickle.dumps(value, protocol=4)
    except Exception:
        token = object_token(value)
        collisions.note(value)
        return token
    return hashlib.sha256(content).hexdigest()


def identified_by(value: Any) -> str | tuple[str, ...] | None:
    """What tells an argument apart from others of its class, without the help of this module.

    :param value: the argument. Of a class it is asked for that class alone.
    :return: ``"repr"``, where it does unless it shows an address; the names of the attributes that
        it prints, where its repr does if those of these do; ``"caching_id"``; ``"identity"``; or
        None where it takes what this module does.
    """
    kind = type(value)
    if isinstance(value, type):
        plain = _repr_of(kind) is type.__repr__ and not hasattr(value, "__caching_id__")
        return "identity" if plain else None
    if _is_bulk(kind) or kind.__module__ == "werkzeug.local":
        return None
    prints_nothing = _repr_of(kind) is object.__repr__ or is_of_the_moment(kind)
    if hasattr(value, "__caching_id__"):
        return "caching_id" if prints_nothing and hasattr(kind, "__caching_id__") else None
    if prints_nothing:
        return "identity" if kind.__weakrefoffset__ else None
    names = member_names(kind)
    if names is not None:
        return names
    if members_of(value) is not None:
        return None
    return "repr" if isinstance(_repr_of(kind), FunctionType) else None


def _repr_of(kind: type) -> Any:
    return kind.__repr__
