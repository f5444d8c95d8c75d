"""Which entries ``delete_memoized`` and ``delete_cached`` mean, in all their forms."""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .._engine import hold_flights, supersede_flights
from .._warn import warn
from ..backends._bytes.owed import owe_guarded, owing
from ..errors import CacheBackendError
from ..keys.identity import Unidentifiable
from ..keys.signature import ArgumentOrder
from ..keys.versions import memver_name, new_version
from ..requests.helpers_of_pages import layers
from ..utils import function_namespace, get_id
from .memoized import MemoizePolicy
from .view import QueryArgs, ViewPolicy

if TYPE_CHECKING:
    from ..cache import Cache

__all__ = [
    "UNSET",
    "delete_memoized",
    "delete_versions",
    "key_of_view",
    "named",
    "normalized_arguments",
    "shows_function_first",
]

M = TypeVar("M", bound=Callable[..., Any])

#: In place of a function that is given by name.
UNSET: Any = ...


def shows_function_first(method: M) -> M:
    """``method``, with a signature that has its function as :func:`named` takes it."""
    shown = inspect.signature(method)
    parameters = [
        parameter.replace(
            kind=inspect.Parameter.POSITIONAL_OR_KEYWORD, default=inspect.Parameter.empty
        )
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY
        else parameter
        for parameter in shown.parameters.values()
    ]
    method.__signature__ = shown.replace(parameters=parameters)  # type: ignore[attr-defined]
    return method


def named(f: Any, kwargs: dict[str, Any]) -> Any:
    """The function to delete of, also by name; an argument of its own may have that name, too."""
    if f is not UNSET:
        return f
    if "f" not in kwargs:
        raise TypeError("the function is missing: it is the first argument")
    return kwargs.pop("f")


def key_of_view(
    f: Any, path: str | None, query_args: QueryArgs | None, kwargs: dict[str, Any]
) -> str:
    """The key of a view's entry; see :meth:`Cache.delete_cached`."""
    policy = getattr(f, "_flask_caching_policy", None)
    if policy is None:
        raise AttributeError(
            f"{f!r} has no attribute 'make_cache_key': it is not decorated with cache.cached()"
        )
    if not isinstance(policy, ViewPolicy):
        raise TypeError(
            f"{policy.name} is decorated with memoize(); use delete_memoized() to forget its "
            "results"
        )
    policy.road.note_deletion()
    return policy.deletion_key(path, query_args, kwargs)


def delete_memoized(cache: Cache, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Forget the results that these arguments name; see :meth:`Cache.delete_memoized`."""
    f, args, kwargs = _unfold(f, args, kwargs)
    bound = getattr(f, "__self__", None)
    policy = _memoize_policy(f)
    if policy is None:
        _reset_plain(cache, f, args, kwargs)
        return
    policy.road.note_deletion()
    try:
        if not args and not kwargs:
            policy.reset(policy.names_of(bound))
            return
        failures = []
        calls = _calls(f, policy, bound, args, kwargs)
        _note_impossible(policy, calls, kwargs)
        for call in calls:
            try:
                _forget(cache, policy, call, kwargs)
            except CacheBackendError as error:
                # The other reading of these arguments is forgotten all the same.
                failures.append(error)
    except Unidentifiable:
        # Nothing was stored for such an instance or argument.
        return
    if failures:
        raise failures[0]


def _note_impossible(
    policy: MemoizePolicy, calls: list[tuple[Any, ...]], kwargs: dict[str, Any]
) -> None:
    """Warn of arguments that no call of the function can have: there is nothing to forget."""
    why = [_misfit(policy.f, args, kwargs) for args in calls]
    if not all(why):
        return
    warn(
        f"delete_memoized forgets nothing: no call of {policy.name} has these arguments: {why[-1]}",
        UserWarning,
    )


def _forget(
    cache: Cache, policy: MemoizePolicy, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Forget the result of one call.

    :raises CacheBackendError: the server cannot be asked; it is forgotten when it can.
    """
    state, backend = cache._place()
    try:
        key = policy.make_cache_key(policy.f, *args, **kwargs)
    except CacheBackendError:
        # The versions in the key cannot be read: it is made, and deleted, when they can.
        call = policy.description(state, args, kwargs)
        supersede_flights(cache._owner_of_flights(backend), call.versions)
        owe_guarded(backend, call.key, call.versions)
        raise
    # Here as well as in `delete`: an application's own may delete under another key.
    supersede_flights(cache._owner_of_flights(backend), (key,))
    cache.delete(key)


def delete_versions(cache: Cache, f: Any) -> None:
    """Delete the versions of a function; see :meth:`Cache.delete_memoized_verhash`."""
    f, _, _ = _unfold(f, (), {})
    policy = _memoize_policy(f)
    if policy is None:
        names = [memver_name(_innermost_namespace(f))]
    else:
        policy.road.note_deletion()
        try:
            names = policy.names_of(getattr(f, "__self__", None))
        except Unidentifiable:
            return
    _, backend = cache._place()
    delete = functools.partial(cache.delete_many, *names)
    hold_flights(cache._owner_of_flights(backend), tuple(names), delete)


def normalized_arguments(
    f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], OrderedDict[str, Any]]:
    """The arguments of a call as a key holds them: positional ones, and the rest by name."""
    policy = _memoize_policy(f)
    order = ArgumentOrder(f) if policy is None else policy.order
    ordered, rest = order.normalize(args, kwargs)
    if (order.on_instance or order.on_class) and ordered:
        ordered[0] = get_id(ordered[0])
    return tuple(ordered), OrderedDict(rest)


