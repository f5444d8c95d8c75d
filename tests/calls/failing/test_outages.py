"""During an outage every call runs uncached; the log says when it begins and ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask_caching import Cache
from flask_caching.backends import SimpleCache
from flask_caching.backends.base import BaseCache
from servers import wait_until


class Failing:
    """While :attr:`down`, reading and writing fail."""

    down = False
    #: How often each method was called.
    asked: dict[str, int]

    def fail(self, name: str) -> None:
        self.__dict__.setdefault("asked", {}).setdefault(name, 0)
        self.asked[name] += 1
        if self.down:
            raise OSError("no connection")


class FailingSimple(SimpleCache, Failing):
    """Of ours, with a `get` and a `set` of its own."""

    def get(self, key: str) -> Any:
        self.fail("get")
        return super().get(key)

    def set(self, key: str, value: Any, timeout: Any = None) -> Any:
        self.fail("set")
        return super().set(key, value, timeout=timeout)


class FailingForeign(BaseCache, Failing):
    """An application's own."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, Any] = {}

    @classmethod
    def factory(cls, *_: Any) -> FailingForeign:
        return cls()

    def get(self, key: str) -> Any:
        self.fail("get")
        return self.stored.get(key)

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.fail("set")
        self.stored[key] = value
        return True

    def delete(self, key: str) -> bool:
        return self.stored.pop(key, None) is not None


class Outage:
    """An application, and a switch for its cache."""

    def __init__(self, config: dict[str, Any], server: Any = None) -> None:
        self.app = Flask("outage")
        self.cache = Cache(self.app, config=config)
        self.server = server

    @property
    def backend(self) -> Any:
        with self.app.app_context():
            return self.cache.cache

    def begin(self) -> None:
        if self.server is None:
            self.backend.down = True
        else:
            self.server.kill()

    def end(self) -> None:
        if self.server is None:
            self.backend.down = False
            return
        self.server.start()
        with self.app.app_context():
            wait_until(self._answers, "the cache to work again")

    def _answers(self) -> bool:
        try:
            return bool(self.cache.cache.set("up", 1))
        except Exception:
            return False


@pytest.fixture(params=["simple", "foreign", "redis"])
def outage(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Outage]:
    if request.param != "redis":
        kind = {"simple": FailingSimple, "foreign": FailingForeign}[request.param]
        yield Outage({"CACHE_TYPE": kind})
        return
    from redis_servers import RedisServer

    server = RedisServer(tmp_path / "redis")
    server.start()
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": "127.0.0.1"}
    more = {"CACHE_REDIS_PORT": server.port, "CACHE_BREAKER_RESET": 0.05, "CACHE_KEY_PREFIX": "o_"}
    yield Outage({**config, **more}, server)
    server.kill()


Call = Callable[[], str]


def memoized(outage: Outage, runs: list[int]) -> Call:
    @outage.cache.memoize()
    def function(a: int) -> str:
        runs.append(a)
        return "result"

    return lambda: function(1)


def of_objects(outage: Outage, runs: list[int]) -> Call:
    class Kind:
        def __repr__(self) -> str:
            return "Kind()"

        @outage.cache.memoize()
        def method(self, *, a: Any) -> str:
            runs.append(1)
            return "result"

    return lambda: Kind().method(a=[1, 2])


def asking(outage: Outage, runs: list[int]) -> Call:
    @outage.cache.memoize(unless=lambda: False, is_stale=lambda value: False)
    def function(a: int) -> str:
        runs.append(a)
        return "result"

    return lambda: function(1)


def keyed(outage: Outage, runs: list[int]) -> Call:
    @outage.cache.cached(make_cache_key=lambda: "key")
    def function() -> str:
        runs.append(1)
        return "result"

    return function


def view(outage: Outage, runs: list[int]) -> Call:
    @outage.app.route("/")
    @outage.cache.cached()
    def view() -> str:
        runs.append(1)
        return "result"

    return lambda: outage.app.test_client().get("/").text


def fragment(outage: Outage, runs: list[int]) -> Call:
    def count() -> str:
        runs.append(1)
        return "result"

    source = "{% cache 60, 'f' %}{{ count() }}{% endcache %}"

    def call() -> str:
        with outage.app.test_request_context():
            return render_template_string(source, count=count)

    return call


