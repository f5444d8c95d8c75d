"""Methods of ``Cache`` that begin with an underscore, and that applications use or override."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from itertools import count
from typing import Any

from flask import Flask
from flask_caching import Cache


class Tenants(Cache):
    """Puts the tenant before the keys of memoized functions, as a large application does."""

    tenant = "one"

    def _memoize_make_cache_key(self, *args: Any, **kwargs: Any) -> Callable[..., str]:
        make = super()._memoize_make_cache_key(*args, **kwargs)
        return lambda f, *args, **kwargs: f"{self.tenant}:{make(f, *args, **kwargs)}"


def test_a_subclass_makes_the_keys_of_memoized_functions(app: Flask) -> None:
    cache = Tenants(app, config={"CACHE_TYPE": "SimpleCache"})
    runs = count()

    @cache.memoize(args_to_ignore=["b"], hash_method=hashlib.sha512)
    def function(a: int, b: int = 0) -> int:
        return next(runs)

    with app.app_context():
        assert [function(1), function(1, 5), function(2)] == [0, 0, 1]
        key = function.make_cache_key(function.uncached, 1)
        assert key.startswith("one:")
        assert cache.get(key) == 0
        cache.tenant = "two"
        assert [function(1), function(1)] == [2, 2]
        cache.delete_memoized(function, 1)
        assert function(1) == 3
        cache.tenant = "one"
        assert function(1) == 0
        cache.delete_memoized(function)
        assert [function(1), function(1)] == [4, 4]


def test_keys_are_those_of_the_decorator(cache: Cache, in_app: None) -> None:
    @cache.memoize()
    def function(a: int) -> int:
        return a

    make = cache._memoize_make_cache_key()
    assert make(function.uncached, 1) == function.make_cache_key(function.uncached, 1)
    assert make(function.uncached, 1) == make(function.uncached, a=1)


def test_versions_can_be_read_deleted_and_made_anew(cache: Cache, in_app: None) -> None:
    @cache.memoize()
    def function(a: int) -> int:
        return a

    name, version = cache._memoize_version(function)
    assert name == f"{__name__}.test_versions_can_be_read_deleted_and_made_anew.locals.function"
    assert cache._memoize_version(function, refresh=True, timeout=50) == (name, version)
    key = function.make_cache_key(function.uncached, 1)
    assert version is not None
    assert key.endswith(version)
    assert cache._memoize_version(function, delete=True) == (name, None)
    _, other = cache._memoize_version(function)
    assert other != version
    _, third = cache._memoize_version(function, reset=True)
    assert third not in (version, other, None)


def test_questions_are_answered_as_the_decorators_do(cache: Cache, in_app: None) -> None:
    def function(a: int) -> int:
        return a

    async def coroutine(a: int) -> int:
        return a

    assert cache._get_hash_method(None) is hashlib.sha256
    assert cache._get_hash_method(hashlib.md5) is hashlib.md5
    assert cache._get_source_check(None) is False
    assert cache._get_source_check(True) is True
    assert cache._bypass_cache(None, function) is False
    assert cache._bypass_cache(lambda: 1, function) is True
    assert cache._bypass_cache(lambda f, a: f is function and a == 1, function, 1) is True
    assert cache._forced_update(None) is False
    assert cache._forced_update(lambda: True) is True
    assert cache._forced_update(lambda a: a == 1, 2) is False
    assert cache._is_stale(None, 1) is False
    assert cache._is_stale(lambda value: value == 1, 1) is True
    assert cache._is_stale(lambda value, a: value == a, 1, 2) is False
    assert cache._call_fn(function, 5) == cache._call_fn(coroutine, 5) == 5
    assert Cache()._call_fn(function, 5) == 5


class Careful(Cache):
    """Asks itself before it asks what a decorator was given."""

    is_off = is_refreshed = is_old = False
    asked: list[Any]

    def _bypass_cache(self, unless: Any, f: Any, *args: Any, **kwargs: Any) -> bool:
        return self.is_off or super()._bypass_cache(unless, f, *args, **kwargs)

    def _forced_update(self, forced_update: Any, *args: Any, **kwargs: Any) -> bool:
        return self.is_refreshed or super()._forced_update(forced_update, *args, **kwargs)

    def _is_stale(self, is_stale: Any, rv: Any, *args: Any, **kwargs: Any) -> bool:
        return self.is_old or super()._is_stale(is_stale, rv, *args, **kwargs)


def test_a_subclass_decides_what_is_answered_from_the_cache(app: Flask) -> None:
    cache = Careful(app, config={"CACHE_TYPE": "SimpleCache"})
    runs = count()

    @cache.memoize(unless=lambda f, a: a == 5, is_stale=lambda value, a: a == 6)
    def function(a: int) -> int:
        return next(runs)

    @cache.cached(key_prefix="plain")
    def plain() -> int:
        return next(runs)

    with app.app_context():
        assert [function(1), function(1), function(5), function(5)] == [0, 0, 1, 2]
        assert [function(6), function(6), plain(), plain()] == [3, 4, 5, 5]
        cache.is_off = True
        assert [function(1), plain()] == [6, 7]
        cache.is_off = False
        assert [function(1), plain()] == [0, 5]
        cache.is_refreshed = True
        assert [function(1), plain()] == [8, 9]
        cache.is_refreshed = False
        assert [function(1), plain()] == [8, 9]
        cache.is_old = True
        assert [function(1), plain()] == [10, 11]


def test_a_method_that_is_put_on_the_instance_is_asked_likewise(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    cache._bypass_cache = lambda unless, f, *args, **kwargs: True  # type: ignore[method-assign]
    runs = count()

    @cache.memoize()
    def function() -> int:
        return next(runs)

    with app.app_context():
        assert [function(), function()] == [0, 1]


def test_a_subclass_calls_functions_and_hashes_in_its_own_way(app: Flask) -> None:
    called: list[Any] = []

    class Watched(Cache):
        def _call_fn(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
            called.append(args)
            return super()._call_fn(fn, *args, **kwargs)

        def _get_hash_method(self, hash_method: Any) -> Any:
            return super()._get_hash_method(hash_method or hashlib.md5)

    cache = Watched(app, config={"CACHE_TYPE": "SimpleCache"})
    plain = Cache(Flask(__name__), config={"CACHE_TYPE": "SimpleCache"})

    def function(a: int) -> int:
        return a

    async def coroutine(a: int) -> int:
        return a

    memoized, awaited = cache.memoize()(function), cache.memoize()(coroutine)
    with app.app_context():
        assert [memoized(1), memoized(1), awaited(2), awaited(2)] == [1, 1, 2, 2]
        assert called == [(1,), (2,)]
        key = memoized.make_cache_key(function, 1)
        assert cache.get(key) == 1
    with_md5 = plain.memoize(hash_method=hashlib.md5)(function)
    with plain.app.app_context():
        other = with_md5.make_cache_key(function, 1)
    # The digest without the version, which is of chance.
    assert key[:16] == other[:16]


def test_it_calls_them_in_its_own_way_in_a_running_loop_as_well(app: Flask) -> None:
    called: list[Any] = []

    class Watched(Cache):
        def _call_fn(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
            called.append(args)
            return super()._call_fn(fn, *args, **kwargs)

    class Other(Cache):
        def _call_fn(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
            return 42

    async def coroutine(a: int) -> int:
        return a

    watched = Watched(app, config={"CACHE_TYPE": "SimpleCache"})
    other = Other(app, config={"CACHE_TYPE": "SimpleCache"})
    memoized, viewed = watched.memoize()(coroutine), watched.cached(key_prefix="k")(coroutine)
    answered = other.memoize(unless=lambda f, a: a == 2)(coroutine)

    async def calls() -> list[int]:
        own = [await memoized(1), await memoized(1), await viewed(2), await viewed(2)]
        return [*own, await answered(1), await answered(2)]

    with app.app_context():
        assert asyncio.run(calls()) == [1, 1, 2, 2, 42, 42]
    assert called == [(1,), (2,)]


def test_versions_are_made_of_text(cache: Cache) -> None:
    assert len(cache._memoize_make_version_hash()) == 6
