"""RedisSentinelCache on a master, a replica and a sentinel."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from busy import Stopwatch
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.rediscache import RedisSentinelCache
from flask_caching.errors import CacheBackendError, CacheConfigError
from flask_caching.testing import BackendContract
from leased import check_leases
from redis_servers import Watched, pass_time
from servers import PATIENCE, wait_until


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    servers = Watched(tmp_path_factory.mktemp("sentinel"))
    try:
        servers.start()
        yield servers
    finally:
        servers.kill()


def make(watched: Watched, **options: Any) -> RedisSentinelCache:
    return RedisSentinelCache(
        [("127.0.0.1", watched.sentinel.port)], watched.name, key_prefix="s_", **options
    )


class TestContract(BackendContract):
    tolerance = 0.01

    @pytest.fixture(autouse=True)
    def _servers(self, watched: Watched) -> None:
        self.watched = watched

    def make_backend(self) -> RedisSentinelCache:
        return make(self.watched, operation_timeout=PATIENCE)

    def pass_time(self, seconds: float) -> None:
        pass_time(self.watched.master.admin, seconds)


def replicated(watched: Watched) -> None:
    watched.replicate()


def test_reads_go_to_the_replica_and_writes_to_the_master(watched: Watched) -> None:
    cache = make(watched)
    watched.master.admin.set("s_other", b"7")
    replicated(watched)
    cache.set("connected", 1)
    cache.get("other")
    for server in (watched.master, watched.replica):
        server.admin.config_resetstat()
    assert cache.get("other") == 7
    assert cache.get_many("other", "none") == [7, None]
    assert cache.set("mine", 1)
    assert "cmdstat_get" in watched.replica.admin.info("commandstats")
    assert "cmdstat_mget" in watched.replica.admin.info("commandstats")
    on_master = watched.master.admin.info("commandstats")
    assert "cmdstat_get" not in on_master
    assert "cmdstat_set" in on_master


def test_what_this_process_wrote_is_read_from_the_master(watched: Watched) -> None:
    cache = make(watched)
    cache.set("deleted", "old")
    replicated(watched)
    watched.replica.pause()
    try:
        assert cache.set("written", 1)
        assert cache.delete("deleted")
        assert cache.get("written") == 1
        assert cache.get("deleted") is None
        assert cache.get_many("written", "deleted") == [1, None]
        assert not cache.has("deleted")
    finally:
        watched.replica.resume()


def test_versions_are_read_from_the_master(watched: Watched) -> None:
    watched.master.admin.set("s_f_memver", b"5")
    watched.replica.pause()
    try:
        assert make(watched).get("f_memver") == 5
    finally:
        watched.replica.resume()


def test_the_versions_of_tags_are_read_from_the_master(watched: Watched) -> None:
    make(watched).set("a", 1, tags=["t", "a b"])
    replicated(watched)
    other = make(watched)
    other.get("connected")
    for server in (watched.master, watched.replica):
        server.admin.config_resetstat()
    assert other.get("a") == 1
    assert "cmdstat_mget" in watched.master.admin.info("commandstats")
    assert "cmdstat_mget" not in watched.replica.admin.info("commandstats")


def test_a_hanging_replica_leaves_time_for_the_master(watched: Watched) -> None:
    watched.master.admin.set("s_theirs", b"6")
    cache = make(watched, operation_timeout=1)
    watched.replica.pause()
    try:
        watch = Stopwatch()
        assert cache.get("theirs") == 6
        assert watch.seconds() < 1
    finally:
        watched.replica.resume()


def test_a_memoized_function_hits_behind_a_lagging_replica(watched: Watched) -> None:
    app = Flask("lag")
    app.config.update(
        CACHE_TYPE="RedisSentinelCache",
        CACHE_REDIS_SENTINELS=[("127.0.0.1", watched.sentinel.port)],
        CACHE_REDIS_SENTINEL_MASTER=watched.name,
    )
    cache = Cache(app)
    calls = []

    @cache.memoize()
    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    with app.app_context():
        replicated(watched)
        watched.replica.pause()
        try:
            assert [double(2), double(2), double(2)] == [4, 4, 4]
            cache.delete_memoized(double, 2)
            assert double(2) == 4
        finally:
            watched.replica.resume()
    assert calls == [2, 2]


def test_clear(watched: Watched) -> None:
    cache = make(watched)
    cache.set("k", 1)
    replicated(watched)
    assert cache.clear()
    assert cache.get("k") is None


def test_clients(watched: Watched) -> None:
    cache = make(watched)
    cache._write_client.set("s_k", 3)
    assert cache.get("k") == 3 or cache._read_client.get("s_k") in (b"3", None)
    assert cache._write_client.info("replication")["role"] == "master"
    assert cache._read_client.info("replication")["role"] == "slave"


def test_an_unknown_master_is_an_error_that_says_so(watched: Watched) -> None:
    cache = RedisSentinelCache([("127.0.0.1", watched.sentinel.port)], "nobody", key_prefix="s_")
    with pytest.raises(CacheBackendError, match='knows no master "nobody"'):
        cache.get("k")


def test_one_sentinel_that_answers_is_enough(watched: Watched) -> None:
    cache = RedisSentinelCache(
        [("127.0.0.1", 1), ("127.0.0.1", watched.sentinel.port)], watched.name, key_prefix="s_"
    )
    assert cache.set("k", 1)


def test_settings() -> None:
    # Nothing is connected to when it is made.
    assert RedisSentinelCache(key_prefix="s_").get is not None
    with pytest.raises(CacheConfigError, match="sentinel_ part of CACHE_OPTIONS: there is no"):
        RedisSentinelCache(sentinel_colour="red")
    with pytest.raises(CacheConfigError, match="min_other_sentinels"):
        RedisSentinelCache(min_other_sentinels="many")
    with pytest.raises(CacheConfigError, match="pair of host and port"):
        RedisSentinelCache(sentinels=[1])


def test_passwords_of_servers_and_sentinels(tmp_path: Path) -> None:
    servers = Watched(tmp_path, password="pass word")
    app = Flask("passwords")
    app.config.update(
        CACHE_TYPE="RedisSentinelCache",
        CACHE_REDIS_SENTINELS=[("127.0.0.1", servers.sentinel.port)],
        CACHE_REDIS_SENTINEL_MASTER=servers.name,
        CACHE_REDIS_PASSWORD="pass word",
        CACHE_REDIS_SENTINEL_PASSWORD="sentinel pass word",
        CACHE_REDIS_DB=2,
        CACHE_OPTIONS={"sentinel_socket_timeout": 2, "socket_timeout": 2, "client_name": "me"},
    )
    try:
        servers.start()
        cache = Cache(app)
        backend = app.extensions["cache"][cache]
        assert backend.set("k", 1)
        assert backend.get_many("k", "none") == [1, None]
        assert backend._write_client.get("flask_cache_k") == b"1"
        assert {"me"} <= {client["name"] for client in servers.master.admin.client_list()}
        wrong = RedisSentinelCache(
            [("127.0.0.1", servers.sentinel.port)],
            servers.name,
            "pass word",
            sentinel_password="wrong",
            key_prefix="s_",
        )
        with pytest.raises(CacheBackendError, match="WRONGPASS"):
            wrong.get("k")
    finally:
        servers.kill()


def test_calls_have_leases(watched: Watched) -> None:
    check_leases(make(watched))


def test_failover_under_load(watched: Watched) -> None:
    """The last test: it kills the master."""
    app = Flask("failover")
    app.config.update(
        CACHE_TYPE="RedisSentinelCache",
        CACHE_REDIS_SENTINELS=[("127.0.0.1", watched.sentinel.port)],
        CACHE_REDIS_SENTINEL_MASTER=watched.name,
        CACHE_OPERATION_TIMEOUT=0.5,
        CACHE_BREAKER_RESET=0.2,
    )
    cache = Cache(app)

    @app.get("/<int:number>")
    @cache.cached()
    def view(number: int) -> str:
        return f"page {number}"

    wrong: list[Any] = []
    slowest = [0.0]
    stop = threading.Event()

    def load() -> None:
        client = app.test_client()
        while not stop.is_set():
            for number in range(20):
                start = time.perf_counter()
                response = client.get(f"/{number}")
                slowest[0] = max(slowest[0], time.perf_counter() - start)
                if response.status_code != 200 or response.text != f"page {number}":
                    wrong.append((response.status_code, response.text))

    watch = Stopwatch()
    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.3)
        watched.fail_over()
        backend = app.extensions["cache"][cache]
        wait_until(lambda: _stores(backend), "the cache to find the new master", 20)
    finally:
        waited = watch.waited()
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert slowest[0] < 2 + waited
    assert backend.get("after") == 1
    assert watched.replica.admin.get("flask_cache_after") == b"1"


def _stores(backend: Any) -> bool:
    try:
        return bool(backend.set("after", 1))
    except CacheBackendError:
        return False
