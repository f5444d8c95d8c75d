"""``Cache.memoize``: functions and methods, cached by their arguments."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _access
from ._access import MISSING
from ._context import active_context, active_extensions
from ._decorated import Decorated, Lookup
from ._engine import Deadline, MemoizedHits
from ._proxies import Proxies
from .backends._owed import owing
from .keys.closures import identity_beside_name
from .keys.identity import Rivals, instance_identity, text_of, text_of_arguments
from .keys.names import function_name, instance_name, short_digest
from .keys.signature import ArgumentOrder
from .signals import cache_memoize_hit, cache_memoize_miss
from .utils import normalize_timeout

if TYPE_CHECKING:
    from ._state import AppState
    from .cache import Cache

__all__ = ["MemoizedFunctionCore", "memver_name", "new_version"]

#: How many characters of the hash stand in a key.
_HASH_LENGTH = 16
_VERSION_LENGTH = 6

#: Of how many instances the last versions are remembered.
_MOST_GUESSES = 10_000


def memver_name(namespace: str) -> str:
    """The key under which the version of a function or instance is kept."""
    return f"{namespace}_memver"


def new_version() -> str:
    """A version that no entry was stored under yet."""
    return base64.b64encode(os.urandom(_VERSION_LENGTH))[:_VERSION_LENGTH].decode()


class MemoizedFunctionCore(Decorated):
    """A function decorated with ``memoize``.

    :param make_name: given the function's name, returns the one that stands in keys.
    :param args_to_ignore: names of arguments that are left out of keys.
    """

    hit_signal = cache_memoize_hit
    miss_signal = cache_memoize_miss
    signals_function = True

    def __init__(
        self,
        cache: Cache,
        f: Callable[..., Any],
        *,
        make_name: Callable[..., str] | None,
        args_to_ignore: list[str] | None,
        **options: Any,
    ) -> None:
        super().__init__(cache, f, **options)
        self.make_name = make_name
        self._rivals = Rivals(self._note_identity)
        self.order = ArgumentOrder(f, args_to_ignore)
        self.namespace = function_name(f)
        self._particular = identity_beside_name(
            cache._first_of_name, f, by_code=self.source_check is not False
        )
        #: Under what name the versions are kept; the namespace, where that says it all.
        self._versioned = self.namespace
        if self._particular:
            self._versioned += f".{short_digest(self._particular)}"
        self._function_names = [memver_name(self._versioned)]
        self._longest: dict[str, Any] = {}
        self._last_versions: dict[tuple[Any, ...], tuple[str, ...]] = {}
        self.built_in_make_cache_key = self.make_cache_key
        bound_to = getattr(f, "__self__", None)
        self._bound_to = None if isinstance(bound_to, (type, type(sys))) else bound_to

    # Hits.

    def is_unchanged(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        return not self.order.changeable and super().is_unchanged(args, kwargs)

    def make_hits(self) -> Any:
        order = self.order
        if self.is_async or self.make_name is not None or self._bound_to is not None:
            return None
        self.hits = MemoizedHits(
            self.cache,
            self.cache._guard,
            Proxies,
            self.answer,
            not self.cache_none,
            order.ignored_places,
            order.ignored_names,
            order.changeable,
            self._recipe(),
        )
        return self.hits

    def _recipe(self) -> Any:
        """What a miss can be computed with natively; None where an option has a say."""
        order = self.order
        if (
            not self.is_simple
            or self.response_filter is not None
            or self.source_check
            or self.hash_method not in (None, hashlib.sha256)
            or order.on_instance
            or order.on_class
            or order.ignored_names
        ):
            return None
        return (
            self.f,
            self.namespace + self._particular,
            order.positional,
            order.defaults,
            order.takes_more,
            self.wrapper.__dict__,
            self._finish_native,
        )

    def _may_compute_natively(self, state: AppState) -> bool:
        return not state.enable_signals and self._has_plain_keys(state)

    def _has_plain_keys(self, state: AppState) -> bool:
        """Whether keys are made as the recipe makes them."""
        return self.cache._hash_method_of(
            state
        ) is hashlib.sha256 and not self.cache._source_check_of(state)

    def _finish_native(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        rv: Any,
        key: str,
        version_name: str,
        version: str,
        mark: int,
    ) -> Any:
        """Store a result that was computed natively and is not plain data, and return it.

        :param mark: when the computation began, in the order of the backend's deletions.
        """
        state, backend = self._place()
        lookup = Lookup(state, backend)
        if state is None:
            return rv
        lookup.key = key
        lookup.versions = {version_name: version}
        lookup.computation = state.in_flight.begin(key)
        try:
            if backend._deleted_since(key, mark):
                lookup.key = None
            return self._finish(lookup, rv, args, kwargs)
        finally:
            self._end(lookup)

    def wrap_hits(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def decorated_function(*args: Any, **kwargs: Any) -> Any:
            context = active_context(None)
            return call(args, kwargs, None if context is None else context.app.extensions)

        return decorated_function

    def find_hit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.hits.get(args, kwargs, active_extensions())

    def find_signalled_hit(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, Any] | None:
        found: tuple[str, Any] | None = self.hits.get_keyed(args, kwargs, active_extensions())
        return found

    def remember(self, lookup: Lookup, key: str, args: tuple[Any, ...], kwargs: Any) -> None:
        assert lookup.state is not None
        self.hits.remember(
            args,
            kwargs,
            lookup.backend,
            key,
            lookup.versions,
            lookup.state.enable_signals,
            self._may_compute_natively(lookup.state),
        )

    # Keys.

    def find_key(self, lookup: Lookup, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        state, backend = lookup.state, lookup.backend
        assert state is not None
        known = self._known_key(args, kwargs)
        if known is not None:
            lookup.is_known = True
            lookup.versions = {self._function_names[0]: known[_HASH_LENGTH:]}
            return known
        prefix, names = self._prefix(state, args, kwargs)
        # Outside of the attempt: a timeout that is none is not a failure of the cache.
        timeout = normalize_timeout(self.wrapper.cache_timeout)
        guesses = _access.saves_round_trips(self.cache, backend)
        doing = "reading"
        try:
            if guesses:
                found = self._found_with_guess(lookup, prefix, names)
            else:
                found = _access.read_many(self.cache, backend, names)
            doing = "storing"
            made_until: dict[str, Deadline] = {}
            lookup.versions = self._completed(backend, names, found, timeout, made_until)
            lookup.made_until = made_until
            if guesses:
                self._keep_versions(lookup, names)
        except Exception as error:
            state.failed(backend, error, doing, self.name)
            return None
        return prefix + "".join(lookup.versions.values())

    def _known_key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """The key of a call made before, where an application's own ``get`` asks for it."""
        if self.hits is None or self.order.on_instance or not self.cache._guard.patched:
            return None
        key: str | None = self.hits.key(args, kwargs, active_extensions())
        return key

    def _found_with_guess(self, lookup: Lookup, prefix: str, names: list[str]) -> list[Any]:
        """The versions under ``names``; None for those that are not there.

        As each question waits for a server, the value is asked for in the same breath, under the
        key it has if the versions are still the last ones seen.
        """
        assert lookup.state is not None
        last = self._last_versions.get((lookup.state.number, *names))
        if last is None:
            return _access.read_many(self.cache, lookup.backend, names)
        guess = prefix + "".join(last)
        *versions, value = lookup.backend._read_many(*names, guess)
        lookup.prefetched = guess, value
        return [None if version is MISSING else version for version in versions]

    def _keep_versions(self, lookup: Lookup, names: list[str]) -> None:
        """Remember versions for the next guess."""
        assert lookup.state is not None
        place, versions = (lookup.state.number, *names), tuple(lookup.versions.values())
        if self._last_versions.get(place) != versions:
            if len(self._last_versions) >= _MOST_GUESSES:
                self._last_versions.clear()
            self._last_versions[place] = versions

    def make_cache_key(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> str:
        """The key of a call of the function with these arguments.

        :param f: the undecorated function (``decorated.uncached``), or the decorated one.
        """
        if not callable(f):
            raise TypeError(
                f"{f!r} is not a callable object: the first argument is the function, as in "
                f"{self.name}.make_cache_key({self.name}.uncached, ...)"
            )
        state, backend = self.cache._place()
        prefix, names = self._prefix(state, args, kwargs)
        found = _access.read_many(self.cache, backend, names)
        timeout = normalize_timeout(self.wrapper.cache_timeout)
        return prefix + "".join(self._completed(backend, names, found, timeout, {}).values())

    def _prefix(
        self, state: AppState, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, list[str]]:
        """The part of the key that the arguments make, and the names of the versions that apply."""
        hits = None if self.order.on_instance else self.hits
        if hits is not None:
            prefix = hits.prefix(args, kwargs, state.number, self._has_plain_keys(state))
            if prefix is not None:
                return prefix, self._function_names
        text, names = self._describe(state, args, kwargs)
        prefix = base64.b64encode(self.digest(state, text).digest())[:_HASH_LENGTH].decode()
        if hits is not None:
            hits.remember_prefix(args, kwargs, state.number, prefix)
        return prefix, names

    def _describe(
        self, state: AppState, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, list[str]]:
        """The text that is hashed, and the names of the versions that apply."""
        order = self.order
        ordered, rest = order.normalize(args, kwargs)
        names = list(self._function_names)
        if (order.on_instance or order.on_class) and ordered and not order.ignores_first:
            identity = instance_identity(ordered[0], self.f, self._rivals)
            ordered[0] = identity
            if order.on_instance:
                names.append(memver_name(instance_name(self._versioned, identity)))
        elif self._bound_to is not None:
            names += self.names_of(self._bound_to)
        name = self.namespace if self.make_name is None else self.make_name(self.namespace)
        text = (
            f"{name}{self._particular}{text_of_arguments(tuple(ordered), self._rivals)}"
            f"{_text_of_keywords(rest, self._rivals)}{self.source(state)}"
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

    # Versions: an entry's key ends in them, so that changing one forgets all its entries.

    def _completed(
        self,
        backend: Any,
        names: list[str],
        found: list[Any],
        timeout: Any,
        made_until: dict[str, Deadline],
    ) -> dict[str, str]:
        """The versions that were found, and new ones in place of those that were not."""
        if all(type(version) is str for version in found):
            return dict(zip(names, found, strict=True))
        versions = {
            name: version if isinstance(version, str) else new_version()
            for name, version in zip(names, found, strict=True)
        }
        missing = {
            name: versions[name]
            for name, version in zip(names, found, strict=True)
            if not isinstance(version, str)
        }
        if missing:
            versions |= _access.add_versions(self.cache, backend, missing, timeout)
            until = Deadline(timeout, getattr(backend, "default_timeout", 300))
            made_until.update(dict.fromkeys(missing, until))
        return versions

    def write(self, lookup: Lookup, key: str, rv: Any, timeout: Any) -> Any:
        done, gone = _access.write_extending(
            self.cache, lookup.backend, key, rv, timeout, lookup.versions, self._longest
        )
        if done is False:
            return False
        # What this call made, and the function outlasted, is not deleted but expired.
        made_until = lookup.made_until
        expired = {
            name: lookup.versions[name]
            for name in gone
            if name in made_until and made_until[name].has_passed()
        }
        if expired:
            _access.add_versions(self.cache, lookup.backend, expired, timeout)
        return done

    def reset(self, names: list[str]) -> None:
        """Forget all entries under the versions of these names."""
        state, backend = self.cache._place()
        versions = {name: new_version() for name in names}
        timeout = normalize_timeout(self.wrapper.cache_timeout)

        def replace() -> None:
            # Without a version its entries are not found either.
            with owing(backend, names):
                self.cache.set_many(versions, timeout=timeout)

        state.in_flight.replace(names, replace)

    def names_of(self, instance: Any) -> list[str]:
        """The names of the versions: the instance's own, or the function's where there is none."""
        if self._bound_to is not None:
            instance = self._bound_to
        elif not self.order.on_instance or self.order.ignores_first:
            instance = None
        if instance is None or isinstance(instance, type):
            return [memver_name(self._versioned)]
        identity = instance_identity(instance, self.f, self._rivals)
        return [memver_name(instance_name(self._versioned, identity))]


def _text_of_keywords(keywords: dict[str, Any], rivals: Rivals) -> str:
    """The keywords as the repr of an ``OrderedDict`` of this Python's."""
    if not keywords:
        return "OrderedDict()"
    values = {name: text_of(value, rivals) for name, value in keywords.items()}
    if sys.version_info >= (3, 12):
        return "OrderedDict({" + ", ".join(f"{n!r}: {v}" for n, v in values.items()) + "})"
    return "OrderedDict([" + ", ".join(f"({n!r}, {v})" for n, v in values.items()) + "])"
