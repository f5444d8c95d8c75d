"""Methods of ``Cache`` that begin with an underscore, and that applications use or override."""

from __future__ import annotations

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
