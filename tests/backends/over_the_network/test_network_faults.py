"""Redis or memcached down, hanging, or something else: no view notices."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from busy import Stopwatch
from flask import Flask
from flask_caching import Cache
from flask_caching.errors import CacheBackendError
from network import DEADLINE, KINDS, RESET, Kind, back_again, elapsed, outage_lines
from redis_servers import speaking


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def server(kind: Kind, tmp_path: Path) -> Iterator[Any]:
    server = kind.server(tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def address(kind: Kind, server: Any) -> str:
    return kind.address(server)


@pytest.fixture
def cache(kind: Kind, address: str) -> Any:
    return kind.make(address, "f_")


def test_an_error_names_operation_server_and_cause_and_the_server_may_come_later(
    kind: Kind, tmp_path: Path
) -> None:
    server = kind.server(tmp_path / "server")
    address = kind.address(server)
    cache = kind.make(address, "f_")
    with pytest.raises(CacheBackendError, match=rf"get on .*{address} failed.*refused"):
        cache.get("k")
    server.start()
    try:
        back_again(cache)
        assert cache.set("k", 1)
    finally:
        server.kill()
    with pytest.raises(CacheBackendError, match=rf"get on .*{address} failed.*refused"):
        cache.get("k")


def test_a_paused_server_costs_one_deadline_once(server: Any, cache: Any) -> None:
    cache.set("k", "v")
    server.pause()
    start = time.perf_counter()
    assert elapsed(lambda: cache.get("k")) < DEADLINE + 0.3
    assert time.perf_counter() - start > DEADLINE * 0.8
    # From now on the server is left alone.
    assert elapsed(lambda: [cache.get("k"), cache.set("k", 2)]) < 0.1
    watch = Stopwatch()
    for _ in range(200):
        with pytest.raises(CacheBackendError, match="left alone"):
            cache.get("k")
    assert watch.seconds() < RESET
    server.resume()
    back_again(cache)
    assert cache.get("k") == "v"


def test_a_paused_server_costs_eight_threads_one_deadline_once(server: Any, cache: Any) -> None:
    cache.set("k", "v")
    server.pause()
    took: list[float] = []

    def work() -> None:
        for _ in range(3):
            took.append(elapsed(lambda: cache.get("k")))

    threads = [threading.Thread(target=work) for _ in range(8)]
    watch = Stopwatch()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watch.seconds() < DEADLINE + 0.4
    assert sorted(took)[-9] < 0.1, "only the first call of each thread waited"
    # From now on the server is left alone.
    assert elapsed(lambda: cache.get("k")) < 0.05
    server.resume()
    back_again(cache)
    assert cache.get("k") == "v"


def test_a_restarted_server_is_not_even_noticed(server: Any, cache: Any) -> None:
    cache.set("k", "v")
    server.kill()
    server.start()
    assert cache.get("k") is None
    assert cache.inc("n") == 1


def test_a_deletion_during_an_outage_is_delivered_after_it(server: Any, cache: Any) -> None:
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
    server: Any, cache: Any, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache.set("k", 1)
    server.kill()
    with caplog.at_level(logging.INFO, "flask_caching"):
        for _ in range(300):
            with pytest.raises(CacheBackendError):
                cache.get("k")
        server.start()
        back_again(cache)
        cache.get("k")
    begin, end = outage_lines(caplog, address)
    assert f"{address} is not usable" in begin
    assert "is usable again after" in end
    assert "calls went without it" in end
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$999999999999\r\n",
        b"*1000000000\r\n",
        b":7\r\n",
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
def test_nonsense_is_an_error_within_the_deadline(kind: Kind, reply: bytes) -> None:
    with speaking(reply) as port:
        cache = kind.make(f"127.0.0.1:{port}", "f_")
        calls = [
            lambda: cache.get("k"),
            lambda: cache.get_many("k", "j"),
            lambda: cache.set("k", 1),
            lambda: cache.add("k", 1),
            lambda: cache.inc("k"),
            lambda: cache.has("k"),
            lambda: cache.delete("k"),
            lambda: cache.clear(),
        ]
        if kind.name == "redis" and reply == b":7\r\n":
            del calls[2:]  # To them a number is an answer.
        for call in calls:
            assert elapsed(call) < DEADLINE + 0.3


# Views


def build(kind: Kind, address: str) -> tuple[Any, Cache, list[str]]:
    """A client of an application, its cache, and what was computed so far."""
    app = Flask("faults")
    timing = {"CACHE_OPERATION_TIMEOUT": DEADLINE, "CACHE_BREAKER_RESET": RESET}
    cache = Cache(app, config=kind.config(address, **timing))
    computed: list[str] = []

    @app.get("/view")
    @cache.cached()
    def view() -> str:
        computed.append("view")
        return str(computed.count("view"))

    @app.get("/memo/<word>")
    def memo(word: str) -> str:
        return shout(word)

    @cache.memoize()
    def shout(word: str) -> str:
        computed.append("memo")
        return word.upper()

    return app.test_client(), cache, computed


@pytest.mark.parametrize("fault", ["paused", "killed", "nonsense"])
def test_a_view_answers_within_one_deadline(
    kind: Kind, server: Any, address: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    with speaking(b"!?\r\n") as elsewhere:
        client, _, _ = build(kind, f"127.0.0.1:{elsewhere}" if fault == "nonsense" else address)
        if fault != "nonsense":
            assert client.get("/view").data == client.get("/view").data == b"1"
        if fault == "paused":
            server.pause()
        elif fault == "killed":
            server.kill()
        for _ in range(3):
            for path in ("/view", "/memo/word"):
                watch = Stopwatch()
                response = client.get(path)
                assert response.status_code == 200
                assert watch.seconds() < DEADLINE + 0.3
        assert not any(record.exc_info for record in caplog.records)
        server.resume() if fault == "paused" else None


def test_the_cache_comes_back_without_a_restart(kind: Kind, server: Any, address: str) -> None:
    client, cache, _ = build(kind, address)
    client.get("/view")
    server.kill()
    assert client.get("/view").data == b"2"
    assert client.get("/view").data == b"3"
    server.start()
    with client.application.app_context():
        back_again(cache.cache)
    assert client.get("/view").data == b"4"
    assert client.get("/view").data == b"4"


def test_views_and_functions_go_on_without_the_server(
    kind: Kind, server: Any, address: str
) -> None:
    client, cache, computed = build(kind, address)
    for _ in range(2):
        assert client.get("/view").text == "1"
        assert client.get("/memo/a").text == "A"
    assert computed == ["view", "memo"]
    server.pause()
    watch = Stopwatch()
    for _ in range(20):
        assert client.get("/view").status_code == 200
        assert client.get("/memo/a").text == "A"
    # Forty calls waited once, or a few times where the server was tried again meanwhile.
    assert watch.seconds() < 5 * DEADLINE
    server.resume()
    with client.application.app_context():
        back_again(cache.cache)
    computed.clear()
    assert client.get("/view").text == "1"
    assert client.get("/memo/a").text == "A"
    assert computed == []


def test_an_application_starts_while_the_server_is_down(
    kind: Kind, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = kind.address(kind.server(tmp_path / "server"))
    with caplog.at_level(logging.WARNING):
        client, cache, _ = build(kind, address)
        assert client.get("/view").text == "1"
    with client.application.app_context(), pytest.raises(CacheBackendError, match=address):
        cache.get("k")
