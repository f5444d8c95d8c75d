"""What the forms of ``delete_memoized`` and ``delete_cached`` name."""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from .backends._owed import owe_guarded, owing
from .errors import CacheBackendError
from .keys.identity import Unidentifiable
from .keys.signature import ArgumentOrder
from .memoize import MemoizedFunctionCore, memver_name, new_version
from .utils import function_namespace, get_id
from .view import CachedFunctionCore, QueryArgs

if TYPE_CHECKING:
    from .cache import Cache

__all__ = ["delete_memoized", "delete_versions", "key_of_view", "normalized_arguments"]


def key_of_view(
    f: Any, path: str | None, query_args: QueryArgs | None, kwargs: dict[str, Any]
) -> str:
    """The key of a view's entry; see :meth:`Cache.delete_cached`."""
    core = getattr(f, "_flask_caching_core", None)
    if core is None:
        raise AttributeError(
            f"{f!r} has no attribute 'make_cache_key': it is not decorated with cache.cached()"
        )
    if not isinstance(core, CachedFunctionCore):
        raise TypeError(
            f"{core.name} is decorated with memoize(); use delete_memoized() to forget its results"
        )
    return core.deletion_key(path, query_args, kwargs)


def delete_memoized(cache: Cache, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Forget the results that these arguments name; see :meth:`Cache.delete_memoized`."""
    f, args, kwargs = _unfold(f, args, kwargs)
    bound = getattr(f, "__self__", None)
    core = _memoized_core(f)
    if core is None:
        _reset_plain(cache, f, args, kwargs)
        return
    try:
        if not args and not kwargs:
            core.reset(core.names_of(bound))
            return
        failures = []
        for call in _calls(f, core, bound, args, kwargs):
            try:
                _forget(cache, core, call, kwargs)
            except CacheBackendError as error:
                # The other reading of these arguments is forgotten all the same.
                failures.append(error)
    except Unidentifiable:
        # Nothing was stored for such an instance or argument.
        return
    if failures:
        raise failures[0]


def _forget(
    cache: Cache, core: MemoizedFunctionCore, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Forget the result of one call.

    :raises CacheBackendError: the server cannot be asked; it is forgotten when it can.
    """
    state, backend = cache._place()
    try:
        key = core.make_cache_key(core.f, *args, **kwargs)
    except CacheBackendError:
        # The versions in the key cannot be read: it is made, and deleted, when they can.
        prefix, versions = core._prefix(state, args, kwargs)
        under_way = state.in_flight.keys_under(prefix)
        owed = functools.partial(owe_guarded, backend, prefix, versions)
        state.in_flight.delete(under_way, owed)
        raise
    # Here as well as in `delete`: an application's own may delete under another key.
    state.in_flight.delete([key], functools.partial(cache.delete, key))


def delete_versions(cache: Cache, f: Any) -> None:
    """Delete the versions of a function; see :meth:`Cache.delete_memoized_verhash`."""
    f, _, _ = _unfold(f, (), {})
    core = _memoized_core(f)
    if core is None:
        names = [memver_name(_innermost_namespace(f))]
    else:
        try:
            names = core.names_of(getattr(f, "__self__", None))
        except Unidentifiable:
            return
    state, _ = cache._place()
    state.in_flight.replace(names, functools.partial(cache.delete_many, *names))


def normalized_arguments(
    f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], OrderedDict[str, Any]]:
    """The arguments of a call as a key holds them: positional ones, and the rest by name."""
    core = _memoized_core(f)
    order = ArgumentOrder(f) if core is None else core.order
    ordered, rest = order.normalize(args, kwargs)
    if (order.on_instance or order.on_class) and ordered:
        ordered[0] = get_id(ordered[0])
    return tuple(ordered), OrderedDict(rest)


def _memoized_core(f: Any) -> MemoizedFunctionCore | None:
    """The memoized function that ``f`` is, or that it is decorated over."""
    while f is not None:
        core = getattr(f, "_flask_caching_core", None)
        if isinstance(core, MemoizedFunctionCore):
            return core
        f = getattr(f, "__wrapped__", None)
    return None


def _unfold(
    f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The function behind partials and callable objects, and the arguments that partials add."""
    if not callable(f):
        raise TypeError(f"what is memoized is deleted by its function, not by a name: got {f!r}")
    while isinstance(f, functools.partial):
        args = (*f.args, *args)
        kwargs = {**f.keywords, **kwargs}
        f = f.func
    if not hasattr(f, "_flask_caching_core") and not hasattr(f, "__name__"):
        call = type(f).__call__
        if hasattr(call, "_flask_caching_core"):
            f = f.__call__
    return f, args, kwargs


def _calls(
    f: Any,
    core: MemoizedFunctionCore,
    bound: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> list[tuple[Any, ...]]:
    """The positional arguments, instance or class first, of the calls to forget."""
    if core.order.on_class and isinstance(bound, type):
        if args and isinstance(args[0], type):
            return [args]
        if args:
            raise ValueError(
                f"{core.name} is a class method: give its class as the first argument, as in "
                f"cache.delete_memoized({f.__qualname__}, {bound.__name__}, ...)"
            )
        return [(bound,)]
    if bound is not None:
        with_instance = (bound, *args)
        if not args or args[0] is not bound:
            return [with_instance]
        # The instance was given although it is known. It could also be meant as an argument.
        readings = [call for call in (args, with_instance) if _fits(core.f, call, kwargs)]
        return readings or [args]
    if (core.order.on_instance or core.order.on_class) and not args:
        first = "self" if core.order.on_instance else "cls"
        if first not in kwargs and not core.order.ignores_first:
            raise ValueError(
                f"{core.name} is a method reached through its class: give the instance as the "
                f"first argument, as in cache.delete_memoized({core.name}, instance, ...)"
            )
    return [args]


def _fits(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        inspect.signature(f).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return False
    return True


def _reset_plain(cache: Cache, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Reset the version of a function that is not memoized here: it may be elsewhere."""
    if args or kwargs:
        raise AttributeError(
            f"{f!r} has no attribute 'make_cache_key': it is not decorated with cache.memoize()"
        )
    name = memver_name(_innermost_namespace(f))
    _, backend = cache._place()
    with owing(backend, [name]):
        cache.set_many({name: new_version()}, timeout=0)


def _innermost_namespace(f: Any) -> str:
    function, instance = function_namespace(f)
    return instance or function
