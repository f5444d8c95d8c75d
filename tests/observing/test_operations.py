"""What is asked of a cache explicitly, and how long its backend takes, is counted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache


@pytest.fixture(params=["SimpleCache", "FileSystemCache", "RedisCache", "MemcachedCache"])
def cache(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[Cache]:
    config: dict[str, Any] = {"CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path / "cache")}
    if request.param == "RedisCache":
        server = request.getfixturevalue("redis_server")
        config |= {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": server.port}
    if request.param == "MemcachedCache":
        server = request.getfixturevalue("memcached_server")
        config |= {"CACHE_MEMCACHED_SERVERS": [f"127.0.0.1:{server.port}"]}
    cache = Cache(app, config=config)
    with app.app_context():
        cache.cache.clear()
        yield cache


def test_operations(cache: Cache) -> None:
    earlier = cache.stats()
    cache.set("a", 1), cache.set("b", 2), cache.set_many({"c": 3, "d": 4}), cache.add("e", 5)
    assert [cache.get("a"), cache.get("z")] == [1, None]
    assert cache.get_many("a", "b", "z") == [1, 2, None]
    assert cache.get_dict("a", "y") == {"a": 1, "y": None}
    cache.delete("a"), cache.delete_many("b", "c", "z")
    cache.clear()
    operations = cache.stats().delta(earlier).operations
    assert operations.as_dict() == {
        "hits": 4,
        "misses": 3,
        "writes": 5,
        "deletions": 4,
        "clears": 1,
        "near_hits": 0,
    }


def test_latencies(cache: Cache) -> None:
    earlier = cache.stats()
    for _ in range(20):
        cache.set("a", "x"), cache.get("a")
    backend = cache.stats().delta(earlier).backend
    assert backend is not None
    if backend.name == "SimpleCache":
        assert (backend.latencies, backend.entries) == ({}, 1)
        return
    latencies = {name: latency for name, latency in backend.latencies.items() if latency.count}
    assert {name: latency.count for name, latency in latencies.items()} == {"get": 20, "set": 20}
    for latency in latencies.values():
        assert latency.p50 is not None
        assert latency.p99 is not None
        assert 0 < latency.p50 <= latency.p99 < 10
        assert latency.errors == 0


@pytest.mark.parametrize("kind", ["redis.Redis", "memcache.Client"])
def test_latencies_of_a_client_object(
    app: Flask, kind: str, request: pytest.FixtureRequest
) -> None:
    module = pytest.importorskip(kind.partition(".")[0])
    if kind == "redis.Redis":
        client = module.Redis(port=request.getfixturevalue("redis_server").port)
        config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": client}
    else:
        server = request.getfixturevalue("memcached_server")
        client = module.Client([f"127.0.0.1:{server.port}"])
        config = {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": client}
    cache = Cache(app, config=config)
    with app.app_context():
        cache.set("a", 1), cache.get("a"), cache.get("a"), cache.get_many("a", "b")
        backend = cache.stats().backend
    assert backend is not None
    counts = {name: latency.count for name, latency in backend.latencies.items()}
    assert counts == {"set": 1, "get": 2, "get_many": 1}


def test_entries_that_had_to_make_room(app: Flask) -> None:
    config = {"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 10, "CACHE_MAX_BYTES": 100_000}
    cache = Cache(app, config=config)
    with app.app_context():
        for number in range(25):
            cache.set(str(number), "x" * 100)
        backend = cache.stats().backend
    assert backend is not None
    assert (backend.entries, backend.evictions) == (10, 15)
    assert backend.bytes is not None
    assert 1000 < backend.bytes <= 100_000


def test_bytes_of_a_shared_cache(app: Flask, tmp_path: Path) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SharedCache", "CACHE_DIR": str(tmp_path / "cache")})
    with app.app_context():
        cache.set("a", "x" * 5000)
        backend = cache.stats().backend
    assert backend is not None
    assert backend.entries == 1
    assert backend.bytes is not None
    assert 5000 < backend.bytes < 50_000


def test_a_child_counts_from_nothing(cache: Cache) -> None:
    @cache.memoize()
    def function(a: int) -> int:
        return a

    function(1), function(1), cache.get("x")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            before = cache.stats()
            function(1), cache.get("x")
            after = cache.stats()
            said = [before.hits, before.operations.misses, after.hits, after.operations.misses]
            latencies = after.backend.latencies if after.backend else {}
            said.append(sum(latency.count for latency in latencies.values()))
            os.write(writing, repr(said).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reading, 1000).decode()
    assert said.startswith("[0, 0, 1, 1, ")
    assert cache.stats().hits == 1


def test_failures_of_a_server_are_counted(app: Flask, redis_server: Any) -> None:
    config = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_HOST": "127.0.0.1",
        "CACHE_REDIS_PORT": 1,
    }
    cache = Cache(app, config=config)
    with app.app_context():
        for _ in range(3):
            with pytest.raises(Exception, match="get"):
                cache.get("a")
        stats = cache.stats()
    assert stats.backend is not None
    assert (stats.backend.latencies["get"].count, stats.backend.latencies["get"].errors) == (3, 3)
