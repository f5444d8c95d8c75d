"""Of calls that miss at the same time, one computes and the others get its result."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, Response, render_template_string
from flask_caching import Cache
from flask_caching.errors import CacheBackendError, CacheConfigError
from redis_servers import RedisServer

#: Longer than any test waits for something that happens.
LONG = 30.0


class Gate:
    """A function that computes when it is let, and counts."""

    def __init__(self) -> None:
        self.runs = 0
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self) -> int:
        self.runs += 1
        self.entered.release()
        assert self.opened.wait(LONG)
        return self.runs


@pytest.fixture(params=["SimpleCache", "FileSystemCache", "RedisCache"])
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def cache(app: Flask, kind: str, tmp_path: Any, request: pytest.FixtureRequest) -> Cache:
    config: dict[str, Any] = {"CACHE_TYPE": kind, "CACHE_WAIT": LONG}
    if kind == "FileSystemCache":
        config["CACHE_DIR"] = str(tmp_path)
    if kind == "RedisCache":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.admin.flushall()
        config |= {
            "CACHE_REDIS_HOST": "127.0.0.1",
            "CACHE_REDIS_PORT": server.port,
            "CACHE_KEY_PREFIX": "flight_",
        }
    return Cache(app, config=config)


class Calls:
    """Calls in threads, and what they came to."""

    def __init__(self, app: Flask, call: Callable[[], Any]) -> None:
        self.app, self.call = app, call
        self.answers: list[Any] = []
        self.threads: list[threading.Thread] = []

    def start(self, count: int) -> None:
        for _ in range(count):
            thread = threading.Thread(target=self._run, daemon=True)
            thread.start()
            self.threads.append(thread)

    def _run(self) -> None:
        with self.app.test_request_context("/"):
            try:
                self.answers.append(self.call())
            except Exception as error:
                self.answers.append(error)

    def join(self) -> list[Any]:
        for thread in self.threads:
            thread.join(LONG)
            assert not thread.is_alive()
        return self.answers


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def kinds_of_calls(cache: Cache, gate: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    memoized = cache.memoize()(lambda a: [gate()])
    yield lambda: memoized(1)
    cached = cache.cached(key_prefix="helper")(lambda: [gate()])
    yield cached
    yield cache.cached()(lambda: str(gate()))
    yield lambda: render_template_string(
        "{% cache 60, 'part' %}{{ gate() }}{% endcache %}", gate=gate
    )


@pytest.mark.parametrize("number", range(4))
def test_one_computes_and_the_others_get_a_copy(app: Flask, cache: Cache, number: int) -> None:
    gate = Gate()
    calls = Calls(app, list(kinds_of_calls(cache, gate))[number])
    calls.start(1)
    assert gate.entered.acquire(timeout=LONG)
    calls.start(7)
    wait_for(lambda: cache.stats().waits == 7)
    gate.opened.set()
    answers = calls.join()
    assert gate.runs == 1
    assert all(answer == answers[0] for answer in answers)
    if isinstance(answers[0], list):
        assert len({id(answer) for answer in answers}) == 8
    stats = cache.stats()
    assert stats.misses == 1
    assert stats.hits == 7
    assert 1 <= stats.waits <= 7


def test_a_failure_is_its_own_callers_and_the_next_one_computes(app: Flask, cache: Cache) -> None:
    gate = Gate()

    @cache.memoize()
    def function() -> int:
        if gate() <= 2:
            raise LookupError
        return 5

    calls = Calls(app, function)
    calls.start(1)
    assert gate.entered.acquire(timeout=LONG)
    calls.start(5)
    wait_for(lambda: cache.stats().waits == 5)
    gate.opened.set()
    answers = calls.join()
    assert sum(isinstance(answer, LookupError) for answer in answers) == 2
    assert answers.count(5) == 4
    assert gate.runs == 3


@pytest.mark.parametrize("reason", ["filter", "cookie", "streamed"])
def test_what_is_ones_own_is_nobody_elses(app: Flask, cache: Cache, reason: str) -> None:
    gate = Gate()
    together = threading.Barrier(4)

    def view() -> Any:
        if gate() > 1:
            together.wait(LONG)
        response = Response(iter(["x"]) if reason == "streamed" else "x")
        if reason == "cookie":
            response.set_cookie("who", "me")
        return response

    accepts = {"filter": lambda response: False}.get(reason)
    # A key of its own: where one was refused a moment ago, nobody waits for the next.
    key = f"own {reason}"
    calls = Calls(app, cache.cached(key_prefix=key, response_filter=accepts)(view))
    calls.start(1)
    assert gate.entered.acquire(timeout=LONG)
    calls.start(4)
    wait_for(lambda: cache.stats().waits == 4)
    gate.opened.set()
    # They run side by side: one alone never passes the barrier.
    answers = calls.join()
    assert len(set(map(id, answers))) == 5
    assert all(isinstance(answer, Response) for answer in answers)
    # Nor does anybody queue a moment later.
    later = Calls(app, calls.call)
    later.start(4)
    assert all(isinstance(answer, Response) for answer in later.join())


@pytest.mark.parametrize("delete", ["delete_memoized", "clear"])
def test_who_asks_after_a_deletion_gets_nothing_older(
    app: Flask, cache: Cache, delete: str
) -> None:
    source = ["old"]
    gate = Gate()

    @cache.memoize()
    def function() -> str:
        found = source[0]
        gate()
        return found

    calls = Calls(app, function)
    calls.start(1)
    assert gate.entered.acquire(timeout=LONG)
    calls.start(2)
    wait_for(lambda: cache.stats().waits == 2)
    source[0] = "new"
    with app.app_context():
        cache.clear() if delete == "clear" else cache.delete_memoized(function)
    late = Calls(app, function)
    late.start(3)
    assert gate.entered.acquire(timeout=LONG)
    gate.opened.set()
    assert late.join() == ["new"] * 3
    # Whoever waited for what was deleted computes again.
    assert sorted(calls.join()) == ["new", "new", "old"]
    with app.app_context():
        assert function() == "new"


def test_a_forced_update_waits_for_nobody(app: Flask, cache: Cache) -> None:
    gate = Gate()
    forced: list[bool] = []
    function = cache.memoize(forced_update=lambda: bool(forced))(gate)
    calls = Calls(app, function)
    calls.start(1)
    assert gate.entered.acquire(timeout=LONG)
    forced.append(True)
    calls.start(2)
    assert gate.entered.acquire(timeout=LONG)
    assert gate.entered.acquire(timeout=LONG)
    gate.opened.set()
    calls.join()
    assert gate.runs == 3


def test_while_the_server_is_away_one_computes_a_memoized_function(app: Flask) -> None:
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": 1}
    cache = Cache(app, config=config | {"CACHE_WAIT": LONG, "CACHE_LEASE": True})
    gate, others = Gate(), Gate()
    function = cache.memoize()(lambda n: [gate()])
    other = cache.memoize(make_name=lambda name: "same")(lambda n: [gate()])
    another = cache.memoize(make_name=lambda name: "same")(lambda n: [others()])
    for one in (function, other):
        calls = Calls(app, lambda one=one: one(1))  # type: ignore[misc]
        calls.start(1)
        assert gate.entered.acquire(timeout=LONG)
        waits = cache.stats().waits
        calls.start(4)
        wait_for(lambda waits=waits: cache.stats().waits == waits + 4)
        if one is other:
            # What has the same name is told apart by its version as ever, though nobody knows that.
            others.opened.set()
            with app.app_context():
                assert another(1) == [1]
        gate.opened.set()
        answers = calls.join()
        assert answers == [[gate.runs]] * 5
        assert len({id(answer) for answer in answers}) == 5
        gate.opened.clear()
    assert gate.runs == 2
    # Who asks after a deletion has nothing from before.
    calls = Calls(app, lambda: function(1))
    calls.start(1)
    assert gate.entered.acquire(timeout=LONG)
    with app.app_context(), pytest.raises(CacheBackendError):
        cache.delete_memoized(function, 1)
    calls.start(1)
    assert gate.entered.acquire(timeout=LONG)
    gate.opened.set()
    calls.join()
    assert gate.runs == 4


def test_while_the_server_is_away_one_task_computes(app: Flask) -> None:
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": 1}
    cache = Cache(app, config=config | {"CACHE_WAIT": LONG})
    runs: list[int] = []

    @cache.memoize()
    async def compute(number: int) -> list[int]:
        runs.append(number)
        while cache.stats().waits < 4:
            await asyncio.sleep(0.005)
        return [number]

    @cache.memoize()
    async def fibonacci(n: int) -> int:
        return n if n < 2 else int(await fibonacci(n - 1)) + int(await fibonacci(n - 2))

    async def main() -> list[list[int]]:
        tasks = asyncio.gather(*(compute(1) for _ in range(5)))
        answers: list[list[int]] = await asyncio.wait_for(tasks, LONG)
        assert await asyncio.wait_for(fibonacci(7), LONG) == 13
        return answers

    with app.app_context():
        assert asyncio.run(main()) == [[1]] * 5
    assert runs == [1]


def test_a_forced_result_is_not_replaced_by_an_older_one(app: Flask, cache: Cache) -> None:
    source = ["old"]
    entered, opened = threading.Semaphore(0), threading.Event()
    forced = threading.local()

    @cache.memoize(forced_update=lambda: getattr(forced, "is_on", False))
    def read() -> str:
        found = source[0]
        if found == "old":
            entered.release()
            assert opened.wait(LONG)
        return found

    calls = Calls(app, read)
    calls.start(1)
    assert entered.acquire(timeout=LONG)
    source[0] = "new"
    with app.app_context():
        forced.is_on = True
        assert read() == "new"
        forced.is_on = False
        opened.set()
        # What was asked for before goes to its caller, and is not stored.
        assert calls.join() == ["old"]
        assert read() == "new"


@pytest.mark.parametrize("where", ["option", "setting"])
def test_it_can_be_turned_off(app: Flask, where: str) -> None:
    option = False if where == "option" else None
    setting = where == "option"
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_SINGLE_FLIGHT": setting})
    together = threading.Barrier(3)

    @cache.memoize(single_flight=option)
    def function() -> int:
        return together.wait(LONG)

    calls = Calls(app, function)
    calls.start(3)
    assert sorted(calls.join()) == [0, 1, 2]


def test_the_option_goes_before_the_setting(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_SINGLE_FLIGHT": False})
    gate = Gate()
    calls = Calls(app, cache.memoize(single_flight=True)(gate))
    calls.start(1)
    assert gate.entered.acquire(timeout=LONG)
    calls.start(2)
    wait_for(lambda: cache.stats().waits == 2)
    gate.opened.set()
    assert calls.join() == [1, 1, 1]


def test_nobody_waits_longer_than_the_setting_says(app: Flask) -> None:
    config = {"CACHE_TYPE": "SimpleCache", "CACHE_WAIT": timedelta(seconds=0.05)}
    cache = Cache(app, config=config)
    gate = Gate()
    calls = Calls(app, cache.memoize()(gate))
    calls.start(3)
    for _ in range(3):
        assert gate.entered.acquire(timeout=LONG)
    gate.opened.set()
    calls.join()
    assert gate.runs == 3


@pytest.mark.parametrize("wait", ["soon", -1, float("inf"), timedelta(seconds=-1)])
def test_a_wait_that_is_none(app: Flask, wait: Any) -> None:
    with pytest.raises(CacheConfigError, match="CACHE_WAIT must be a number of seconds"):
        Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_WAIT": wait})


def test_an_option_that_is_neither(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    for decorator in (cache.cached, cache.memoize):
        with pytest.raises(TypeError, match="single_flight must be True, False, or None"):
            decorator(single_flight="yes")  # type: ignore[arg-type]


def test_what_is_computed_is_shared_while_the_server_is_down(
    app: Flask, redis_server: RedisServer
) -> None:
    config = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_HOST": "127.0.0.1",
        "CACHE_REDIS_PORT": 1,
        "CACHE_KEY_PREFIX": "down_",
        "CACHE_WAIT": LONG,
    }
    cache = Cache(app, config=config)
    gate = Gate()
    calls = Calls(app, cache.cached(key_prefix="helper")(lambda: [gate()]))
    calls.start(1)
    assert gate.entered.acquire(timeout=LONG)
    calls.start(5)
    wait_for(lambda: cache.stats().waits == 5)
    gate.opened.set()
    assert calls.join() == [[1]] * 6
