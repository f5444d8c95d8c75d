"""Memoized functions and views on Redis and memcached, on our clients and on the application's."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from memcached_servers import MemcachedServer
from network import KINDS, Kind


@pytest.fixture(params=["RedisCache", "redis.Redis"])
def redis_config(request: pytest.FixtureRequest, redis_server: Any) -> dict[str, Any]:
    import redis

    redis_server.admin.flushall()
    if request.param == "redis.Redis":
        client = redis.Redis(port=redis_server.port)
        return {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": client}
    return {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_HOST": "127.0.0.1",
        "CACHE_REDIS_PORT": redis_server.port,
    }


@pytest.fixture(
    params=["MemcachedCache", "memcache.Client", "SASLMemcachedCache", "SpreadSASLMemcachedCache"]
)
def memcached_config(
    request: pytest.FixtureRequest, memcached_server: Any
) -> Iterator[dict[str, Any]]:
    import memcache

    memcached_server.ask(b"flush_all\r\n")
    if request.param == "memcache.Client":
        client = memcache.Client([memcached_server.address])
        yield {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": client}
        client.disconnect_all()
        # It leaves the sockets of threads that have ended to the garbage collector.
        gc.collect()
    else:
        yield {
            "CACHE_TYPE": request.param,
            "CACHE_MEMCACHED_SERVERS": [memcached_server.address],
        }


def check_functions_and_views(config: dict[str, Any]) -> None:
    app = Flask(__name__)
    cache = Cache(app, config=config)
    computed: list[object] = []

    @cache.memoize(timeout=100)
    def twice(number: int) -> int:
        computed.append(number)
        return 2 * number

    @app.get("/<name>")
    @cache.cached()
    def page(name: str) -> str:
        computed.append(name)
        return name

    visitor = app.test_client()
    with app.app_context():
        assert [twice(2), twice(2), twice(3)] == [4, 4, 6]
        cache.delete_memoized(twice, 2)
        assert [twice(2), twice(3)] == [4, 6]
        cache.delete_memoized(twice)
        assert twice(3) == 6
        assert [visitor.get(path).text for path in ("/a", "/a", "/b c")] == ["a", "a", "b c"]
        assert visitor.get("/b c").text == "b c"
    assert computed == [2, 3, 2, 3, "a", "b c"]


def test_functions_and_views_on_redis(redis_config: dict[str, Any]) -> None:
    check_functions_and_views(redis_config)


def test_functions_and_views_on_memcached(memcached_config: dict[str, Any]) -> None:
    check_functions_and_views(memcached_config)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def server(request: pytest.FixtureRequest, kind: Kind) -> Any:
    return request.getfixturevalue(kind.shared)


@pytest.fixture
def cache(kind: Kind, server: Any) -> Iterator[Cache]:
    app = Flask("calls")
    cache = Cache(app, config=kind.config(kind.address(server), CACHE_KEY_PREFIX="calls_"))
    with app.app_context():
        cache.clear()
        yield cache
        cache.clear()


def remaining(server: Any, key: str) -> int | None:
    """The seconds that an entry has left; -1: for ever."""
    if isinstance(server, MemcachedServer):
        return server.remaining(key.encode())
    left: int = server.admin.ttl(key)
    return left


def test_a_version_that_somebody_else_reset_is_seen(cache: Cache) -> None:
    results: list[int] = []

    @cache.memoize()
    def f(x: int) -> int:
        results.append(x)
        return len(results)

    assert [f(1), f(1)] == [1, 1]
    name = cache._memvname(f._flask_caching_policy.namespace)  # type: ignore[attr-defined]
    # What another process does to forget the function's results.
    cache.cache.set(name, "OTHER!")
    assert [f(1), f(1)] == [2, 2]
    cache.cache.delete(name)
    assert [f(1), f(1)] == [3, 3]


def test_the_version_lives_as_long_as_its_longest_entry(
    cache: Cache, kind: Kind, server: Any
) -> None:
    @cache.memoize()
    def f(x: int) -> int:
        return x

    name = "calls_" + cache._memvname(f._flask_caching_policy.namespace)  # type: ignore[attr-defined]
    f.cache_timeout = 500
    f(1)
    f.cache_timeout = 5
    f(2)
    if kind.name == "memcached binary":
        # It cannot ask what is left, and is never wrong with a version that is there for ever.
        assert remaining(server, name) == -1
        return
    assert 490 < (remaining(server, name) or 0) <= 500
    f.cache_timeout = 1000
    f(3)
    assert 990 < (remaining(server, name) or 0) <= 1000
    f.cache_timeout = 0
    f(4)
    assert remaining(server, name) == -1


def test_a_none_is_a_hit_where_it_counts(cache: Cache) -> None:
    runs: list[int] = []

    @cache.memoize(cache_none=True)
    def f(x: int) -> None:
        runs.append(x)

    @cache.memoize()
    def g(x: int) -> None:
        runs.append(-x)

    for _ in range(3):
        f(1)
        g(1)
    assert runs == [1, -1, -1, -1]
