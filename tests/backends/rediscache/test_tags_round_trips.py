"""What tags cost on servers, in round trips."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.memcache import MemcachedCache
from flask_caching.backends.rediscache import RedisCache


class CountingStore:
    """Notes the calls of a store: each is one round trip on one server."""

    def __init__(self, store: Any, calls: list[str]) -> None:
        self._counted = store
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        self._calls.append(name)
        return getattr(self._counted, name)


class Counting:
    calls: list[str]

    @property
    def _store(self) -> Any:
        calls = self.__dict__.setdefault("calls", [])
        return CountingStore(super()._store, calls)  # type: ignore[misc]


class CountingRedis(Counting, RedisCache):
    pass


class CountingMemcached(Counting, MemcachedCache):
    pass


@pytest.fixture(params=["redis", "memcached"])
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    server: Any = request.getfixturevalue(f"{request.param}_server")
    app = Flask("tested")
    if request.param == "redis":
        app.config.update(CACHE_TYPE=CountingRedis, CACHE_REDIS_PORT=server.port)
    else:
        servers = [f"127.0.0.1:{server.port}"]
        app.config.update(CACHE_TYPE=CountingMemcached, CACHE_MEMCACHED_SERVERS=servers)
    cache = Cache(app, config={"CACHE_KEY_PREFIX": uuid.uuid4().hex})
    with app.app_context():
        cache.set("connected", 1)
        yield cache


def cost(cache: Cache, call: Any) -> list[str]:
    """The round trips of a call."""
    calls: list[str] = cache.cache.calls  # type: ignore[attr-defined]
    calls.clear()
    call()
    return list(calls)


def hit(cache: Cache, decorate: Any) -> list[str]:
    """The round trips of a hit of a decorated function."""
    numbers = iter(range(100))
    f = decorate(lambda: next(numbers))
    assert [f(), f()] == [0, 0]
    taken = cost(cache, f)
    assert next(numbers) == 1
    return taken


def test_tags_that_are_known_beforehand_cost_a_hit_no_further_round_trip(cache: Cache) -> None:
    for decorate in (
        lambda **more: cache.memoize(60, **more),
        lambda **more: cache.cached(60, key_prefix=uuid.uuid4().hex, **more),
    ):
        plain = hit(cache, decorate())
        assert len(hit(cache, decorate(tags=["t", "u", "v"]))) == len(plain)


def test_tags_that_are_not_known_cost_a_hit_one(cache: Cache) -> None:
    for decorate in (
        lambda **more: cache.memoize(60, **more),
        lambda **more: cache.cached(60, key_prefix=uuid.uuid4().hex, **more),
    ):
        plain = hit(cache, decorate())
        told = hit(cache, decorate(tags=lambda rv: ["t", "u", "v"]))
        assert len(told) == len(plain) + 1
    cache.set_many({"a": 1, "b": 2}, tags=["t", "u"])
    assert cost(cache, lambda: cache.get("a")) == ["get", "get_many"]
    assert cost(cache, lambda: cache.get_many("a", "b")) == ["get_many", "get_many"]


def test_a_deletion_is_one_round_trip_however_many_entries(cache: Cache) -> None:
    cache.set_many({f"k{number}": number for number in range(50)}, tags=["t", "u"])
    assert cost(cache, lambda: cache.delete_tags("t", "u")) == ["delete_many"]
    assert cache.get_many("k0", "k49") == [None, None]


def test_who_has_no_tags_pays_nothing(cache: Cache) -> None:
    for value in (5, "text", [1, 2]):
        cache.set("k", value)
        assert cost(cache, lambda: cache.get("k")) == ["get"]
        assert cost(cache, lambda: cache.has("k")) == ["is_sealed"]
        assert cost(cache, lambda: cache.has("none")) == ["is_sealed"]
        assert cost(cache, lambda: cache.add("k", 1)) == ["add_or_tell"]
        assert cost(cache, lambda: cache.set("k", 1)) == ["set"]
    assert cost(cache, lambda: cache.inc("k")) == ["incr"]
