"""Coroutine functions wait for servers while the event loop goes on with other things."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app, g, render_template_string, request
from flask_caching import Cache
from flask_caching.signals import cache_memoize_hit, cache_memoize_miss
from network import KINDS, Kind

#: Seconds an operation may take.
DEADLINE = 1.0
#: Seconds between two ticks of the task that must go on.
TICK = 0.01

FROZEN = ["redis", "memcached", "memcached binary"]


@pytest.fixture(params=FROZEN)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def server(kind: Kind, tmp_path: Path) -> Iterator[Any]:
    server = kind.server(tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def cache(app: Flask, kind: Kind, server: Any) -> Iterator[Cache]:
    deadlines = {"CACHE_OPERATION_TIMEOUT": DEADLINE, "CACHE_BREAKER_FAILURES": 0}
    cache = Cache(app, config=kind.config(kind.address(server), **deadlines))
    with app.app_context():
        yield cache


async def ticking(work: Callable[[], Any]) -> tuple[Any, float, int]:
    """What ``await work()`` returns, the seconds it took, and the ticks of a task meanwhile."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(TICK)
            ticks += 1

    ticker = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    start = time.perf_counter()
    result = await work()
    taken = time.perf_counter() - start
    ticker.cancel()
    return result, taken, ticks


def check_ticked(taken: float, ticks: int) -> None:
    """The loop went on for most of the time that was waited."""
    assert taken > DEADLINE / 2, "nothing was waited for"
    # A busy machine makes the ticks longer; a loop that waits makes none at all.
    assert ticks > 0.2 * taken / TICK


def functions(cache: Cache) -> tuple[Any, Any]:
    @cache.memoize()
    async def memoized(a: int) -> int:
        await asyncio.sleep(0)
        return 2 * a

    @cache.cached(make_cache_key=lambda a: f"key {a}")
    async def keyed(a: int) -> int:
        await asyncio.sleep(0)
        return 3 * a

    return memoized, keyed


def test_the_loop_ticks_while_a_server_is_frozen(cache: Cache, server: Any) -> None:
    memoized, keyed = functions(cache)

    async def work() -> list[int]:
        calls = [f(a) for f in (memoized, keyed) for a in range(3)]
        return list(await asyncio.gather(*calls))

    async def main() -> None:
        expected = [0, 2, 4, 0, 3, 6]
        assert await work() == expected == await work()
        server.pause()
        try:
            results, taken, ticks = await ticking(work)
        finally:
            server.resume()
        assert results == expected
        check_ticked(taken, ticks)
        # Those that wait together wait for one another no longer than once for each operation.
        assert taken < 5 * DEADLINE

    asyncio.run(main())
    assert cache.stats().under_way == 0


@pytest.mark.parametrize("update", [False, True], ids=["reading", "refreshing"])
def test_the_loop_ticks_while_one_call_waits(cache: Cache, server: Any, update: bool) -> None:
    @cache.memoize(forced_update=lambda: update)
    async def function(a: int) -> int:
        return a

    async def main() -> None:
        assert await function(1) == 1
        server.pause()
        try:
            result, taken, ticks = await ticking(lambda: function(1))
        finally:
            server.resume()
        assert result == 1
        check_ticked(taken, ticks)

    asyncio.run(main())


def test_fragments_of_an_asynchronous_environment(app: Flask, cache: Cache, server: Any) -> None:
    app.jinja_env.is_async = True
    rendered: list[int] = []
    template = app.jinja_env.from_string(
        "{% cache 60, 'f', n %}{{ count(n) }}:{{ n }}{% endcache %}"
    )

    def count(n: int) -> str:
        rendered.append(n)
        return "rendered"

    async def work() -> list[str]:
        return list(
            await asyncio.gather(*(template.render_async(n=n, count=count) for n in range(3)))
        )

    async def main() -> None:
        expected = [f"rendered:{n}" for n in range(3)]
        assert await work() == expected == await work()
        assert sorted(rendered) == [0, 1, 2]
        server.pause()
        try:
            results, taken, ticks = await ticking(work)
        finally:
            server.resume()
        assert results == expected
        assert sorted(rendered) == [0, 0, 1, 1, 2, 2]
        check_ticked(taken, ticks)

    asyncio.run(main())


