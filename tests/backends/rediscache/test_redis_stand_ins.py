"""What test suites of applications put in the place of redis-py does the work of a Redis cache."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
import redis
import redis.cluster
import redis.sentinel
from flask import Flask
from flask_caching import Cache

fakeredis: Any = pytest.importorskip("fakeredis")

# A server that is not there: whoever goes past the stand-in fails.
PLACE = {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": 1}
URL = {"CACHE_REDIS_URL": "redis://127.0.0.1:1/3"}


def make(**config: Any) -> Cache:
    return Cache(Flask("x"), config={"CACHE_TYPE": "RedisCache", **config})


@pytest.mark.parametrize(
    ("name", "stand_in", "config"),
    [
        ("redis.Redis", fakeredis.FakeRedis, PLACE),
        ("redis.Redis", fakeredis.FakeStrictRedis, PLACE),
        ("redis.Redis", fakeredis.FakeRedis, URL),
        ("redis.from_url", fakeredis.FakeRedis.from_url, URL),
        ("redis.Redis.from_url", fakeredis.FakeRedis.from_url, URL),
    ],
)
def test_fakeredis_is_used(name: str, stand_in: Any, config: dict[str, Any]) -> None:
    with mock.patch(name, stand_in):
        cache = make(**config)
    runs: list[int] = []

    @cache.memoize()
    def function(a: int) -> int:
        runs.append(a)
        return a

    assert cache.set("a", [1])
    assert cache.add("a", 2) is False
    assert cache.get_many("a", "b") == [[1], None]
    assert cache.inc("n") == 1
    with cache.app.app_context():
        assert function(1) == function(1) == 1
    assert runs == [1]
    assert cache.delete("a")
    assert cache.clear()
    assert cache.get("n") is None


def test_a_mock_is_called_as_redis_py_would_be() -> None:
    with mock.patch("redis.Redis") as kind:
        client = kind.return_value
        client.get.return_value = b"5"
        cache = make(
            **PLACE, CACHE_REDIS_PASSWORD="pw", CACHE_OPERATION_TIMEOUT=3, CACHE_KEY_PREFIX="p_"
        )
    kind.assert_called_once_with(host="127.0.0.1", port=1, password="pw", db=0)
    assert cache.get("key") == 5
    client.get.assert_called_once_with("p_key")
    cache.set("key", 1)
    client.set.assert_called_once_with(name="p_key", value=b"1", ex=300)


def test_a_mock_of_from_url_is_called_with_the_url() -> None:
    with mock.patch("redis.from_url") as from_url:
        make(**URL, CACHE_OPTIONS={"decode_responses": True, "breaker_failures": 0})
    from_url.assert_called_once_with("redis://127.0.0.1:1/3", db=0, decode_responses=True)


@pytest.mark.parametrize("name", ["redis.sentinel.Sentinel", "redis.Sentinel"])
def test_a_mock_of_a_sentinel(name: str) -> None:
    with mock.patch(name) as kind:
        found = kind.return_value
        found.slave_for.return_value.get.return_value = b"5"
        cache = make(CACHE_TYPE="RedisSentinelCache", CACHE_REDIS_SENTINEL_MASTER="shop")
    assert cache.get("key") == 5
    cache.set("key", 1)
    assert found.master_for.return_value.set.called
    found.master_for.assert_called_once_with("shop")


@pytest.mark.parametrize("name", ["redis.cluster.RedisCluster", "redis.RedisCluster"])
def test_a_mock_of_a_cluster(name: str) -> None:
    with mock.patch(name) as kind:
        kind.return_value.get.return_value = b"5"
        cache = make(CACHE_TYPE="RedisClusterCache", CACHE_REDIS_CLUSTER="a:1,b:2")
    assert cache.get("key") == 5
    nodes = kind.call_args.kwargs["startup_nodes"]
    assert [(node.host, node.port) for node in nodes] == [("a", 1), ("b", 2)]


def test_where_nothing_was_replaced_the_client_is_our_own() -> None:
    cache = make(**PLACE)
    assert cache.cache._servers is not None  # type: ignore[attr-defined]
    assert redis.Redis.__module__ == "redis.client"


def test_there_is_no_attribute_of_one_client() -> None:
    # By it applications tell memcached from Redis.
    assert not hasattr(make(**PLACE).cache, "_client")
