"""Memoized functions and views on Redis and memcached, on our clients and on the application's."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache


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
