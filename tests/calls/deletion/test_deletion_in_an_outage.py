"""``delete_memoized`` while the server is away: no result comes back to life with its old data."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.errors import CacheBackendError
from memcached_servers import MemcachedServer
from redis_servers import RedisServer

DEADLINE = 0.8


class World:
    """A cache on servers that can be frozen with all they hold, and what is memoized in it."""

    def __init__(self, servers: list[Any], config: dict[str, Any]) -> None:
        self.servers = servers
        self.cache = Cache(
            Flask("outage"),
            config={
                "CACHE_KEY_PREFIX": "outage_",
                "CACHE_OPERATION_TIMEOUT": DEADLINE,
                "CACHE_BREAKER_RESET": 0.1,
                **config,
            },
        )
        self.stock = {"apples": 1}
        world = self

        @self.cache.memoize()
        def count(fruit: str, *, doubled: bool = False) -> int:
            return world.stock[fruit] * (2 if doubled else 1)

        class Shop:
            def __init__(self, name: str) -> None:
                self.name = name

            def __repr__(self) -> str:
                return f"Shop({self.name!r})"

            @world.cache.memoize()
            def count(self, fruit: str) -> int:
                return world.stock[fruit]

        self.count = count
        self.shop, self.other_shop = Shop("a"), Shop("b")

    def answers(self) -> list[int]:
        return [
            self.count("apples"),
            self.count("apples", doubled=True),
            self.shop.count("apples"),
            self.other_shop.count("apples"),
        ]

    def freeze(self) -> None:
        for server in self.servers:
            server.pause()
        # From now on they are left alone: nothing is sent that they would do when they go on.
        with pytest.raises(CacheBackendError):
            self.cache.get_many(*(f"else{number}" for number in range(30)))

    def thaw(self) -> None:
        for server in self.servers:
            server.resume()

    def is_back(self) -> bool:
        """Whether a deletion of something else succeeds: the servers are asked again."""
        try:
            for number in range(30):
                self.cache.has(f"else{number}")
        except CacheBackendError:
            return False
        return True

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while not self.is_back():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def config_of(kind: str, folder: Path) -> tuple[list[Any], dict[str, Any]]:
    if kind.startswith("redis"):
        server = RedisServer(folder / "redis")
        config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": server.port}
        if kind == "redis signed":
            config["CACHE_SIGNING_KEY"] = "secret"
        return [server], config
    # Guards and entries lie on different ones.
    servers = [MemcachedServer(folder / str(number)) for number in range(3)]
    return servers, {
        "CACHE_TYPE": (
            "SpreadSASLMemcachedCache" if kind == "spread memcached" else "MemcachedCache"
        ),
        "CACHE_MEMCACHED_SERVERS": [server.address for server in servers],
    }


@pytest.fixture(params=["redis", "redis signed", "memcached", "spread memcached"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    servers, config = config_of(request.param, tmp_path)
    with contextlib.ExitStack() as stack:
        for server in servers:
            server.start()
            stack.callback(server.kill)
        world = World(servers, config)
        with world.cache.app.app_context():  # type: ignore[union-attr]
            yield world


#: What is deleted, and the answers after it where there were 1, 2, 1, 1 and it is 5 now.
FORMS: dict[str, tuple[Callable[[World], Any], list[int]]] = {
    "function": (lambda w: w.cache.delete_memoized(w.count), [5, 10, 1, 1]),
    "arguments": (lambda w: w.cache.delete_memoized(w.count, "apples"), [5, 2, 1, 1]),
    "keywords": (
        lambda w: w.cache.delete_memoized(w.count, "apples", doubled=True),
        [1, 10, 1, 1],
    ),
    "bound method": (lambda w: w.cache.delete_memoized(w.shop.count), [1, 2, 5, 1]),
    "bound method with arguments": (
        lambda w: w.cache.delete_memoized(w.shop.count, "apples"),
        [1, 2, 5, 1],
    ),
    "versions": (lambda w: w.cache.delete_memoized_verhash(w.count), [5, 10, 1, 1]),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_was_deleted_is_computed_again(world: World, form: str) -> None:
    delete, expected = FORMS[form]
    assert world.answers() == world.answers() == [1, 2, 1, 1]
    world.freeze()
    world.stock["apples"] = 5
    with pytest.raises(CacheBackendError):
        delete(world)
    assert world.answers() == [5, 10, 5, 5], "nothing old is read meanwhile"
    world.thaw()
    world.wait()
    assert world.answers() == expected
    world.stock["apples"] = 6
    assert world.answers() == expected, "what was computed again is cached again"


def test_the_first_call_after_the_outage_is_not_answered_stale(world: World) -> None:
    world.answers()
    world.freeze()
    world.stock["apples"] = 5
    with pytest.raises(CacheBackendError):
        world.cache.delete_memoized(world.count, "apples")
    world.thaw()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert world.count("apples") == 5
        time.sleep(0.05)


def test_it_reaches_the_server_though_nobody_asks_for_it(world: World) -> None:
    world.answers()
    world.freeze()
    with pytest.raises(CacheBackendError):
        world.cache.delete_memoized(world.count, "apples")
    world.thaw()
    world.wait()
    deadline = time.monotonic() + 60
    while world.cache.cache._store.owes():
        assert time.monotonic() < deadline
        world.is_back()
        time.sleep(0.02)
    # Another process, which knows nothing of the deletion, finds nothing either.
    key = world.count.make_cache_key(world.count.uncached, "apples")
    other = Flask("outage")
    cache = Cache(other, config=dict(world.cache.config))  # type: ignore[arg-type]
    with other.app_context():
        assert cache.get(key) is None


def test_a_result_computed_since_before_the_outage_is_not_stored_after_it(world: World) -> None:
    begun, go_on = threading.Event(), threading.Event()
    value = ["old"]

    @world.cache.memoize()
    def slow(key: int) -> str:
        read = value[0]
        if read == "old":
            begun.set()
            assert go_on.wait(60)
        return read

    def call() -> None:
        with world.cache.app.app_context():  # type: ignore[union-attr]
            assert slow(1) == "old"

    thread = threading.Thread(target=call)
    thread.start()
    assert begun.wait(60)
    world.freeze()
    value[0] = "new"
    with pytest.raises(CacheBackendError):
        world.cache.delete_memoized(slow, 1)
    world.thaw()
    world.wait()
    go_on.set()
    thread.join()
    assert slow(1) == "new"