def awaited(outage: Outage, runs: list[int]) -> Call:
    @outage.cache.memoize()
    async def function(a: int) -> str:
        runs.append(a)
        await asyncio.sleep(0)
        return "result"

    async def main() -> str:
        result: str = await function(1)
        return result

    return lambda: asyncio.run(main())


def awaited_outside(outage: Outage, runs: list[int]) -> Call:
    @outage.cache.cached(key_prefix="key")
    async def function() -> str:
        runs.append(1)
        await asyncio.sleep(0)
        return "result"

    return function


@pytest.fixture(
    params=[memoized, of_objects, asking, keyed, view, fragment, awaited, awaited_outside]
)
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("flask_caching")
    ]


def test_calls_run_uncached_and_are_hits_again(
    outage: Outage, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []
    call = make(outage, runs)
    with outage.app.app_context():
        for _ in range(3):
            assert call() == "result"
        assert len(runs) == 1
        caplog.clear()
        outage.begin()
        for number in range(2, 6):
            assert call() == "result"
            assert len(runs) == number
        assert len(lines(caplog)) == 1, lines(caplog)
        assert outage.cache.stats().errors >= 4
        assert outage.cache.stats().under_way == 0
        outage.end()
        for _ in range(4):
            assert call() == "result"
        # A server that was started again has forgotten what was stored.
        assert len(runs) == (5 if outage.server is None else 6)
        # It has ended when what failed has worked: reading, and storing where that was tried.
        assert outage.cache.cached(key_prefix="another")(lambda: "new")() == "new"
        ended = lines(caplog)[1:]
        assert len(ended) == 1, ended


def test_an_awaited_result_that_has_no_key_is_judged_once(outage: Outage) -> None:
    judged: list[str] = []

    def keep(result: str) -> bool:
        judged.append(result)
        return True

    @outage.cache.memoize(response_filter=keep)
    async def function() -> str:
        return "result"

    async def main() -> str:
        result: str = await function()
        return result

    with outage.app.app_context():
        outage.begin()
        assert asyncio.run(main()) == "result"
    assert judged == ["result"]


def test_debug_mode_raises(outage: Outage, make: Any) -> None:
    outage.app.debug = outage.app.testing = True
    runs: list[int] = []
    call = make(outage, runs)
    with outage.app.app_context():
        assert call() == "result"
        outage.begin()
        with pytest.raises((OSError, RuntimeError)):
            call()
        outage.end()
        assert call() == "result"


@pytest.mark.parametrize("kind", [FailingSimple, FailingForeign])
def test_what_fails_is_not_asked_again_by_the_same_call(kind: type, make: Any) -> None:
    outage = Outage({"CACHE_TYPE": kind})
    call = make(outage, [])
    with outage.app.app_context():
        call(), call()
        outage.begin()
        call()
        backend = outage.backend
        backend.asked.clear()
        call()
        assert backend.asked.get("get", 0) <= 1


def test_an_outage_ends_with_its_application(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache()
    gone: list[weakref.ref[Flask]] = []
    # What is logged holds the frames of the failure.
    caplog.set_level(logging.CRITICAL + 1, "flask_caching")

    def fail() -> None:
        app = Flask("thrown away")
        gone.append(weakref.ref(app))
        cache.init_app(app, config={"CACHE_TYPE": FailingForeign})
        with app.app_context():
            cache.cache.down = True  # type: ignore[attr-defined]
            assert cache.cached(key_prefix="key")(lambda: 1)() == 1

    for _ in range(5):
        fail()
    app = Flask("kept")
    cache.init_app(app, config={"CACHE_TYPE": "SimpleCache"})
    function = cache.memoize()(lambda a: a)
    gc.collect()
    assert not any(reference() for reference in gone)
    asked: list[int] = []
    place = cache._place

    def noting() -> Any:
        asked.append(1)
        return place()

    with app.app_context():
        function(1), function(1), function(1)
        monkeypatch.setattr(cache, "_place", noting)
        # While an outage lasts, a hit goes the long way, and asks.
        assert function(1) == 1
        assert not asked
