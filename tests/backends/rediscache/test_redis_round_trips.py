"""Memoized functions on Redis: what a call costs in round trips."""

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
