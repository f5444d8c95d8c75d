"""Memoized functions on Redis: what a call costs in round trips, and that no guess is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.rediscache import RedisCache
from redis_servers import RedisServer


class CountingStore:
    """Counts the calls of a store: each is one round trip on one server."""

    def __init__(self, store: Any, calls: list[str]) -> None:
        self._counted = store
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        self._calls.append(name)
        return getattr(self._counted, name)


class CountingCache(RedisCache):
    calls: list[str]

    @property
    def _store(self) -> Any:
        return CountingStore(super()._store, self.__dict__.setdefault("calls", []))


@pytest.fixture
def cache(redis_server: RedisServer) -> Iterator[Cache]:
    app = Flask("round_trips")
    app.config.update(
        CACHE_TYPE=CountingCache, CACHE_REDIS_PORT=redis_server.port, CACHE_KEY_PREFIX="trips_"
    )
    cache = Cache(app)
    with app.app_context():
        cache.clear()
        yield cache
        cache.clear()


def calls_of(cache: Cache) -> list[str]:
    calls: list[str] = cache.cache.calls  # type: ignore[attr-defined]
    taken = list(calls)
    calls.clear()
    return taken


def test_a_hit_and_a_miss_cost_one_round_trip_for_each_direction(cache: Cache) -> None:
    @cache.memoize()
    def f(x: int) -> int:
        return x

    f(1)
    calls_of(cache)
    assert f(1) == 1
    assert calls_of(cache) == ["get_many"]
    assert f(2) == 2
    assert calls_of(cache) == ["get_many", "set_extending"]


def test_a_method_costs_no_more(cache: Cache) -> None:
    class Adder:
        def __repr__(self) -> str:
            return "Adder()"

        @cache.memoize()
        def add(self, x: int) -> int:
            return x

    Adder().add(1)
    calls_of(cache)
    assert [Adder().add(1), Adder().add(2)] == [1, 2]
    assert calls_of(cache) == ["get_many", "get_many", "set_extending"]


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
    cache: Cache, redis_server: RedisServer
) -> None:
    @cache.memoize()
    def f(x: int) -> int:
        return x

    name = "trips_" + cache._memvname(f._flask_caching_policy.namespace)  # type: ignore[attr-defined]
    f.cache_timeout = 500
    f(1)
    f.cache_timeout = 5
    f(2)
    assert 490 < redis_server.admin.ttl(name) <= 500
    f.cache_timeout = 1000
    f(3)
    assert 990 < redis_server.admin.ttl(name) <= 1000
    f.cache_timeout = 0
    f(4)
    assert redis_server.admin.ttl(name) == -1


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
