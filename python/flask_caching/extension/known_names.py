"""Methods of ``Cache`` that begin with an underscore, and that applications have come to use.

They do what those of Flask-Caching 2.5.1 do. Its decorators went through them, ours do not; but
those that a subclass has replaced are asked: ``_memoize_make_cache_key``, ``_bypass_cache``,
``_forced_update``, ``_is_stale``, ``_call_fn``, ``_get_hash_method`` and ``_set_cache``.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ..calls import deletion
from ..calls.memoized import MemoizeOptions, MemoizePolicy
from ..calls.options import CallOptions, adapted
from ..calls.wrapper import wrap
from ..keys.versions import memver_name, new_version
from ..requests.context import active_app
from ..utils import wants_args, wants_extra_args
from .places import Places
from .port import Port

if TYPE_CHECKING:
    from ..cache import Cache

__all__ = ["KnownNames"]


class KnownNames(Places):
    """The methods that nothing in this package calls, but applications do."""

    def _memoize_make_cache_key(
        self,
        make_name: Callable[..., str] | None = None,
        hash_method: Callable[..., Any] | None = None,
        source_check: bool | None = None,
        args_to_ignore: list[str] | None = None,
    ) -> Callable[..., str]:
        """What makes the keys of memoized functions, given the function and a call's arguments.

        A subclass may return another one: the decorator ``memoize`` uses it.
        """
        options = MemoizeOptions(
            make_name=make_name,
            hash_method=hash_method,
            source_check=source_check,
            args_to_ignore=args_to_ignore,
        )
        policies: dict[Any, MemoizePolicy] = {}

        def make_cache_key(f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> str:
            policy = policies.get(f)
            if policy is None:
                policy = policies[f] = self._policy_of(f, options)
            return policy.make_cache_key(f, *args, **kwargs)

        return make_cache_key

    def _policy_of(self, f: Any, options: MemoizeOptions) -> MemoizePolicy:
        """The policy that ``f`` would have if it were memoized."""
        policy = MemoizePolicy(cast("Cache", self), f, options)
        # The version in a key has to outlive what is stored under it.
        wrap(policy, 0)
        return policy

    def _makes_own_keys(self) -> bool:
        """Whether a subclass makes the keys of memoized functions."""
        return self._has_own("_memoize_make_cache_key")

    def _questions(self, options: CallOptions) -> tuple[Callable[..., Any] | None, ...]:
        """``unless``, ``forced_update`` and ``is_stale``, by way of what a subclass has put in the
        place of the methods that ask them."""
        asking = (
            ("_bypass_cache", options.unless),
            ("_forced_update", options.forced_update),
            ("_is_stale", options.is_stale),
        )
        return tuple(
            partial(getattr(self, name), question) if self._has_own(name) else question
            for name, question in asking
        )

    def _hash_method_by(self, given: Callable[..., Any] | None) -> Callable[..., Any] | None:
        """The hash method of a decorator that was ``given`` one, as a subclass may choose it."""
        if not self._has_own("_get_hash_method"):
            return given
        return lambda *data: self._get_hash_method(given)(*data)

    def _has_own(self, name: str) -> bool:
        """Whether a subclass, or the application, has a method of its own of this name."""
        return name in vars(self) or getattr(type(self), name) is not getattr(KnownNames, name)

    def _memoize_make_version_hash(self) -> str:
        return new_version()

    def _memoize_version(
        self,
        f: Any,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        reset: bool = False,
        delete: bool = False,
        refresh: bool = False,
        timeout: int | None = 0,
        args_to_ignore: list[str] | None = None,
    ) -> tuple[str, str | None]:
        """The name of a function, and the version of its results; a missing one is made.

        :param args: the arguments of a call: where the first is its instance, the instance's own
            version follows that of the function.
        :param reset: make a new version: what is stored is forgotten.
        :param delete: delete it: likewise; there is no version then.
        :param refresh: store it again, for ``timeout`` seconds.
        """
        policy = deletion._memoize_policy(f)
        if policy is None:
            policy = self._policy_of(f, MemoizeOptions(args_to_ignore=args_to_ignore))
        names = [memver_name(policy._versioned)]
        bound = getattr(f, "__self__", None) or (args[0] if args else None)
        if bound is not None:
            names += [name for name in policy.names_of(bound) if name not in names]
        if delete:
            self.delete_many(*names)
            return policy.namespace, None
        if reset:
            policy.reset(names)
        found = self.get_many(*names)
        missing = tuple(name for name, version in zip(names, found, strict=True) if not version)
        if missing:
            port = Port(cast("Cache", self), self.cache, 0, True)
            port.make_versions(missing, timeout)
            found = self.get_many(*names)
        if refresh:
            self.set_many(dict(zip(names, found, strict=True)), timeout=timeout)
        return policy.namespace, "".join(found)

    def _get_hash_method(self, hash_method: Callable[..., Any] | None) -> Callable[..., Any]:
        """A decorator's hash method, or the configured one."""
        return hash_method or self.hash_method

    def _get_source_check(self, source_check: bool | None) -> bool | None:
        """A decorator's ``source_check``, or the configured one."""
        return self.source_check if source_check is None else source_check

    def _bypass_cache(
        self, unless: Callable[..., Any] | None, f: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> bool:
        """Whether ``unless`` keeps a call of ``f`` away from the cache."""
        return callable(unless) and bool(adapted(unless, wants_args)(f, *args, **kwargs))

    def _forced_update(
        self, forced_update: Callable[..., Any] | None, *args: Any, **kwargs: Any
    ) -> bool:
        """Whether ``forced_update`` asks for a new value."""
        if not callable(forced_update):
            return False
        return bool(adapted(forced_update, wants_args)(*args, **kwargs))

    def _is_stale(
        self, is_stale: Callable[..., Any] | None, rv: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Whether ``is_stale`` will not have what was found."""
        if not callable(is_stale):
            return False
        return bool(adapted(is_stale, wants_extra_args, 1)(rv, *args, **kwargs))

    def _call_fn(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What a function returns. In a running loop a coroutine function returns what is awaited;
        elsewhere it is run to its end, as the active application runs its views.
        """
        if not inspect.iscoroutinefunction(fn) or _is_in_loop():
            return fn(*args, **kwargs)
        app = active_app() or getattr(self, "app", None)
        if app is not None:
            # A RuntimeError: Flask was installed without its "async" extra.
            with suppress(RuntimeError):
                fn = app.ensure_sync(fn)
        result = fn(*args, **kwargs)
        return asyncio.run(result) if inspect.iscoroutine(result) else result

    def _memvname(self, funcname: str) -> str:
        return memver_name(funcname)

    def _memoize_kwargs_to_args(self, f: Any, /, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        return deletion.normalized_arguments(f, args, kwargs)


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
