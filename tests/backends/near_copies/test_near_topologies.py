"""``CACHE_NEAR`` behind a sentinel and on a cluster: each master tells of what is its own."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_caching import Cache
from flask_caching.errors import CacheBackendError
from near import is_current
from redis_servers import Cluster, RedisServer, Watched
from servers import wait_until

KEYS = [f"key{number}" for number in range(30)]
DEADLINES = {"CACHE_OPERATION_TIMEOUT": 0.5, "CACHE_BREAKER_RESET": 0.2, "CACHE_NEAR_SILENCE": 1}


def start(cache: Cache) -> Cache:
    wait_until(lambda: _is_current(cache), "copies to be kept")
    return cache


def _is_current(cache: Cache) -> bool:
    try:
        return is_current(cache)
    except CacheBackendError:
        return False


def gets(servers: list[RedisServer]) -> int:
    stats = [server.admin.info("commandstats") for server in servers]
    return sum(one.get("cmdstat_get", {}).get("calls", 0) for one in stats)


def settle(cache: Cache, servers: list[RedisServer], *keys: str) -> list[Any]:
    """The values of keys, when the copies answer for them."""

    def answer() -> bool:
        before = gets(servers)
        cache.get_many(*keys)
        return gets(servers) == before

    wait_until(answer, "copies to answer")
    return cache.get_many(*keys)


def behind_sentinel(watched: Watched, **config: Any) -> Cache:
    settings = {
        "CACHE_TYPE": "RedisSentinelCache",
        "CACHE_REDIS_SENTINELS": [("127.0.0.1", watched.sentinel.port)],
        "CACHE_REDIS_SENTINEL_MASTER": watched.name,
        **DEADLINES,
    }
    return Cache(Flask("near"), config={**settings, **config})


def on_cluster(cluster: Cluster, **config: Any) -> Cache:
    settings = {"CACHE_TYPE": "RedisClusterCache", "CACHE_REDIS_CLUSTER": cluster.addresses}
    return Cache(Flask("near"), config={**settings, **DEADLINES, **config})


def test_a_failover(watched: Watched) -> None:
    cache, other = start(behind_sentinel(watched, CACHE_NEAR=True)), behind_sentinel(watched)
    servers = [watched.master, watched.replica]
    other.set_many(dict.fromkeys(KEYS, 1))
    assert settle(cache, servers, *KEYS) == [1] * len(KEYS)
    other.set("key0", 2)
    wait_until(lambda: cache.get("key0") == 2, "the change to be seen")

    watched.replicate()
    watched.fail_over()

    def set_elsewhere() -> bool:
        try:
            return bool(other.set("key1", 3))
        except CacheBackendError:
            return False

    wait_until(set_elsewhere, "the new master to be found")
    start(cache)
    assert settle(cache, [watched.replica], "key0", "key1") == [2, 3]
    other.set("key1", 4)
    wait_until(lambda: cache.get("key1") == 4, "the change to be seen")


def test_every_master_of_a_cluster_tells(cluster: Cluster) -> None:
    cache, other = start(on_cluster(cluster, CACHE_NEAR=True)), on_cluster(cluster)
    other.set_many(dict.fromkeys(KEYS, 1))
    assert settle(cache, cluster.nodes, *KEYS) == [1] * len(KEYS)
    for key in KEYS:
        other.set(key, 2)
        wait_until(lambda key=key: cache.get(key) == 2, "the change to be seen")
    cache.clear()
    assert cache.get_many(*KEYS) == [None] * len(KEYS)


def test_a_moved_slot(cluster: Cluster) -> None:
    cache, other = start(on_cluster(cluster, CACHE_NEAR=True)), on_cluster(cluster)
    other.set("moving", 1)
    settle(cache, cluster.nodes, "moving")
    key = f"{cache.cache.key_prefix}moving"
    source = cluster.owner(key)
    target = next(node for node in cluster.nodes[:3] if node is not source)
    slot = source.admin.cluster("KEYSLOT", key)
    target.admin.cluster("SETSLOT", slot, "IMPORTING", cluster.id(source))
    source.admin.cluster("SETSLOT", slot, "MIGRATING", cluster.id(target))
    source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
    for node in (target, source, *cluster.nodes[:3]):
        node.admin.cluster("SETSLOT", slot, "NODE", cluster.id(target))
    other.set("moving", 2)
    wait_until(lambda: cache.get("moving") == 2, "the change to be seen")
    start(cache)
    assert settle(cache, cluster.nodes, "moving") == [2]
    other.delete("moving")
    wait_until(lambda: cache.get("moving") is None, "the change to be seen")


def test_a_lost_master(cluster: Cluster) -> None:
    """The last test: it kills a master."""
    cache, other = start(on_cluster(cluster, CACHE_NEAR=True)), on_cluster(cluster)
    other.set_many(dict.fromkeys(KEYS, 1))
    settle(cache, cluster.nodes, *KEYS)
    lost = cluster.owner(f"{cache.cache.key_prefix}{KEYS[0]}")
    lost.admin.wait(1, 2000)
    cluster.lose(lost)

    def is_changed() -> bool:
        try:
            return other.set_many(dict.fromkeys(KEYS, 2)) == KEYS
        except CacheBackendError:
            return False

    wait_until(is_changed, "the replica to take over")
    wait_until(lambda: _found(cache) == [2] * len(KEYS), "the change to be seen")
    start(cache)
    left = [node for node in cluster.nodes if node is not lost]
    assert settle(cache, left, *KEYS) == [2] * len(KEYS)


def _found(cache: Cache) -> list[Any]:
    try:
        return cache.get_many(*KEYS)
    except CacheBackendError:
        return []
