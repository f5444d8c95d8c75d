"""Redis servers that refuse, and options about faults; see test_network_faults.py for others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from busy import Stopwatch
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.rediscache import RedisCache
from flask_caching.errors import CacheBackendError
from network import DEADLINE, KINDS, RESET, back_again, elapsed, outage_lines
from redis_servers import RedisServer, speaking
from servers import wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.kill()


def make(port: int, **options: Any) -> RedisCache:
    chosen = {"operation_timeout": DEADLINE, "breaker_reset": RESET, **options}
    return RedisCache("127.0.0.1", port, key_prefix="f_", **chosen)


def test_connecting_to_a_paused_server_has_a_deadline_too(server: RedisServer) -> None:
    cache = make(server.port, client_name="greets")
    server.pause()
    assert elapsed(lambda: cache.get("k")) < DEADLINE + 0.3
    server.resume()


def test_a_clear_during_an_outage_is_delivered_after_it(server: RedisServer) -> None:
    cache = make(server.port)
    cache.set("k", 1)
    server.admin.set("theirs", 1)
    server.pause()
    with pytest.raises(CacheBackendError):
        cache.clear()
    server.resume()
    back_again(cache)
    assert cache.get("k") is None
    assert server.admin.get("theirs") == b"1"


def test_out_of_memory(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    cache = make(server.port)
    cache.set("small", 1)
    cache.set("old", "an old value")
    server.admin.config_set("maxmemory", 1)
    for _ in range(20):
        with pytest.raises(CacheBackendError, match="OOM"):
            cache.set("old", "x" * 1000)
    assert cache.set_many({"a": 1, "b": 2}) == []
    # Reading goes on, and what could not be overwritten is not read as if it had been.
    assert cache.get("small") == 1
    assert cache.get("old") is None
    server.admin.config_set("maxmemory", 0)
    assert cache.set("old", "new")
    begin, end = outage_lines(caplog, f"127.0.0.1:{server.port}")
    assert "refuses: set on" in begin
    assert "accepts writes again" in end


def test_a_read_only_server(server: RedisServer, tmp_path: Path) -> None:
    replica = RedisServer(
        tmp_path / "replica",
        "--replicaof",
        f"127.0.0.1 {server.port}",
    )
    replica.start()
    try:
        cache = make(replica.port)
        with pytest.raises(CacheBackendError, match="READONLY"):
            cache.set("k", 1)
        with pytest.raises(CacheBackendError, match="READONLY"):
            cache.delete("k")
        assert cache.get("other") is None
    finally:
        replica.kill()


def test_socket_timeout_is_the_deadline(server: RedisServer) -> None:
    cache = RedisCache("127.0.0.1", server.port, key_prefix="f_", socket_timeout=0.2)
    cache.set("k", 1)
    server.pause()
    start = time.perf_counter()
    assert elapsed(lambda: cache.get("k")) < 0.5
    assert time.perf_counter() - start > 0.15
    server.resume()


def test_retry_on_timeout_is_one_more_deadline(server: RedisServer) -> None:
    cache = make(server.port, socket_timeout=0.2, retry_on_timeout=True)
    cache.set("k", 1)
    server.pause()
    start = time.perf_counter()
    assert elapsed(lambda: cache.get("k")) < 0.8
    assert time.perf_counter() - start > 0.35
    server.resume()


def test_a_health_check_comes_before_use(server: RedisServer) -> None:
    cache = make(server.port, health_check_interval=0.05)
    cache.set("k", 1)
    server.admin.config_resetstat()
    time.sleep(0.1)
    assert cache.get("k") == 1
    assert cache.get("k") == 1
    assert server.admin.info("commandstats")["cmdstat_ping"]["calls"] == 1


def test_a_dribbling_server_has_one_deadline() -> None:
    with speaking(b"$5") as port:
        cache = make(port)
        assert elapsed(lambda: cache.set_many({str(n): n for n in range(50)})) < DEADLINE + 0.3


def test_a_password_is_in_no_message(server: RedisServer) -> None:
    server.admin.config_set("requirepass", "sesame")
    cache = make(server.port, password=None)
    for wrong in (cache, RedisCache("127.0.0.1", server.port, "0pen", key_prefix="f_")):
        with pytest.raises(CacheBackendError) as failure:
            wrong.get("k")
        assert "0pen" not in str(failure.value)
        assert "sesame" not in str(failure.value)


def test_all_connections_in_use(server: RedisServer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    cache = make(server.port, max_connections=2)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: cache.set(str(n), n), range(200))) == [True] * 200
    # One that was replaced may not be closed yet for the server.
    wait_until(
        lambda: len(server.admin.client_list()) <= 3, "no more connections than there may be"
    )


def test_views_go_on_while_the_server_is_out_of_memory(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask("faults")
    redis = KINDS["redis"]
    cache = Cache(app, config=redis.config(redis.address(server)))
    computed = []

    @app.get("/view")
    @cache.cached()
    def view() -> str:
        computed.append(1)
        return str(len(computed))

    @app.get("/memo/<word>")
    def memo(word: str) -> str:
        return shout(word)

    @cache.memoize()
    def shout(word: str) -> str:
        return word.upper()

    client = app.test_client()
    assert client.get("/view").data == client.get("/view").data == b"1"
    server.admin.config_set("maxmemory", 1)
    for _ in range(3):
        for path in ("/view", "/memo/word"):
            watch = Stopwatch()
            assert client.get(path).status_code == 200
            assert watch.seconds() < DEADLINE + 0.3
    assert not any(record.exc_info for record in caplog.records)
