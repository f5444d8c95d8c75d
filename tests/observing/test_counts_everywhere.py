"""Counts beside what a test counts itself: on each backend, in threads, tasks and processes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask_caching import Cache
from servers import wait_until

SERVERS = ["RedisCache", "RedisSentinelCache", "RedisClusterCache", "MemcachedCache"]
BACKENDS = ["SimpleCache", "FileSystemCache", "SharedCache", *SERVERS, "SASLMemcachedCache"]

CALLS, THREADS, ARGUMENTS = 60, 6, 7


class Counted:
    """What a test knows of the calls of one application: how many there were, and what ran."""

    def __init__(self, app: Flask, cache: Cache) -> None:
        self.app, self.cache = app, cache
        self.calls: Counter[str] = Counter()
        self.runs: Counter[str] = Counter()
        self._lock = threading.Lock()

        @cache.memoize()
        def function(a: int) -> int:
            self.note(self.runs, "function")
            return a

        @app.route("/view/<int:number>")
        @cache.cached()
        def view(number: int) -> str:
            self.note(self.runs, "view")
            return str(number)

        @app.route("/page/<int:number>")
        @cache.page(timeout=60)
        def page(number: int) -> str:
            self.note(self.runs, "page")
            return str(number)

        @app.route("/fragment/<int:number>")
        def fragment(number: int) -> str:
            return render_template_string(
                "{% cache 60, 'fragment', number %}{{ ran() }}{% endcache %}",
                number=number,
                ran=lambda: self.note(self.runs, "fragment"),
            )

        self.function = function
        self.names = {
            function.__qualname__: "function",
            view.__qualname__: "view",
            page.__qualname__: "page",
            "fragment fragment": "fragment",
        }

    def note(self, where: Counter[str], name: str) -> str:
        with self._lock:
            where[name] += 1
        return ""

    def ask(self, number: int) -> None:
        """One call of each kind."""
        client = self.app.test_client()
        with self.app.app_context():
            self.note(self.calls, "function")
            assert self.function(number % ARGUMENTS) == number % ARGUMENTS
        for kind in ("view", "page", "fragment"):
            self.note(self.calls, kind)
            assert client.get(f"/{kind}/{number % ARGUMENTS}").status_code == 200

    def check(self) -> None:
        stats = self.cache.stats()
        found = {self.names[name]: counts for name, counts in stats.functions.items()}
        assert {name: one.hits + one.misses for name, one in found.items()} == self.calls
        assert {name: one.computed for name, one in found.items()} == self.runs
        for one in found.values():
            assert one.stored + one.refused + one.superseded == one.computed
            assert one.misses >= one.computed
            assert one.errors == 0
        assert stats.hits == sum(one.hits for one in found.values())
        assert stats.misses == sum(one.misses for one in found.values())


@pytest.mark.parametrize("name", BACKENDS)
def test_calls_in_threads(app: Flask, cache_on: Callable[..., Cache], name: str) -> None:
    counted = Counted(app, cache_on(name, CACHE_THRESHOLD=0))

    def ask() -> None:
        for number in range(CALLS // THREADS):
            counted.ask(number)

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted.check()
    assert sum(counted.calls.values()) == 4 * CALLS


@pytest.mark.parametrize("name", BACKENDS)
def test_operations(cache_on: Callable[..., Cache], name: str) -> None:
    cache = cache_on(name)
    earlier = cache.stats()
    cache.set("a", 1), cache.set_many({"b": 2, "c": 3}), cache.add("d", 4)
    assert cache.get_many("a", "b", "x") == [1, 2, None]
    assert [cache.get("d"), cache.get("y")] == [4, None]
    cache.delete("a"), cache.delete_many("b", "z")
    cache.set("tagged", 1, tags=["t"]), cache.get("tagged")
    operations = cache.stats().delta(earlier).operations
    assert (operations.hits, operations.misses) == (4, 2)
    assert (operations.writes, operations.deletions) == (5, 3)


@pytest.mark.parametrize("name", ["SimpleCache", "RedisCache"])
def test_calls_of_coroutines(app: Flask, cache_on: Callable[..., Cache], name: str) -> None:
    cache = cache_on(name)
    runs: list[int] = []

    @cache.memoize()
    async def function(a: int) -> int:
        runs.append(a)
        await asyncio.sleep(0)
        return a

    async def main() -> None:
        for _ in range(5):
            await asyncio.gather(*(function(number % ARGUMENTS) for number in range(CALLS)))

    asyncio.run(main())
    counts = cache.stats().functions[function.__qualname__]
    assert counts.hits + counts.misses == 5 * CALLS
    assert counts.computed == counts.stored == len(runs) == ARGUMENTS


IN_A_PROCESS = """
import json, os, sys
if sys.argv[2] == "gevent":
    import gevent.monkey
    gevent.monkey.patch_all()
