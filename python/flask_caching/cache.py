"""The extension: ``Cache``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, ParamSpec, Self, TypeVar, cast

from cachelib.serializers import BaseSerializer
from flask import Flask

from ._engine import CacheFlags, FragmentFinder, replaced_methods, supersede_flights
from ._shown import name_methods
from ._types import Cached, Forgettable, Memoized, Timeout
from .backends._bytes.wrapped import hand_codecs_to
from .backends._gevent import note_greenlets
from .backends.spec import seconds_of
from .calls import deletion
from .calls.deletion import UNSET
from .calls.fragments import Fragments
from .calls.get_or_set import GetOrSet
from .calls.memoized import MemoizeOptions, MemoizePolicy
from .calls.view import QueryArgs, ViewOptions, ViewPolicy
from .calls.wrapper import wrap
from .config import make_backend, make_serializer, resolve_config
from .errors import CacheConfigTypeError
from .extension.state import AppState
from .jinja2ext import JINJA_CACHE_ATTR_NAME, CacheExtension
from .keys.closures import FirstOfName
from .lock import CacheLock
from .mistakes import check_app, check_decorated, check_jinja2_flag, check_timeout
from .pages.methods import Pages
from .requests.above_routes import look_at_first_request
from .requests.context import behind_proxies
from .stats._counting import Policies, count_anew_after_fork
from .stats.methods import Observed

__all__ = ["Cache"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound="Cache")


class Cache(Pages, Observed):
    """Caches views, functions and template fragments of Flask applications.

    :param app: the application; without one, call :meth:`init_app` later.
    :param with_jinja2_ext: add the ``{% cache %}`` tag to the application's templates.
    :param config: ``CACHE_*`` values that go before the application's own.
    :raises CacheConfigError: a value cannot be used; the message names its key.
    """

    #: Is shown each backend that is made; None: nobody wants to see them.
    _look_at_backend: Callable[[Any], None] | None = None

    def __init__(
        self,
        app: Flask | None = None,
        with_jinja2_ext: bool = True,
        config: dict[str, Any] | None = None,
    ) -> None:
        if not (config is None or isinstance(config, dict)):
            raise CacheConfigTypeError(f"`config` must be a dict or None, not {config!r}")
        if app is not None:
            check_app(app)
        check_jinja2_flag(with_jinja2_ext)
        self._flags = CacheFlags()
        self._chooses_backend = type(self).cache is not Cache.cache
        overridden = replaced_methods(self)
        if self._chooses_backend or "get" in overridden or "get_many" in overridden:
            # What an application has put in their place sees every hit.
            self._flags.replace(versions=self._chooses_backend or "get_many" in overridden)
        self._set_up_proxies()
        self.with_jinja2_ext = with_jinja2_ext
        self.config = config
        self._set_up_places()
        self._first_of_name: dict[str, FirstOfName] = {}
        self._policies = Policies()
        self._fragments = Fragments(self)
        self._find_fragment = FragmentFinder(self._fragments.roads).peek
        count_anew_after_fork(self)
        self._get_or_set = GetOrSet(self)
        if app is not None:
            self.init_app(app, config)

    def __copy__(self) -> Self:
        """A cache of its own for the same applications, with the same backends and settings."""
        other = _made_anew(type(self), self.with_jinja2_ext, self.config)
        self._share_places(other)
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        if any(self._states):
            raise TypeError(
                f"a {type(self).__name__} that is set up for an application cannot be pickled or "
                "copied deeply: make it anew where it is needed, or make it at the top of a module"
            )
        made = (type(self), self.with_jinja2_ext, self.config)
        usual = vars(Cache())
        return _made_anew, made, {k: v for k, v in vars(self).items() if k not in usual} or None

    def init_app(self, app: Flask, config: dict[str, Any] | None = None) -> None:
        """Set the cache up for an application; it can be set up for several.

        :param app: the application, or a proxy of it such as ``current_app``.
        :param config: ``CACHE_*`` values that go before the constructor's and the application's.
        :raises CacheConfigError: a value cannot be used; the message names its key.
        """
        if not (config is None or isinstance(config, dict)):
            raise CacheConfigTypeError(f"`config` must be a dict or None, not {config!r}")
        app = behind_proxies(app)
        check_app(app)
        resolved = resolve_config(app, self.config, config)
        self.app = app
        state = self._states.find(app)
        self._set_cache(app, resolved)
        if self._states.find(app) is state:
            # A subclass has done it in a way of its own.
            self._use_backend(app, resolved, app.extensions["cache"][self], None)
        self._states[app].layers = (self.config, config)
        look_at_first_request(app, self)
        if self.with_jinja2_ext:
            setattr(app.jinja_env, JINJA_CACHE_ATTR_NAME, self)
            app.jinja_env.add_extension(CacheExtension)

    def _set_cache(self, app: Flask, config: dict[str, Any]) -> None:
        """Make the backend and keep it with the application."""
        serializer = make_serializer(config["CACHE_SERIALIZER"])
        backend = make_backend(app, config)
        hand_codecs_to(backend, serializer, config)
        self._use_backend(app, config, backend, serializer)

    def _use_backend(
        self, app: Flask, config: dict[str, Any], backend: Any, serializer: BaseSerializer | None
    ) -> None:
        state = AppState(self, config, serializer, self._set_up_pages(app, config))
        note_greenlets()
        if state.lease:
            self._note_leases()
        if self._look_at_backend is not None:
            self._look_at_backend(backend)
        self._add_place(app, state, backend)

    # The decorators.

    def cached(
        self,
        timeout: Timeout | None = None,
        key_prefix: str | Callable[[], str] = "view/%s",
        unless: Callable[..., Any] | None = None,
        forced_update: Callable[..., Any] | None = None,
        is_stale: Callable[..., Any] | None = None,
        response_filter: Callable[..., Any] | None = None,
        query_string: bool = False,
        hash_method: Callable[..., Any] | None = None,
        cache_none: bool = False,
        make_cache_key: Callable[..., Any] | None = None,
        source_check: bool | None = None,
        response_hit_indication: bool | None = False,
        single_flight: bool | None = None,
        stale_while_revalidate: float | timedelta | None = None,
        stale_if_error: float | timedelta | None = None,
        jitter: float | None = None,
        tags: Iterable[str] | Callable[..., Iterable[str]] = (),
        lease: bool | None = None,
    ) -> Callable[[Callable[P, R]], Cached[P, R]]:
        """Cache a view, or a function under a key of its own.

        An :class:`~werkzeug.exceptions.HTTPException` that a view raises is cached and raised
        again. A request whose method is neither GET nor HEAD is neither answered from nor stored
        under a key made of its path or query; a HEAD is answered from what a GET stored.

        :param timeout: seconds or a ``timedelta``; 0: for ever; None: ``CACHE_DEFAULT_TIMEOUT``.
        :param key_prefix: the key, ``%s`` standing for the request's path; or a callable without
            arguments that returns the key.
        :param unless: while it returns something true, the cache is neither read nor written.
            Called with the function and the call's arguments if it takes any.
        :param forced_update: while it returns something true, the function runs and its result
            replaces what is stored. Called with the call's arguments if it takes any.
        :param is_stale: called with the cached value, and the call's arguments if it takes more
            than one; where it returns something true, the function runs again.
        :param response_filter: called with the result; only where it returns something true, that
            is stored.
        :param query_string: make the query arguments part of the key, whatever their order by name.
        :param hash_method: the hash constructor for the key; None: ``CACHE_HASH_METHOD``.
        :param cache_none: whether a None that the function returned is an answer.
        :param make_cache_key: called with the call's arguments, returns the key.
        :param source_check: make the function's source part of the key; None:
            ``CACHE_SOURCE_CHECK``.
        :param response_hit_indication: add a header ``hit_cache: True`` to what the cache answered.
        :param single_flight: of calls that miss at the same time, one computes and the others get
            its result; None: ``CACHE_SINGLE_FLIGHT``.
        :param stale_while_revalidate: seconds beyond the timeout in which the old value is answered
            at once while one refresh runs in the background; None:
            ``CACHE_STALE_WHILE_REVALIDATE``.
        :param stale_if_error: seconds beyond the timeout in which the old value is answered where
            the function raises, or the view answers with a status of 5xx; None:
            ``CACHE_STALE_IF_ERROR``.
        :param jitter: lifetimes are shortened by a random share of up to this, from 0 to 1; None:
            ``CACHE_JITTER``.
        :param tags: names; :meth:`delete_tags` with one of them makes the entries misses. Or a
            callable that returns them, given the result, and the call's arguments if it takes more
            than one.
        :param lease: one computes among all processes that share the backend; None:
            ``CACHE_LEASE``.
        :return: a decorator. The decorated function has ``uncached``, ``cache_timeout`` (which can
            be set) and ``make_cache_key``.
        """

        check_timeout(self, "cached", timeout)
        options = ViewOptions.of(locals())

        def decorator(f: Callable[P, R]) -> Cached[P, R]:
            check_decorated(f)
            policy = ViewPolicy(self, f, options)
            return cast("Cached[P, R]", wrap(policy, timeout))

        return decorator

    def memoize(
        self,
        timeout: Timeout | None = None,
        make_name: Callable[..., str] | None = None,
        unless: Callable[..., Any] | None = None,
        forced_update: Callable[..., Any] | None = None,
        is_stale: Callable[..., Any] | None = None,
        response_filter: Callable[..., Any] | None = None,
        hash_method: Callable[..., Any] | None = None,
        cache_none: bool = False,
        source_check: bool | None = None,
        args_to_ignore: list[str] | None = None,
        single_flight: bool | None = None,
        stale_while_revalidate: float | timedelta | None = None,
        stale_if_error: float | timedelta | None = None,
        jitter: float | None = None,
        tags: Iterable[str] | Callable[..., Iterable[str]] = (),
        lease: bool | None = None,
    ) -> Callable[[Callable[P, R]], Memoized[P, R]]:
        """Cache a function by its arguments.

        Arguments are told apart by their repr; the instance or class of a method by its
        ``__caching_id__()``, if it has one. :meth:`delete_memoized` forgets results.

        :param timeout: seconds or a ``timedelta``; 0: for ever; None: ``CACHE_DEFAULT_TIMEOUT``.
        :param make_name: called with the function's name, returns the one that keys are made of.
        :param unless: as in :meth:`cached`.
        :param forced_update: as in :meth:`cached`.
        :param is_stale: as in :meth:`cached`.
        :param response_filter: as in :meth:`cached`.
        :param hash_method: as in :meth:`cached`.
        :param cache_none: as in :meth:`cached`.
        :param source_check: as in :meth:`cached`.
        :param args_to_ignore: names of arguments that are not part of the key.
        :param single_flight: as in :meth:`cached`, and so are ``stale_while_revalidate``,
            ``stale_if_error``, ``jitter``, ``tags`` and ``lease``.
        :return: a decorator. The decorated function has ``uncached``, ``cache_timeout`` (which can
            be set), ``make_cache_key`` and ``delete_memoized``.
        """

        check_timeout(self, "memoize", timeout)
        options = MemoizeOptions.of(locals())

        def decorator(f: Callable[P, R]) -> Memoized[P, R]:
            check_decorated(f)
            policy = MemoizePolicy(self, f, options)
            if self._makes_own_keys():
                policy.make_key = self._memoize_make_cache_key(
                    make_name=make_name,
                    hash_method=hash_method,
                    source_check=source_check,
                    args_to_ignore=args_to_ignore,
                )
            wrapper = wrap(policy, timeout)
            wrapper.delete_memoized = functools.partial(self.delete_memoized, wrapper)
            return cast("Memoized[P, R]", wrapper)

        return decorator

    # What is under a key of the application's own.

    def get_or_set(
        self, key: str, default: Any, timeout: Timeout | None = None, **options: Any
    ) -> Any:
        """The value under a key; where there is none, ``default``, which is stored.

        As with a decorated function, of those that miss at the same time one computes, and a cache
        that fails is logged and does not lose the value.

        :param key: the key.
        :param default: the value, or a callable without arguments that returns it.
        :param timeout: as in :meth:`cached`.
        :param options: those of :meth:`cached` that are about the value: ``forced_update``,
            ``is_stale``, ``response_filter``, ``cache_none``, ``single_flight``, ``lease``,
            ``stale_while_revalidate``, ``stale_if_error``, ``jitter``, ``tags``. The first is
            called without arguments, the next two with the value.
        :return: the value, which is the caller's own where it comes from the cache.
        :raises TypeError: the key is no str, ``default`` is a coroutine function, or an option is
            unknown.
        """
        return self._get_or_set(key, default, timeout, options)

    def lock(self, name: str, timeout: Timeout = 10, wait: Timeout | None = None) -> CacheLock:
        """A lock that all processes share which use the same backend.

        ``with cache.lock("import"): ...``, or ``async with``. It lives in the cache: with one of a
        single process, such as ``SimpleCache``, it is one of that process, and ``clear`` frees it.

        :param name: what it is called.
        :param timeout: seconds, or a ``timedelta``, after which it is free again, whatever becomes
            of its holder; ``renew()`` begins them anew.
        :param wait: seconds, or a ``timedelta``, to wait for it at most; None: as long as it takes;
            0: not at all.
        :return: a context manager, which can be entered again once it was left.
        :raises CacheLockError: on entering, it could not be had; here, the backend has no locks.
        :raises ValueError: ``timeout`` is not above 0, or ``wait`` below.
        :raises CacheBackendError: on entering or leaving, a server failed.
        """
        if not isinstance(name, str):
            raise TypeError(f"the name of a lock must be a str, not {type(name).__name__}")
        seconds, at_most = seconds_of(timeout), None if wait is None else seconds_of(wait)
        if not 0 < seconds < float("inf"):
            raise ValueError(f"timeout must be a number of seconds above 0, not {timeout!r}")
        if at_most is not None and not 0 <= at_most < float("inf"):
            raise ValueError(f"wait must be None or a number of seconds, 0 or more, not {wait!r}")
        return CacheLock(self._place()[1], name, seconds, at_most)

    # Deleting what the decorators stored.

    @deletion.shows_function_first
    def delete_cached(
        self,
        f: Any = UNSET,
        /,
        path: str | None = None,
        query_args: QueryArgs | None = None,
        **kwargs: Any,
    ) -> bool:
        """Delete the entry of a view.

        :param f: the view, decorated with :meth:`cached`.
        :param path: the path of the request that was cached. Without it, it is that of the view
            called with ``kwargs``, or, without those, of the active request.
        :param query_args: the query arguments of that request: a query string, a mapping, or pairs.
        :param kwargs: the arguments of the view.
        :return: what the backend's ``delete`` returned.
        :raises TypeError: ``f`` is decorated with :meth:`memoize`.
        :raises AttributeError: ``f`` is not decorated.
        """
        f = deletion.named(f, kwargs)
        key = deletion.key_of_view(f, path, query_args, kwargs)
        # Here as well as in `delete`: an application's own may delete under another key.
        supersede_flights(self._owner_of_flights(self._place()[1]), (key,))
        return bool(self.delete(key))

    @deletion.shows_function_first
    def delete_memoized(self, f: Forgettable = UNSET, /, *args: Any, **kwargs: Any) -> None:
        """Forget results of a memoized function.

        :param f: the function; a method of an instance; a partial or a callable object of one.
        :param args: the arguments of the call to forget; without any, all calls are forgotten:
            those of the instance where ``f`` is its method, otherwise of every instance. A method
            reached through its class, and a class method, take the instance or class as their first
            argument.
        :param kwargs: the arguments of the call by name.
        :raises TypeError: ``f`` is not callable.
        :raises ValueError: the instance or class is missing.
        """
        f = deletion.named(f, kwargs)
        deletion.delete_memoized(self, f, args, kwargs)

    def delete_memoized_verhash(self, f: Any, *args: Any) -> None:
        """Forget all results of a memoized function by deleting its version.

        :param f: the function, or a method of an instance, whose results alone are forgotten then.
        :param args: ignored.
        :raises TypeError: ``f`` is not callable.
        """
        deletion.delete_versions(self, f)


def _made_anew(kind: type[T], with_jinja2_ext: bool, config: dict[str, Any] | None) -> T:
    """A cache of a class, which is not set up; a subclass's own ``__init__`` was called once."""
    cache = kind.__new__(kind)
    Cache.__init__(cache, None, with_jinja2_ext, config)
    return cache


name_methods(Cache)
