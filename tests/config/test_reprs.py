"""What caches and backends look like in a log or a debugger: without passwords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends import BaseCache, FileSystemCache, NullCache, SimpleCache
from flask_caching.backends.memcache import MemcachedCache, SASLMemcachedCache
from flask_caching.backends.rediscache import RedisCache, RedisClusterCache, RedisSentinelCache


def test_a_simple_cache() -> None:
    cache = SimpleCache(threshold=500)
    for number in range(12):
        cache.set(str(number), number)
    assert repr(cache) == "<SimpleCache 12 of 500>"


def test_others_on_this_machine(tmp_path: Path) -> None:
    class Own(BaseCache):
        pass

    assert repr(NullCache()) == "<NullCache>"
    assert repr(Own()) == "<Own>"
    assert repr(FileSystemCache(tmp_path)) == f"<FileSystemCache {str(tmp_path)!r}>"


@pytest.mark.parametrize(
    ("backend", "shown"),
    [
        (
            lambda: RedisCache("redis.test", 6380, "hunter2", db=2, key_prefix="shop:"),
            "<RedisCache redis.test:6380/2 prefix='shop:'>",
        ),
        (
            lambda: RedisCache(redis_url="redis://u:hunter2@[::1]:6380/3", key_prefix="shop:"),
            "<RedisCache [::1]:6380/3 prefix='shop:'>",
        ),
        (
            lambda: RedisCache(redis_url="unix://:hunter2@/run/redis.sock", key_prefix=lambda: "x"),
            "<RedisCache /run/redis.sock/0 prefix=…>",
        ),
        (
            lambda: RedisSentinelCache([("a", 1), ("b", 2)], "shop", "hunter2"),
            "<RedisSentinelCache 'shop' of a:1,b:2>",
        ),
        (lambda: RedisClusterCache("a:1,b:2", "hunter2"), "<RedisClusterCache a:1,b:2>"),
        (lambda: MemcachedCache(["a:1", "b:2"]), "<MemcachedCache a:1,b:2>"),
        (
            lambda: SASLMemcachedCache(["a:1"], username="u", password="hunter2", key_prefix="p"),
            "<SASLMemcachedCache a:1 prefix='p'>",
        ),
    ],
)
def test_caches_on_servers(backend: Any, shown: str) -> None:
    assert repr(backend()) == shown


def test_a_client_object_is_named_by_its_class() -> None:
    redis = pytest.importorskip("redis")
    cache = RedisCache(redis.Redis(password="hunter2"), key_prefix="p")
    assert repr(cache) == "<RedisCache by Redis prefix='p'>"


def test_a_cache_names_its_application_and_backend() -> None:
    app = Flask("shop")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    assert repr(cache) == "<Cache of 'shop': SimpleCache 0 of 500>"
    assert repr(Cache()) == "<Cache of no application>"
    with Flask("another").app_context():
        assert repr(cache) == "<Cache of no application>"


def test_a_foreign_backend_is_named_by_its_class_alone() -> None:
    class Foreign:
        def __repr__(self) -> str:
            return "hunter2"

        def get(self, key: str) -> Any:
            return None

        def set(self, key: str, value: Any, timeout: Any = None) -> bool:
            return False

    cache = Cache(Flask("shop"), config={"CACHE_TYPE": lambda app, args, kwargs: Foreign()})
    assert repr(cache) == "<Cache of 'shop': Foreign>"


def test_caches_that_look_alike_are_different_arguments(cache: Cache, in_app: None) -> None:
    runs: list[int] = []

    @cache.memoize()
    def function(backend: Any) -> int:
        runs.append(1)
        return len(runs)

    one, other = SimpleCache(), SimpleCache()
    assert [function(one), function(other)] == [1, 2]
    one.set("changes", "its repr")
    assert [function(one), function(other)] == [1, 2]
    assert function(cache) == function(cache) == 3
    assert function([one, cache]) == function([one, cache]) == 4


def test_methods_of_caches_that_look_alike_as_well(cache: Cache, in_app: None) -> None:
    class Own(SimpleCache):
        number = 0

        @cache.memoize()
        def method(self) -> int:
            return self.number

    one, other = Own(), Own()
    other.number = 1
    assert [one.method(), other.method()] == [0, 1]
    one.set("changes", "its repr")
    one.number = 2
    assert one.method() == 0