sys.path[:0] = sys.argv[3].split(os.pathsep)
import threading
from flask import Flask
from flask_caching import Cache

app = Flask("counted")
cache = Cache(app, config=json.loads(sys.argv[1]))
runs = []

@cache.memoize()
def function(a):
    runs.append(a)
    return a

def ask(calls=40):
    with app.app_context():
        for number in range(calls):
            function(number % 5)

def said():
    with app.app_context():
        counts = cache.stats().functions["function"]
    return [counts.hits + counts.misses, counts.computed == len(runs)]

with app.app_context():
    cache.clear()
if sys.argv[2] == "gevent":
    import gevent
    gevent.joinall([gevent.spawn(ask) for _ in range(10)], raise_error=True)
    print(json.dumps([said()]))
else:
    ask(20)
    children = []
    for number in range(3):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            del runs[:]
            threads = [threading.Thread(target=ask) for _ in range(number + 1)]
            [thread.start() for thread in threads], [thread.join() for thread in threads]
            os.write(writing, json.dumps(said()).encode())
            os._exit(0)
        os.waitpid(child, 0)
        children.append(json.loads(os.read(reading, 100)))
    print(json.dumps([said(), *children]))
"""


@pytest.mark.parametrize("how", ["gevent", "fork"])
@pytest.mark.parametrize("name", ["SimpleCache", "SharedCache", *SERVERS])
def test_calls_in_greenlets_and_forks(
    config_of: Callable[[str], dict[str, Any]], name: str, how: str
) -> None:
    if how == "gevent":
        pytest.importorskip("gevent")
    config = json.dumps(config_of(name))
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            IN_A_PROCESS,
            config,
            how,
            os.pathsep.join(sys.path),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    said = json.loads(done.stdout)
    calls = [400] if how == "gevent" else [20, 40, 80, 120]
    assert said == [[count, True] for count in calls]


def test_hits_of_copies_nearby(cache_on: Callable[..., Cache]) -> None:
    cache = cache_on("RedisCache", CACHE_NEAR=True)

    @cache.memoize()
    def function(a: int) -> int:
        return a

    def near_hits() -> int:
        function(1)
        return cache.stats().functions[function.__qualname__].near_hits

    # A copy is used when the server has promised to tell of changes.
    wait_until(near_hits, "a copy nearby")
    earlier = cache.stats()
    for _ in range(10):
        function(1)
    delta = cache.stats().delta(earlier)
    counts = delta.functions[function.__qualname__]
    assert (counts.hits, counts.near_hits, counts.misses) == (10, 10, 0)
    assert delta.near_hits == 10
    # No server was asked.
    assert delta.backend is not None
    assert not any(latency.count for latency in delta.backend.latencies.values())


def test_hits_of_copies_nearby_that_go_the_whole_way(cache_on: Callable[..., Cache]) -> None:
    cache = cache_on("RedisCache", CACHE_NEAR=True)

    @cache.memoize()
    def function(a: int, *, keyword: int = 0) -> int:
        return a + keyword

    @cache.memoize(unless=lambda: False)
    def again(a: list[int]) -> int:
        return len(a)

    def ask() -> int:
        function(1, keyword=2)
        again([1])
        assert cache.get("k") == 1
        assert cache.get_many("k", "none") == [1, None]
        assert cache.get_dict("k") == {"k": 1}
        delta = cache.stats().delta(earlier)
        return delta.operations.near_hits

    cache.set("k", 1)
    earlier = cache.stats()
    wait_until(lambda: ask() and cache.cache._quick.state()[0], "a copy nearby")
    ask()
    earlier = cache.stats()
    for _ in range(10):
        ask()
    delta = cache.stats().delta(earlier)
    assert (delta.hits, delta.near_hits) == (20, 20)
    assert (delta.operations.hits, delta.operations.near_hits) == (30, 30)
    assert delta.operations.misses == 10


def test_every_operation_of_a_store_can_be_traced() -> None:
    from flask_caching._engine import ByteStore, MemcachedByteStore
    from flask_caching.backends._observed.traced import _COMMANDS

    #: What asks no server, or what the others are made of.
    local = {"owe", "owe_guarded", "owes", "latencies", "server_health", "place_of"}
    methods = {
        name
        for store in (ByteStore, MemcachedByteStore)
        for name in vars(store)
        if not name.startswith("_")
    }
    assert methods - local <= _COMMANDS.keys()


def test_the_application_of_others_is_counted_apart(app: Flask, tmp_path: Path) -> None:
    one, other = (Cache(app, config={"CACHE_TYPE": "SimpleCache"}) for _ in range(2))
    with app.app_context():
        one.get("a"), other.set("a", 1), other.get("a")
    assert one.stats().operations.as_dict() != other.stats().operations.as_dict()
    assert (one.stats().operations.misses, other.stats().operations.hits) == (1, 1)
