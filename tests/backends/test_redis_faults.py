"""Redis servers that are down, hang, refuse, or are something else: no view notices."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.rediscache import RedisCache
from flask_caching.errors import CacheBackendError
from redis_servers import RedisServer, speaking

#: Short, so that the tests are; long enough for a busy machine.
DEADLINE = 0.4
RESET = 0.3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.kill()


def make(port: int, **options: Any) -> RedisCache:
    chosen = {"operation_timeout": DEADLINE, "breaker_reset": RESET, **options}
    return RedisCache("127.0.0.1", port, key_prefix="f_", **chosen)


def outage_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def back_again(cache: RedisCache) -> None:
    """Wait until the breaker lets calls through."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            cache.has("k")
            return
        except CacheBackendError:
            time.sleep(0.02)
    raise AssertionError("the cache did not come back")


def elapsed(call: Any) -> float:
    start = time.perf_counter()
    with pytest.raises(CacheBackendError):
        call()
    return time.perf_counter() - start


def test_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    cache = make(server.port)
    with pytest.raises(CacheBackendError, match=rf"get on 127.0.0.1:{server.port} failed.*refused"):
        cache.get("k")
    server.start()
    try:
        back_again(cache)
        assert cache.set("k", 1)
    finally:
        server.kill()


def test_a_paused_server_costs_one_deadline_once(server: RedisServer) -> None:
    cache = make(server.port)
    cache.set("k", "v")
    server.pause()
    assert DEADLINE * 0.8 < elapsed(lambda: cache.get("k")) < DEADLINE + 0.3
    # From now on the server is left alone.
    assert elapsed(lambda: [cache.get("k"), cache.set("k", 2)]) < 0.1
    start = time.perf_counter()
    for _ in range(200):
        with pytest.raises(CacheBackendError, match="is being left alone"):
            cache.get("k")
    assert time.perf_counter() - start < RESET
    server.resume()
    back_again(cache)
    assert cache.get("k") == "v"


def test_connecting_to_a_paused_server_has_a_deadline_too(server: RedisServer) -> None:
    cache = make(server.port, client_name="greets")
    server.pause()
    assert elapsed(lambda: cache.get("k")) < DEADLINE + 0.3
    server.resume()


def test_a_restarted_server_is_not_even_noticed(server: RedisServer) -> None:
    cache = make(server.port)
    cache.set("k", "v")
    server.kill()
    server.start()
    assert cache.get("k") is None
    assert cache.inc("n") == 1


def test_a_deletion_during_an_outage_is_delivered_after_it(server: RedisServer) -> None:
    cache = make(server.port)
    cache.set_many({"gone": 1, "also": 2, "kept": 3})
    cache.get("kept")
    server.pause()
    with pytest.raises(CacheBackendError):
        cache.delete("gone")
    with pytest.raises(CacheBackendError):
        cache.delete_many("also", "more")
    server.resume()
    back_again(cache)
    assert cache.get_many("gone", "also", "kept") == [None, None, 3]


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


def test_an_outage_is_two_lines_of_log(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    cache = make(server.port)
    cache.set("k", 1)
    server.kill()
    with caplog.at_level(logging.INFO, "flask_caching"):
        for _ in range(300):
            with pytest.raises(CacheBackendError):
                cache.get("k")
        server.start()
        back_again(cache)
        cache.get("k")
    begin, end = outage_lines(caplog)
    assert f"127.0.0.1:{server.port} is not usable" in begin
    assert "is usable again after" in end
    assert "calls went without it" in end
    assert not any(record.exc_info for record in caplog.records)


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
    begin, end = outage_lines(caplog)
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


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$999999999999\r\n",
        b"*1000000000\r\n",
        b"\x00\xff" * 50_000,
        b"no end of line",
        b":7\r\n",
    ],
)
def test_nonsense_is_an_error_within_the_deadline(reply: bytes) -> None:
    with speaking(reply) as port:
        cache = make(port)
        assert elapsed(lambda: cache.get("k")) < DEADLINE + 0.3
        assert elapsed(lambda: cache.get_many("a", "b")) < DEADLINE + 0.3


def test_socket_timeout_is_the_deadline(server: RedisServer) -> None:
    cache = RedisCache("127.0.0.1", server.port, key_prefix="f_", socket_timeout=0.2)
    cache.set("k", 1)
    server.pause()
    assert 0.15 < elapsed(lambda: cache.get("k")) < 0.5
    server.resume()


def test_retry_on_timeout_is_one_more_deadline(server: RedisServer) -> None:
    cache = make(server.port, socket_timeout=0.2, retry_on_timeout=True)
    cache.set("k", 1)
    server.pause()
    assert 0.35 < elapsed(lambda: cache.get("k")) < 0.8
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
    assert len(server.admin.client_list()) <= 3


# Views


def build(port: int, **config: Any) -> tuple[Any, Cache]:
    app = Flask("faults")
    app.config.update(
        {
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_HOST": "127.0.0.1",
            "CACHE_REDIS_PORT": port,
            "CACHE_OPERATION_TIMEOUT": DEADLINE,
            "CACHE_BREAKER_RESET": RESET,
            **config,
        }
    )
    cache = Cache(app)
    calls = {"view": 0}

    @app.get("/view")
    @cache.cached()
    def view() -> str:
        calls["view"] += 1
        return str(calls["view"])

    @app.get("/memo/<word>")
    def memo(word: str) -> str:
        return shout(word)

    @cache.memoize()
    def shout(word: str) -> str:
        return word.upper()

    return app.test_client(), cache


@pytest.mark.parametrize("fault", ["paused", "killed", "nonsense", "out of memory"])
def test_a_view_answers_within_one_deadline(
    server: RedisServer, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    with speaking(b"!?\r\n") as elsewhere:
        client, _ = build(elsewhere if fault == "nonsense" else server.port)
        if fault != "nonsense":
            assert client.get("/view").data == client.get("/view").data == b"1"
        if fault == "paused":
            server.pause()
        elif fault == "killed":
            server.kill()
        elif fault == "out of memory":
            server.admin.config_set("maxmemory", 1)
        for _ in range(3):
            for path in ("/view", "/memo/word"):
                start = time.perf_counter()
                response = client.get(path)
                assert response.status_code == 200
                assert time.perf_counter() - start < DEADLINE + 0.3
        assert not any(record.exc_info for record in caplog.records)
        server.resume() if fault == "paused" else None


def test_the_cache_comes_back_without_a_restart(server: RedisServer) -> None:
    client, _ = build(server.port)
    client.get("/view")
    server.kill()
    assert client.get("/view").data == b"2"
    assert client.get("/view").data == b"3"
    server.start()
    time.sleep(RESET)
    assert client.get("/view").data == b"4"
    assert client.get("/view").data == b"4"
