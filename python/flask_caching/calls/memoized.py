"""``Cache.memoize``: functions and methods, cached by their arguments."""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._engine import CallParts, hold_flights
from ..backends._bytes.owed import owing
from ..keys.closures import identity_beside_name
from ..keys.identity import NameCollisions, instance_identity, is_plain, text_of, text_of_arguments
from ..keys.names import function_name, instance_name, short_digest
from ..keys.signature import ArgumentOrder
from ..keys.versions import memver_name, new_version
from ..mistakes import check_ignored_arguments
from ..signals import cache_memoize_hit, cache_memoize_miss
from ..utils import normalize_timeout
from .policy import CallOptions, CallPolicy, Description, callable_or_none

if TYPE_CHECKING:
    from ..cache import Cache
    from ..extension.state import AppState

__all__ = ["MemoizeOptions", "MemoizePolicy"]

#: How many characters of the hash stand in a key.
_HASH_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoizeOptions(CallOptions):
    """The options of ``memoize``."""

    make_name: Callable[..., str] | None = None
    args_to_ignore: Any = None


class MemoizePolicy(CallPolicy):
    """A function decorated with ``memoize``."""

    signals = CallPolicy.signals | {"hits": cache_memoize_hit, "misses": cache_memoize_miss}
    signals_function = True
    #: Makes the keys where a subclass of ``Cache`` does: given the function and its arguments.
    make_key: Callable[..., str] | None = None

    def __init__(self, cache: Cache, f: Callable[..., Any], options: MemoizeOptions) -> None:
        super().__init__(cache, f, options)
        args_to_ignore = options.args_to_ignore
        self.make_name = callable_or_none("make_name", options.make_name)
        self._collisions = NameCollisions(self._note_identity)
        #: Whether ``args_to_ignore`` cannot be names at all: then no key can be made.
        self._no_names = bool(args_to_ignore) and not isinstance(args_to_ignore, Iterable)
        self.args_to_ignore = args_to_ignore
        self.order = ArgumentOrder(f, None if self._no_names else args_to_ignore)
        check_ignored_arguments(f, args_to_ignore, self.order.takes_any_name)
        self.namespace = function_name(f)
        self._particular = identity_beside_name(
            cache._first_of_name, f, by_code=self.source_check is not False
        )
        #: The name that the versions are kept under: the namespace, and a digest of what else
        #: tells the function apart.
        self._versioned = self.namespace
        if self._particular:
            self._versioned += f".{short_digest(self._particular)}"
        self._function_version = memver_name(self._versioned)
        bound_to = getattr(f, "__self__", None)
        self._bound_to = None if isinstance(bound_to, (type, type(sys))) else bound_to

    # Calls.

    def parts(self) -> CallParts:
        order = self.order
        if self.make_key is not None:
            return CallParts.unknown()
        if self.make_name is not None or self._bound_to is not None or self._no_names:
            return CallParts.unknown()
        return CallParts.arguments(
            order.ignored_places, order.ignored_names, order.changeable, self._recipe()
        )

    def _recipe(self) -> dict[str, Any] | None:
        """How the road makes keys of plain arguments (its ``Recipe``); None where an option has a
        say."""
        order = self.order
        if (
            self.source_check
            or self.hash_method not in (None, hashlib.sha256)
            or order.on_instance
            or order.on_class
            or order.ignored_names
            or order.changeable
            or not is_plain(order.defaults)
        ):
            return None
        return {
            "name": self.namespace + self._particular,
            "version_name": self._function_version,
            "positional": order.positional,
            "defaults": [repr(default) for default in order.defaults],
            "takes_more": order.takes_more,
        }

    def makes_plain_keys(self) -> bool:
        place = self.place()
        return place is not None and (
            not (self.has_conditions or place[0].has_conditions)
            and self.cache._hash_method_of(place[0]) is hashlib.sha256
            and not self.cache._source_check_of(place[0])
        )

    def description(
        self, state: AppState, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Description:
        if self.make_key is not None:
            return Description(self.make_key(self.f, *args, **kwargs))
        # A wrong timeout is no failure of the cache, so it is noticed before the cache is asked.
        normalize_timeout(self.wrapper.cache_timeout)
        text, names = self._text(state, args, kwargs)
        prefix = base64.b64encode(self.digest(state, text).digest())[:_HASH_LENGTH].decode()
        return Description(prefix, tuple(names))

    def make_cache_key(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> str:
        """The key of a call of the function with these arguments.

        :param f: the undecorated function (``decorated.uncached``), or the decorated one.
        """
        if not callable(f):
            raise TypeError(
                f"{f!r} is not a callable object: the first argument is the function, as in "
                f"{self.name}.make_cache_key({self.name}.uncached, ...)"
            )
        if self.make_key is not None:
            return self.make_key(self.f, *args, **kwargs)
        state, backend = self.cache._place()
        key: str = self.road.key(state, backend, self.description(state, args, kwargs))
        return key

    def _text(
        self, state: AppState, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, list[str]]:
        """The text that is hashed, and the names of the versions that apply."""
        if self._no_names:
            raise TypeError(f"args_to_ignore={self.args_to_ignore!r} is no list of names")
        order = self.order
        ordered, rest = order.normalize(args, kwargs)
        names = [self._function_version]
        if (order.on_instance or order.on_class) and ordered and not order.ignores_first:
            identity = instance_identity(ordered[0], self.f, self._collisions)
            ordered[0] = identity
            if order.on_instance:
                names.append(memver_name(instance_name(self._versioned, identity)))
        elif self._bound_to is not None:
            names += self.names_of(self._bound_to)
        name = self.namespace if self.make_name is None else self.make_name(self.namespace)
        text = (
            f"{name}{self._particular}{text_of_arguments(tuple(ordered), self._collisions)}"
            f"{_text_of_keywords(rest, self._collisions)}{self.source(state)}"
        )
        return text, names

    def _note_identity(self, value: Any) -> None:
        self.note_once(
            "identity",
            "%s is cached by the identity of a %s object, in this process only, because its repr "
            "is a memory address. Give the class a __repr__ or a __caching_id__ method that says "
            "what the object stands for.",
            self.name,
            type(value).__qualname__,
        )

    # Versions.

    def reset(self, names: list[str]) -> None:
        """Forget all entries under the versions of these names."""
        _, backend = self.cache._place()
        versions = {name: new_version() for name in names}
        timeout = normalize_timeout(self.wrapper.cache_timeout)

        def replace() -> None:
            # Without a version its entries are not found either.
            with owing(backend, names):
                self.cache.set_many(versions, timeout=timeout)

        hold_flights(self.cache._owner_of_flights(backend), tuple(names), replace)

    def names_of(self, instance: Any) -> list[str]:
        """The names of the versions: the instance's own, or the function's where there is none."""
        if self._bound_to is not None:
            instance = self._bound_to
        elif not self.order.on_instance or self.order.ignores_first:
            instance = None
        if instance is None or isinstance(instance, type):
            return [self._function_version]
        identity = instance_identity(instance, self.f, self._collisions)
        return [memver_name(instance_name(self._versioned, identity))]


def _text_of_keywords(keywords: dict[str, Any], collisions: NameCollisions) -> str:
    """The keywords as the repr of an ``OrderedDict`` of this Python's."""
    if not keywords:
        return "OrderedDict()"
    values = {name: text_of(value, collisions) for name, value in keywords.items()}
    if sys.version_info >= (3, 12):
        return "OrderedDict({" + ", ".join(f"{n!r}: {v}" for n, v in values.items()) + "})"
    return "OrderedDict([" + ", ".join(f"({n!r}, {v})" for n, v in values.items()) + "])"
