"""``CACHE_NEAR`` by every kind of connection, in threads and tasks, under prefixes that change."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching._engine import MISSING
from flask_caching.backends.rediscache import RedisCache
from flask_caching.testing import BackendContract
from near import Nearby
from redis_servers import RedisServer, pass_time
from servers import wait_until


class TestContract(BackendContract):
    """With copies that are kept from the start."""

    tolerance = 0.01

    @pytest.fixture(autouse=True)
    def _server(self, redis_server: RedisServer) -> None:
        self.server = redis_server

    def make_backend(self) -> RedisCache:
        self.backend = RedisCache(port=self.server.port, key_prefix="contract_", near=True)
        wait_until(lambda: self.backend._find("nothing") is MISSING and self._is_on(), "copies")
        return self.backend

    def _is_on(self) -> bool:
        return self.backend._quick is not None and self.backend._quick.state()[0]

    def pass_time(self, seconds: float) -> None:
        pass_time(self.server.admin, seconds)
        # The server's word of it may be a moment late.
        assert self.backend._quick is not None
        self.backend._quick.forget()


def check(near: Nearby, **config: Any) -> None:
    """Changes by another cache are seen, and copies answer."""
    cache, other = near.start(), near.other(**config)
    for number in range(3):
        other.set("k", number)
        wait_until(lambda number=number: cache.get("k") == number, "the change to be seen")
        near.settle(lambda: cache.get("k"))


def test_by_tls(redis_tls: RedisServer, certificates: dict[str, Path]) -> None:
    address = f"rediss://127.0.0.1:{redis_tls.tls_port}/0"  # type: ignore[attr-defined]
    config = {
        "CACHE_REDIS_URL": address,
        "CACHE_OPTIONS": {
            "ssl_ca_certs": str(certificates["ca"]),
            "ssl_certfile": str(certificates["client"]),
            "ssl_keyfile": str(certificates["client_key"]),
        },
        "CACHE_NEAR_SILENCE": 0.3,
    }
    near = Nearby(redis_tls, **config)
    check(near, **config)
    # It goes on over many questions and answers.
    threading.Event().wait(1)
    assert near.cache.health().near.is_current  # type: ignore[union-attr]


def test_by_a_unix_socket(redis_server: RedisServer) -> None:
    config = {"CACHE_REDIS_URL": f"unix://{redis_server.folder}/redis.sock?db=2"}
    check(Nearby(redis_server, **config), **config)


def test_with_a_password(redis_password: RedisServer) -> None:
    config = {"CACHE_REDIS_PASSWORD": redis_password.password}
    check(Nearby(redis_password, **config), **config)


@pytest.mark.filterwarnings("ignore:.*no key prefix")
def test_without_a_prefix(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        near = Nearby(server, CACHE_KEY_PREFIX="")
        check(near, CACHE_KEY_PREFIX="")
        near.cache.clear()
        assert near.cache.get("k") is None
    finally:
        server.kill()


def test_another_prefix_has_other_copies(redis_server: RedisServer) -> None:
    near = Nearby(redis_server)
    cache = near.start()
    cache.set("k", "first")
    near.settle(lambda: cache.get("k"))
    first, second = near.prefix, f"second {near.prefix}"
    for prefix, before in [(second, None), (first, "first"), (second, "second")]:
        cache.cache.key_prefix = prefix
        assert cache.get("k") == before
        near.start()
        cache.set("k", "first" if prefix == first else "second")
        near.settle(lambda: cache.get("k"))
        near.admin.set(f"{prefix}k", 1)
        wait_until(lambda: cache.get("k") == 1, "the change to be seen")
        cache.set("k", "first" if prefix == first else "second")
    cache.cache.key_prefix = lambda: first
    assert cache.get("k") == "first"
    assert cache.health().near is None


def test_another_serializer_reads_anew(redis_server: RedisServer) -> None:
    from json_serializer import JSONSerializer

    near = Nearby(redis_server)
    cache = near.start()
    cache.set("k", [1])
    near.settle(lambda: cache.get("k"))
    cache.cache.serializer = JSONSerializer()
    assert cache.get("k") is None


def test_tasks_get_copies(redis_server: RedisServer) -> None:
    near = Nearby(redis_server)
    cache, runs = near.start(), []

    @cache.memoize(60)
    async def double(number: int) -> list[int]:
        runs.append(number)
        return [2 * number]

    async def many() -> list[list[int]]:
        return await asyncio.gather(*[double(1) for _ in range(20)])

    near.settle(lambda: asyncio.run(many()))
    assert asyncio.run(many()) == [[2]] * 20
    assert runs == [1]


def test_threads_share_copies(redis_server: RedisServer) -> None:
    near = Nearby(redis_server)
    cache, other, wrong, over = near.start(), near.other(), [], threading.Event()
    written = [0]
    other.set("k", 0)

    @cache.memoize(60)
    def double(number: int) -> int:
        return 2 * number

    def read() -> None:
        seen = 0
        while not over.is_set():
            value = cache.get("k")
            if value is None or value < seen or double(value % 5) != 2 * (value % 5):
                wrong.append((value, seen))
            seen = value or seen

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(1, 200):
            (other if number % 2 else cache).set("k", number)
            written[0] = number
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    wait_until(lambda: cache.get("k") == written[0], "the last change to be seen")


def test_two_applications_have_their_own(redis_server: RedisServer) -> None:
    near = Nearby(redis_server)
    cache: Cache = Cache()
    apps = [Flask("one"), Flask("two")]
    for app in apps:
        settings = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": near.port, "CACHE_NEAR": True}
        cache.init_app(app, {**settings, "CACHE_KEY_PREFIX": f"{near.prefix}{app.name}:"})
    for app in apps:
        with app.app_context():
            cache.set("k", app.name)
    for _ in range(100):
        for app in apps:
            with app.app_context():
                assert cache.get("k") == app.name
