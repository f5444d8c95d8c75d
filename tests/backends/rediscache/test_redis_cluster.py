"""RedisClusterCache on three masters, each with a replica."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from busy import Stopwatch
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.rediscache import RedisClusterCache
from flask_caching.errors import CacheBackendError, CacheConfigError
from flask_caching.testing import BackendContract
from leased import check_leases
from redis_servers import Cluster, pass_time
from servers import PATIENCE, wait_until


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    nodes = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.kill()


def make(cluster: Cluster, **options: Any) -> RedisClusterCache:
    return RedisClusterCache(cluster.addresses, key_prefix="c_", **options)


class TestContract(BackendContract):
    tolerance = 0.01

    @pytest.fixture(autouse=True)
    def _nodes(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def make_backend(self) -> RedisClusterCache:
        return make(self.cluster, operation_timeout=PATIENCE)

    def pass_time(self, seconds: float) -> None:
        for node in self.cluster.nodes[:3]:
            pass_time(node.admin, seconds)


@pytest.fixture
def cache(cluster: Cluster) -> RedisClusterCache:
    for node in cluster.nodes[:3]:
        node.admin.flushall()
    return make(cluster)


KEYS = [f"key{number}" for number in range(100)]


def test_many_keys_of_all_nodes(cluster: Cluster, cache: RedisClusterCache) -> None:
    values = {key: number for number, key in enumerate(KEYS)}
    assert sorted(cache.set_many(values)) == sorted(KEYS)
    sizes = [node.admin.dbsize() for node in cluster.nodes[:3]]
    assert sum(sizes) == 100
    assert min(sizes) > 10
    assert cache.get_dict(*KEYS) == values
    assert cache.get_many("none", *KEYS[:3]) == [None, 0, 1, 2]
    assert cache.delete_many(*KEYS, "none") == [*KEYS, "none"]
    assert cache.unlink(*KEYS) == 0
    assert [node.admin.dbsize() for node in cluster.nodes[:3]] == [0, 0, 0]


def test_a_hundred_keys_are_one_round_trip_a_node(
    cluster: Cluster, cache: RedisClusterCache
) -> None:
    cache.set_many(dict.fromkeys(KEYS, "x"))

    admins = [node.admin for node in cluster.nodes[:3]]

    def reads() -> list[int]:
        return [admin.info("stats")["total_reads_processed"] for admin in admins]

    reads()
    for use in (cache.get_many, cache.delete_many):
        before = reads()
        use(*KEYS)
        # Our pipeline, the question itself, and a word from the replica that may come between.
        assert all(b - a <= 3 for a, b in zip(before, reads(), strict=True))


def test_clear_on_all_nodes(cluster: Cluster, cache: RedisClusterCache) -> None:
    cache.set_many(dict.fromkeys(KEYS, 1))
    other = RedisClusterCache(cluster.addresses, key_prefix="other_")
    other.set_many(dict.fromkeys(KEYS, 2))
    assert cache.clear()
    assert cache.get_many(*KEYS) == [None] * 100
    assert other.get_many(*KEYS) == [2] * 100
    assert RedisClusterCache(cluster.addresses).clear()
    assert other.get_many(*KEYS) == [None] * 100


def test_hash_tags(cluster: Cluster, cache: RedisClusterCache) -> None:
    keys = [f"{{tag}}{number}" for number in range(20)]
    cache.set_many(dict.fromkeys(keys, 1))
    assert sorted(node.admin.dbsize() for node in cluster.nodes[:3]) == [0, 0, 20]
    assert cache.get_many(*keys) == [1] * 20


def test_one_node_is_enough_to_know_all(cluster: Cluster) -> None:
    for node in cluster.nodes:
        cache = RedisClusterCache(f"127.0.0.1:{node.port}", key_prefix="c_")
        assert cache.set_many(dict.fromkeys(KEYS, 1))
    by_url = RedisClusterCache(
        redis_url=f"redis://127.0.0.1:{cluster.nodes[0].port}", key_prefix="c_"
    )
    assert by_url.get_many(*KEYS) == [1] * 100
    with pytest.raises(CacheBackendError):
        RedisClusterCache("127.0.0.1:1", key_prefix="c_").get("k")


def test_memoized_methods(cluster: Cluster) -> None:
    app = Flask("cluster")
    app.config.update(CACHE_TYPE="RedisClusterCache", CACHE_REDIS_CLUSTER=cluster.addresses)
    cache = Cache(app)
    calls = []

    class Adder:
        def __init__(self, base: int) -> None:
            self.base = base

        def __repr__(self) -> str:
            return f"Adder({self.base})"

        @cache.memoize()
        def add(self, number: int) -> int:
            calls.append((self.base, number))
            return self.base + number

    with app.app_context():
        cache.clear()
        one, two = Adder(1), Adder(2)
        for _ in range(2):
            assert [one.add(n) for n in range(20)] == list(range(1, 21))
            assert two.add(1) == 3
        assert len(calls) == 21
        cache.delete_memoized(one.add)
        assert [one.add(1), two.add(1)] == [2, 3]
    assert len(calls) == 22


def test_a_moved_slot(cluster: Cluster, cache: RedisClusterCache) -> None:
    """MOVED after a slot has gone to another node, ASK while it goes."""
    keys = [f"{{moving}}{number}" for number in range(10)]
    cache.set_many(dict.fromkeys(keys, "v"))
    source = cluster.owner("moving")
    target = next(node for node in cluster.nodes[:3] if node is not source)
    slot = source.admin.cluster("KEYSLOT", "moving")
    target.admin.cluster("SETSLOT", slot, "IMPORTING", cluster.id(source))
    source.admin.cluster("SETSLOT", slot, "MIGRATING", cluster.id(target))
    for key in keys[:5]:
        source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, f"c_{key}", 0, 5000)
    # Half of the keys are here, half there.
    assert [cache.get(key) for key in keys] == ["v"] * 10
    assert cache.set(keys[0], "w")
    assert cache.inc("{moving}new") == 1
    assert cache.inc("{moving}new") == 2
    for key in [*keys[5:], "{moving}new"]:
        source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, f"c_{key}", 0, 5000)
    for node in (target, source, *cluster.nodes[:3]):
        node.admin.cluster("SETSLOT", slot, "NODE", cluster.id(target))
    assert cache.get(keys[0]) == "w"
    assert cache.get_many(*keys) == ["w", *["v"] * 9]
    assert cache.get("{moving}new") == 2
    assert cache.delete_many(*keys) == keys


def test_clients(cluster: Cluster, cache: RedisClusterCache) -> None:
    cache.set("k", 1)
    assert cache._write_client.get("c_k") == b"1"
    by_client = RedisClusterCache(cache._write_client, key_prefix="c_")
    assert by_client.get("k") == 1
    by_client.set_many(dict.fromkeys(KEYS, 3))
    assert by_client.clear()
    assert cache.get("k") is None


@pytest.mark.parametrize(
    ("cluster_addresses", "options", "message"),
    [
        ("", {}, "Please give the correct cluster argument"),
        ("localhost", {}, "is not host:port"),
        ("localhost:port", {}, "a port is a number"),
        ("localhost:1", {"read_from_replicas": True}, "'read_from_replicas' can only be False"),
        ("localhost:1", {"colour": "red"}, "there is no option 'colour'"),
        ("localhost:1", {"db": 3}, "has only the database 0"),
    ],
)
def test_settings(cluster_addresses: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CacheConfigError, match=message):
        RedisClusterCache(cluster_addresses, **options)


def test_the_application_starts_while_the_cluster_is_down(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, password="pass word")
    app = Flask("early")
    app.config.update(
        CACHE_TYPE="RedisClusterCache",
        CACHE_REDIS_CLUSTER=cluster.addresses,
        CACHE_REDIS_PASSWORD="pass word",
        CACHE_BREAKER_RESET=0.1,
    )
    cache = Cache(app)
    calls = []

    @app.get("/")
    @cache.cached()
    def view() -> str:
        calls.append(1)
        return str(len(calls))

    client = app.test_client()
    assert [client.get("/").text, client.get("/").text] == ["1", "2"]
    try:
        cluster.start()

        def hits() -> bool:
            return client.get("/").text == client.get("/").text

        wait_until(hits, "the cache to find the cluster", 5)
    finally:
        cluster.kill()


def test_a_node_that_hangs_costs_the_others_nothing(cluster: Cluster) -> None:
    cache = make(cluster, operation_timeout=0.4, breaker_reset=5)
    cache.set_many(dict.fromkeys(KEYS, "v"))
    hanging = cluster.owner("c_" + KEYS[0])
    elsewhere = [key for key in KEYS if cluster.owner("c_" + key) is not hanging]
    hanging.pause()
    try:
        watch = Stopwatch()
        with pytest.raises(CacheBackendError):
            cache.get_many(*KEYS)
        assert watch.seconds() < 0.8
        watch = Stopwatch()
        assert cache.get_many(*elsewhere) == ["v"] * len(elsewhere)
        with pytest.raises(CacheBackendError, match="is being left alone"):
            cache.get(KEYS[0])
        assert watch.seconds() < 0.3
    finally:
        hanging.resume()
    wait_until(lambda: _settled(cluster), "the cluster to agree again")


def test_calls_have_leases(cache: RedisClusterCache) -> None:
    check_leases(cache)


def _settled(cluster: Cluster) -> bool:
    """Whether there are three masters and the slots are all theirs."""
    states = [node.admin.cluster("INFO")["cluster_state"] for node in cluster.nodes]
    known = cluster.nodes[0].admin.cluster("NODES").values()
    masters = [node for node in known if "master" in node["flags"] and node["slots"]]
    return states == ["ok"] * 6 and len(masters) == 3


def test_a_lost_master_is_survived(cluster: Cluster) -> None:
    """The last test: it kills a master."""
    cache = make(cluster, operation_timeout=0.5, breaker_reset=0.2)
    cache.set_many(dict.fromkeys(KEYS, "v"))
    lost = cluster.owner("c_" + KEYS[0])
    lost.admin.wait(1, 2000)
    cluster.lose(lost)
    watch = Stopwatch()
    with pytest.raises(CacheBackendError):
        cache.get(KEYS[0])
    assert watch.seconds() < 1

    def survived() -> bool:
        try:
            return cache.get_many(*KEYS) == ["v"] * 100 and bool(cache.set(KEYS[0], "w"))
        except CacheBackendError:
            return False

    wait_until(survived, "the replica to take over")
    assert cache.get(KEYS[0]) == "w"
    assert sorted(cache.set_many(dict.fromkeys(KEYS, "x"))) == sorted(KEYS)
