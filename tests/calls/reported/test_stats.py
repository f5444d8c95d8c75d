"""``cache.stats()`` counts exactly what became of calls."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask_caching import Cache
from flask_caching.signals import cache_memoize_hit, cache_memoize_miss


class OwnGet(Cache):
    """Sees every hit."""

    asked = 0

    def get(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return super().get(*args, **kwargs)


@pytest.fixture(params=["SimpleCache", "own get", "FileSystemCache", "RedisCache"])
def cache(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[Cache]:
    own = request.param == "own get"
    config = {
        "CACHE_TYPE": "SimpleCache" if own else request.param,
        "CACHE_DIR": str(tmp_path),
        "CACHE_THRESHOLD": 100_000,
    }
    if request.param == "RedisCache":
        server = request.getfixturevalue("redis_server")
        config |= {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": server.port}
    cache = (OwnGet if own else Cache)(app, config=config)
    with app.app_context():
        cache.clear()
        yield cache


def counts(cache: Cache, *names: str) -> tuple[int, ...]:
    """The counts of these names; those that are not named are 0, and nothing is under way."""
    stats = cache.stats()
    assert stats.under_way == 0
    rest = {name: count for name, count in stats.as_dict().items() if isinstance(count, int)}
    found = tuple(rest.pop(name) for name in names)
    assert rest.pop("processes") == 1
    assert rest.pop("computed") <= stats.misses
    assert sum(stats.refusals.values()) == stats.refused
    rest.pop("described")
    rest.pop("waits")
    assert not any(rest.values()), rest
    return found


@pytest.mark.parametrize("signals", [False, True], ids=["", "signals"])
@pytest.mark.parametrize("awaited", [False, True], ids=["", "awaited"])
def test_hits_and_misses_of_functions(cache: Cache, signals: bool, awaited: bool) -> None:
    cache.enable_signals = signals
    sent: list[str] = []
    runs: list[int] = []

    def hit(sender: Any, **_: Any) -> None:
        sent.append("hit")

    def miss(sender: Any, **_: Any) -> None:
        sent.append("miss")

    function: Any
    if awaited:

        @cache.memoize()
        async def coroutine_function(a: int) -> int:
            runs.append(a)
            return a

        def function(a: int) -> Any:
            async def main() -> int:
                return await coroutine_function(a)

            return asyncio.run(main())

    else:

        @cache.memoize()
        def function(a: int) -> int:
            runs.append(a)
            return a

    with cache_memoize_hit.connected_to(hit), cache_memoize_miss.connected_to(miss):
        for _ in range(5):
            for a in range(4):
                assert function(a) == a
    assert len(runs) == 4
    assert counts(cache, "hits", "misses", "stored") == (16, 4, 4)
    if signals:
        assert (sent.count("hit"), sent.count("miss")) == (16, 4)


def test_every_option(app: Flask, cache: Cache) -> None:
    switches = dict.fromkeys(("unless", "forced_update", "is_stale", "filtered"), False)

    @cache.memoize(
        unless=lambda: switches["unless"],
        forced_update=lambda: switches["forced_update"],
        is_stale=lambda value: switches["is_stale"],
        response_filter=lambda value: not switches["filtered"],
    )
    def function(a: int) -> int:
        return a

    expected = {"hits": 0, "misses": 0, "stored": 0, "refused": 0}

    def call(**changes: int) -> None:
        function(1)
        for name, count in changes.items():
            expected[name] += count
        assert counts(cache, *expected) == tuple(expected.values())

    call(misses=1, stored=1)
    call(hits=1)
    call(hits=1)
    switches["unless"] = True
    call()
    switches["unless"] = False
    switches["forced_update"] = True
    call(misses=1, stored=1)
    switches["forced_update"] = False
    switches["is_stale"] = True
    call(misses=1, stored=1)
    switches["filtered"] = True
    call(misses=1, refused=1)
    switches["is_stale"] = switches["filtered"] = False
    call(hits=1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"query_string": True},
        {"key_prefix": "key"},
        {"key_prefix": lambda: "key"},
        {"make_cache_key": lambda: "key"},
        {"response_hit_indication": True},
    ],
    ids=["path", "query", "text", "prefix", "key", "indicated"],
)
def test_views(app: Flask, cache: Cache, options: dict[str, Any]) -> None:
    runs: list[int] = []

    @app.route("/")
    @cache.cached(**options, response_filter=lambda response: response[1] == 200)
    def view() -> Any:
        runs.append(1)
        return "text", 200 if len(runs) > 1 else 500

    for _ in range(5):
        app.test_client().get("/?a=b")
    assert counts(cache, "hits", "misses", "stored", "refused") == (3, 2, 1, 1)
    assert cache.stats().functions[view.__qualname__].hits == 3


def test_fragments(app: Flask, cache: Cache) -> None:
    rendered: list[int] = []
    source = "{% cache 60, 'f', n %}{{ count(n) }}{% endcache %}"
    with app.test_request_context():
        for _ in range(4):
            for n in range(3):
                render_template_string(source, n=n, count=lambda n: rendered.append(n) or "x")
    assert rendered == [0, 1, 2]
    assert counts(cache, "hits", "misses", "stored") == (9, 3, 3)


def test_an_own_get_is_asked_once_for_each_fragment(app: Flask) -> None:
    cache = OwnGet(app, config={"CACHE_TYPE": "SimpleCache"})
    source = "{% cache 60, 'f' %}{{ n }}{% endcache %}"
    with app.test_request_context():
        for number in range(1, 6):
            render_template_string(source, n=1)
            assert cache.asked == number
            if number == 3:
                cache.delete("_template_fragment_cache_f")
                cache.clear()
    assert counts(cache, "hits", "misses", "stored") == (3, 2, 2)


def test_what_cannot_be_stored_is_refused(cache: Cache) -> None:
    @cache.memoize()
    def function(a: int) -> Any:
        return lambda: a

    for _ in range(3):
        function(1)
    assert counts(cache, "misses", "refused") == (3, 3)


def test_what_was_superseded(cache: Cache) -> None:
    forget: list[Callable[[], object]] = []

    @cache.memoize()
    def function(a: int) -> int:
        for action in forget:
            action()
        return a

    for action in (lambda: cache.delete_memoized(function), cache.clear):
        forget[:] = [action]
        function(1)
    forget.clear()
    function(1), function(1)
    assert counts(cache, "hits", "misses", "stored", "superseded", "deletions") == (1, 3, 1, 2, 1)


def test_functions_that_fail_are_misses(cache: Cache) -> None:
    @cache.memoize()
    def function(a: int) -> int:
        raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            function(1)
    assert counts(cache, "misses") == (3,)


def test_threads_lose_no_count(app: Flask, cache: Cache) -> None:
    threads, rounds, arguments = 6, 30, 10
    runs: list[int] = []

    @cache.memoize()
    def function(a: int) -> int:
        runs.append(a)
        return a

    def run() -> None:
        with app.app_context():
            for number in range(rounds * arguments):
                function(number % arguments)

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    hits, misses, stored = counts(cache, "hits", "misses", "stored")
    assert misses == stored == len(runs)
    assert hits + misses == threads * rounds * arguments


def test_functions_that_are_gone_have_still_been_called(cache: Cache) -> None:
    def request(number: int) -> None:
        @cache.memoize()
        def function(a: int) -> int:
            return a + number

        function(1), function(1)

    for number in range(50):
        request(number)
    gc.collect()
    assert counts(cache, "hits", "misses", "stored") == (50, 50, 50)
    assert len(cache.stats().functions) <= 2


def test_statistics_while_functions_are_decorated(app: Flask, cache: Cache) -> None:
    done = threading.Event()
    errors: list[BaseException] = []

    def look() -> None:
        try:
            while not done.is_set():
                cache.stats()
        except BaseException as error:
            errors.append(error)

    looking = threading.Thread(target=look)
    looking.start()
    kept = [cache.memoize()(lambda a: a) for _ in range(300)]
    done.set()
    looking.join()
    assert not errors
    assert len(kept) == 300