@pytest.mark.parametrize("frozen", ["reading", "storing"])
def test_a_call_that_is_cancelled_while_it_waits(cache: Cache, server: Any, frozen: str) -> None:
    runs: list[int] = []

    @cache.memoize()
    async def function(a: int) -> int:
        runs.append(a)
        if frozen == "storing" and a == 2:
            server.pause()
        return a

    async def main() -> None:
        assert await function(1) == 1
        if frozen == "reading":
            server.pause()
        task = asyncio.ensure_future(function(2))
        while frozen == "storing" and 2 not in runs:
            await asyncio.sleep(TICK)
        await asyncio.sleep(5 * TICK)
        start = time.perf_counter()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.perf_counter() - start < DEADLINE / 2

    try:
        asyncio.run(main())
    finally:
        server.resume()
    deadline = time.monotonic() + 10 * DEADLINE
    while cache.stats().under_way and time.monotonic() < deadline:
        time.sleep(TICK)
    assert cache.stats().under_way == 0


def test_callbacks_run_on_the_thread_and_in_the_context_of_the_caller(
    app: Flask, cache: Cache
) -> None:
    loop_thread = threading.get_ident()
    seen: list[str] = []

    def note(what: str) -> None:
        assert threading.get_ident() == loop_thread
        assert current_app._get_current_object() is app  # type: ignore[attr-defined]
        assert (g.mark, request.args["mark"]) == ("here", "here")
        seen.append(what)

    def answer(what: str, result: Any) -> Callable[..., Any]:
        def callback(*_: Any, **__: Any) -> Any:
            note(what)
            return result

        return callback

    class Argument:
        def __caching_id__(self) -> str:
            note("caching_id")
            return "argument"

    class Result:
        def __getstate__(self) -> dict[str, int]:
            note("pickle")
            return {"a": 1}

    @cache.memoize(
        unless=answer("unless", False),
        forced_update=answer("forced_update", False),
        is_stale=answer("is_stale", False),
        response_filter=answer("response_filter", True),
        make_name=answer("make_name", "name"),
    )
    async def memoized(a: Any) -> Any:
        note("function")
        return 1

    @cache.cached(make_cache_key=answer("make_cache_key", "key"))
    async def keyed() -> Any:
        note("function")
        return Result()

    cache.enable_signals = True
    globals()["Result"] = Result
    Result.__qualname__ = "Result"

    async def main() -> None:
        await memoized(Argument())
        await memoized(Argument())
        await keyed()

    miss, hit = answer("miss", None), answer("hit", None)
    with (
        app.test_request_context("/?mark=here"),
        cache_memoize_miss.connected_to(miss),
        cache_memoize_hit.connected_to(hit),
    ):
        g.mark = "here"
        asyncio.run(main())
    assert set(seen) == {
        "unless",
        "forced_update",
        "is_stale",
        "response_filter",
        "make_name",
        "make_cache_key",
        "caching_id",
        "pickle",
        "miss",
        "hit",
        "function",
    }
    assert seen.count("function") == 2


def test_a_deletion_while_a_call_waits_wins(cache: Cache, server: Any) -> None:
    state = ["old"]

    @cache.memoize()
    async def function() -> str:
        value = state[0]
        await asyncio.sleep(5 * TICK)
        return value

    async def main() -> None:
        task = asyncio.ensure_future(function())
        while not cache.stats().under_way:
            await asyncio.sleep(TICK / 10)
        state[0] = "new"
        cache.delete_memoized(function)
        assert await task == "old"
        assert await function() == await function() == "new"

    asyncio.run(main())


def test_pages_render_asynchronous_functions(app: Flask, cache: Cache) -> None:
    memoized, keyed = functions(cache)

    @app.route("/")
    @cache.cached()
    async def page() -> str:
        return render_template_string("{{ a }}", a=sum(await asyncio.gather(memoized(1), keyed(1))))

    for _ in range(3):
        assert app.test_client().get("/").text == "5"
    assert cache.stats().hits == 2