def _memoize_policy(f: Any) -> MemoizePolicy | None:
    """The memoized function that ``f`` is, or that it is decorated over."""
    policies = (getattr(one, "_flask_caching_policy", None) for one in layers(f))
    return next((policy for policy in policies if isinstance(policy, MemoizePolicy)), None)


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
    if not hasattr(f, "_flask_caching_policy") and not hasattr(f, "__name__"):
        call = type(f).__call__
        if hasattr(call, "_flask_caching_policy"):
            f = f.__call__
    return f, args, kwargs


def _calls(
    f: Any,
    policy: MemoizePolicy,
    bound: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> list[tuple[Any, ...]]:
    """The positional arguments, instance or class first, of the calls to forget."""
    if policy.order.on_class and isinstance(bound, type):
        if args and isinstance(args[0], type):
            return [args]
        if args:
            raise ValueError(
                f"{policy.name} is a class method: give its class as the first argument, as in "
                f"cache.delete_memoized({f.__qualname__}, {bound.__name__}, ...)"
            )
        return [(bound,)]
    if bound is not None:
        with_instance = (bound, *args)
        if not args or args[0] is not bound:
            return [with_instance]
        # The instance was given although it is known. It could also be meant as an argument.
        readings = [call for call in (args, with_instance) if not _misfit(policy.f, call, kwargs)]
        return readings or [args]
    if (policy.order.on_instance or policy.order.on_class) and not args:
        first = "self" if policy.order.on_instance else "cls"
        if first not in kwargs and not policy.order.ignores_first:
            raise ValueError(
                f"{policy.name} is a method reached through its class: give the instance as the "
                f"first argument, as in cache.delete_memoized({policy.name}, instance, ...)"
            )
    return [args]


def _misfit(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Why no call of a function can have these arguments; "" where one can, or nobody knows."""
    try:
        inspect.signature(f).bind(*args, **kwargs)
    except TypeError as error:
        return str(error)
    except ValueError:
        # A built-in without a signature.
        pass
    return ""


def _reset_plain(cache: Cache, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Reset the version of a function that is not memoized here: it may be elsewhere."""
    if args or kwargs:
        raise AttributeError(
            f"{f!r} has no attribute 'make_cache_key': it is not decorated with cache.memoize()"
        )
    if isinstance(getattr(f, "_flask_caching_policy", None), ViewPolicy):
        warn(
            f"delete_memoized forgets nothing: {_name(f)} is decorated with cached(); use "
            "delete_cached() to forget its entry",
            UserWarning,
        )
    name = memver_name(_innermost_namespace(f))
    _, backend = cache._place()
    with owing(backend, [name]):
        cache.set_many({name: new_version()}, timeout=0)


def _name(f: Any) -> str:
    return getattr(f, "__qualname__", repr(f))


def _innermost_namespace(f: Any) -> str:
    function, instance = function_namespace(f)
    return instance or function
