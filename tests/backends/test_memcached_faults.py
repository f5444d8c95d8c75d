"""Memcached servers that are down, hang, or are something else: no view notices."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.memcache import MemcachedCache, SASLMemcachedCache
from flask_caching.errors import CacheBackendError
from memcached_servers import MemcachedServer
from redis_servers import speaking

#: Short, so that the tests are; long enough for a busy machine.
DEADLINE = 0.4
RESET = 0.3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MemcachedServer]:
    server = MemcachedServer(tmp_path / "memcached")
    server.start()
    yield server
    server.kill()


def make(*addresses: str, kind: type[MemcachedCache] = MemcachedCache, **options: Any) -> Any:
    chosen = {"operation_timeout": DEADLINE, "breaker_reset": RESET, **options}
    return kind(list(addresses), key_prefix="f_", **chosen)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def back_again(cache: Any, key: str = "k") -> None:
    """Wait until the breaker lets calls through."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            cache.has(key)
            return
        except CacheBackendError:
            time.sleep(0.02)
    raise AssertionError("the cache did not come back")


def elapsed(call: Any) -> float:
    start = time.perf_counter()
    with pytest.raises(CacheBackendError):
        call()
    return time.perf_counter() - start


def test_an_error_names_operation_server_and_cause(server: MemcachedServer) -> None:
    cache = make(server.address)
    server.kill()
    expected = rf"get on memcached at {server.address} failed.*refused"
    with pytest.raises(CacheBackendError, match=expected):
        cache.get("k")


@pytest.mark.parametrize("kind", [MemcachedCache, SASLMemcachedCache])
def test_a_paused_server_costs_eight_threads_one_deadline_once(
    server: MemcachedServer, kind: type[MemcachedCache]
) -> None:
    cache = make(server.address, kind=kind)
    cache.set("k", "v")
    server.pause()
    took: list[float] = []

    def work() -> None:
        for _ in range(3):
            took.append(elapsed(lambda: cache.get("k")))

    threads = [threading.Thread(target=work) for _ in range(8)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.perf_counter() - start < DEADLINE + 0.4
    assert sorted(took)[-9] < 0.1, "only the first call of each thread waited"
    # From now on the server is left alone.
    assert elapsed(lambda: cache.get("k")) < 0.05
    server.resume()
    back_again(cache)
    assert cache.get("k") == "v"


def test_a_restarted_server_is_not_even_noticed(server: MemcachedServer) -> None:
    cache = make(server.address)
    cache.set("k", "v")
    server.kill()
    server.start()
    assert cache.get("k") is None
    assert cache.inc("n") == 1


def test_one_server_of_three_is_down(tmp_path: Path) -> None:
    servers = [MemcachedServer(tmp_path / str(number)) for number in range(3)]
    for server in servers:
        server.start()
    try:
        cache = make(*(server.address for server in servers))
        keys = [f"key{number}" for number in range(30)]
        cache.set_many(dict.fromkeys(keys, 1))
        servers[1].kill()
        answers, failures = {}, []
        for key in keys:
            try:
                answers[key] = cache.get(key)
            except CacheBackendError as error:
                failures.append(str(error))
        assert set(answers.values()) == {1}
        assert all(servers[1].address in failure for failure in failures)
        assert 10 < len(answers) < 30
        with pytest.raises(CacheBackendError, match=servers[1].address):
            cache.get_many(*keys)
        # The others did what they were asked.
        with pytest.raises(CacheBackendError):
            cache.delete_many(*keys)
        assert cache.get_many(*answers) == [None] * len(answers)
        servers[1].start()
        (missing, *_) = set(keys) - set(answers)
        back_again(cache, missing)
        assert cache.set_many(dict.fromkeys(keys, 2)) == keys
        assert cache.get_many(*keys) == [2] * 30
    finally:
        for server in servers:
            server.kill()


def test_a_deletion_during_an_outage_is_delivered_after_it(server: MemcachedServer) -> None:
    cache = make(server.address)
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


def test_an_outage_is_two_lines_of_log(
    server: MemcachedServer, caplog: pytest.LogCaptureFixture
) -> None:
    cache = make(server.address)
    cache.set("k", 1)
    server.kill()
    with caplog.at_level(logging.INFO, "flask_caching"):
        for _ in range(300):
            with pytest.raises(CacheBackendError):
                cache.get("k")
        server.start()
        back_again(cache)
        cache.get("k")
    begin, end = lines(caplog)
    assert f"memcached at {server.address} is not usable" in begin
    assert "is usable again after" in end
    assert not any(record.exc_info for record in caplog.records)


def test_a_full_server_refuses_and_keeps_no_old_value(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = MemcachedServer(tmp_path, "-M", "-m", "4", "-I", "512k")
    server.start()
    try:
        cache = make(server.address)
        cache.set("old", "an old value")
        names = [f"filler{number}" for number in range(200)]
        stored = cache.set_many(dict.fromkeys(names, b"x" * 100_000))
        assert 0 < len(stored) < len(names)
        assert cache.set("old", b"x" * 100_000) is False
        assert cache.get("old") is None
        assert "out of memory" in caplog.text
        assert cache.get(stored[-1]) == b"x" * 100_000
        assert cache.clear()
        assert cache.set("old", "new")
    finally:
        server.kill()


@pytest.mark.parametrize("kind", [MemcachedCache, SASLMemcachedCache])
@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"VALUE f_k 0 99999999999\r\n",
        b"VALUE f_k 0 4000000000\r\n",
        b"VALUE other 0 1\r\nx\r\nEND\r\n",
        b"\x81\x00\xff\xff\xff\x00\x00\x00\xff\xff\xff\xff" + bytes(12),
        b"\x00\xff" * 50_000,
        b"no end of line",
        b"-1\r\n",
        b"SERVER_ERROR busy\r\n",
    ],
)
def test_a_server_that_speaks_nonsense(kind: type[MemcachedCache], reply: bytes) -> None:
    with speaking(reply) as port:
        cache = make(f"127.0.0.1:{port}", kind=kind)
        for call in (
            lambda: cache.get("k"),
            lambda: cache.get_many("k", "j"),
            lambda: cache.set("k", 1),
            lambda: cache.add("k", 1),
            lambda: cache.inc("k"),
            lambda: cache.has("k"),
            lambda: cache.delete("k"),
            lambda: cache.clear(),
        ):
            assert elapsed(call) < DEADLINE + 0.3
            time.sleep(0)


def test_views_and_functions_go_on_without_the_server(server: MemcachedServer) -> None:
    app = Flask(__name__)
    config = {
        "CACHE_TYPE": "MemcachedCache",
        "CACHE_MEMCACHED_SERVERS": [server.address],
        "CACHE_OPERATION_TIMEOUT": DEADLINE,
        "CACHE_BREAKER_RESET": RESET,
    }
    cache = Cache(app, config=config)
    calls = []

    @app.get("/")
    @cache.cached()
    def page() -> str:
        calls.append("page")
        return "page"

    @cache.memoize()
    def twice(number: int) -> int:
        calls.append("twice")
        return 2 * number

    client = app.test_client()
    with app.app_context():
        for _ in range(2):
            assert client.get("/").text == "page"
            assert twice(2) == 4
        assert calls == ["page", "twice"]
        server.pause()
        start = time.perf_counter()
        for _ in range(20):
            assert client.get("/").text == "page"
            assert twice(2) == 4
        assert time.perf_counter() - start < DEADLINE + RESET
        server.resume()
        back_again(cache.cache)
        calls.clear()
        assert client.get("/").text == "page"
        assert twice(2) == 4
        assert calls == []
