"""Coroutine functions, awaited in a running loop and called outside of one."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from typing import Any

import pytest
from flask import Flask, g
from flask_caching import Cache
from werkzeug.exceptions import NotFound

in_app = pytest.mark.usefixtures("in_app")


@in_app
@pytest.mark.parametrize("kind", ["memoize", "cached"])
def test_a_coroutine_is_awaited_in_a_running_loop(cache: Cache, kind: str) -> None:
    runs = []
    decorate: Any = cache.memoize() if kind == "memoize" else cache.cached(key_prefix="key")

    @decorate
    async def function(a: int) -> int:
        await asyncio.sleep(0)
        runs.append(a)
        return a

    async def main() -> list[int]:
        first = function(1)
        assert inspect.isawaitable(first)
        return [await first, await function(1), *await asyncio.gather(function(1), function(1))]

    assert asyncio.run(main()) == [1, 1, 1, 1]
    assert runs == [1]
    assert function(1) == 1
    assert runs == [1]


@in_app
def test_a_coroutine_function_is_called_outside_a_loop(cache: Cache) -> None:
    runs = []

    @cache.memoize()
    async def function(a: int) -> int:
        await asyncio.sleep(0)
        runs.append(a)
        return a

    assert function(1) == function(1) == 1
    assert function(2) == 2
    assert runs == [1, 2]


def test_a_coroutine_function_runs_outside_an_application_context(cache: Cache) -> None:
    @cache.memoize()
    async def function(a: int) -> int:
        await asyncio.sleep(0)
        return a

    assert function(1) == 1

    async def main() -> int:
        return await function(1)

    assert asyncio.run(main()) == 1


def test_an_async_view_is_cached(app: Flask, cache: Cache) -> None:
    runs = []

    @app.route("/<int:status>")
    @cache.cached()
    async def view(status: int) -> Any:
        await asyncio.sleep(0)
        runs.append(status)
        if status == 404:
            raise NotFound
        return f"status {status}", status

    for status in (200, 201, 404):
        for _ in range(2):
            assert app.test_client().get(f"/{status}").status_code == status
    assert runs == [200, 201, 404]


def test_an_async_view_awaits_memoized_coroutines(app: Flask, cache: Cache) -> None:
    runs = []

    @cache.memoize()
    async def number(a: int) -> int:
        runs.append(a)
        assert g.value == "of the request"
        await asyncio.sleep(0)
        return a

    @app.route("/")
    async def view() -> str:
        g.value = "of the request"
        return str(sum(await asyncio.gather(*(number(a) for a in (1, 2)))))

    for _ in range(3):
        assert app.test_client().get("/").text == "3"
    assert runs == [1, 2]


@in_app
def test_a_deletion_wins_over_an_awaited_computation(cache: Cache) -> None:
    state = ["old"]

    @cache.memoize()
    async def function() -> str:
        value = state[0]
        await asyncio.sleep(0.01)
        return value

    async def main() -> None:
        for forget in (
            lambda: cache.delete_memoized(function),
            cache.clear,
            lambda: cache.delete_memoized_verhash(function),
        ):
            state[0] = "old"
            cache.clear()
            computation = asyncio.ensure_future(function())
            await asyncio.sleep(0)
            state[0] = "new"
            forget()
            assert await computation == "old"
            assert await function() == "new"

    asyncio.run(main())


@in_app
def test_a_cancelled_computation_leaves_nothing_behind(cache: Cache, app: Flask) -> None:
    @cache.memoize()
    async def function() -> None:
        await asyncio.sleep(10)

    async def main() -> None:
        task = asyncio.ensure_future(function())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert not cache.stats().under_way


@in_app
def test_options_hold_for_coroutines(cache: Cache) -> None:
    runs = []
    decisions: dict[str, Any] = {"unless": False, "forced_update": False, "is_stale": False}

    @cache.memoize(
        unless=lambda f, *args: decisions["unless"],
        forced_update=lambda *args: decisions["forced_update"],
        is_stale=lambda value: decisions["is_stale"],
        response_filter=lambda value: value < 100,
    )
    async def function(a: int) -> int:
        runs.append(a)
        return len(runs)

    async def main() -> None:
        assert await function(1) == await function(1) == 1
        for option in decisions:
            before = await function(1)
            decisions[option] = 1
            assert await function(1) > before
            decisions[option] = 0
        runs.extend([0] * 200)
        assert await function(2) != await function(2)

    asyncio.run(main())


@in_app
def test_decorators_of_coroutine_functions_can_be_stacked(cache: Cache) -> None:
    runs = []

    @cache.cached(key_prefix="outer")
    @cache.memoize()
    async def function() -> int:
        runs.append(1)
        return len(runs)

    async def main() -> list[int]:
        return [await function(), await function()]

    assert asyncio.run(main()) == [1, 1]
    assert cache.get("outer") == 1
    assert function() == 1


@in_app
def test_methods_and_partials_of_coroutine_functions(cache: Cache) -> None:
    class Kind:
        def __init__(self) -> None:
            self.runs = 0

        def __repr__(self) -> str:
            return "Kind()"

        @cache.memoize()
        async def method(self, a: int) -> int:
            self.runs += 1
            return self.runs

    kind = Kind()

    async def plain(a: int, b: int) -> int:
        return a + b

    added = cache.memoize()(functools.partial(plain, 1))

    async def main() -> None:
        assert await kind.method(1) == await kind.method(1) == 1
        cache.delete_memoized(kind.method)
        assert await kind.method(1) == 2
        assert await added(2) == await added(2) == 3

    asyncio.run(main())


@in_app
def test_loops_in_several_threads(cache: Cache, app: Flask) -> None:
    @cache.memoize()
    async def function(a: int) -> int:
        await asyncio.sleep(0.001)
        return a

    results: list[list[int]] = []

    def run() -> None:
        async def main() -> list[int]:
            return list(await asyncio.gather(*(function(a % 5) for a in range(20))))

        with app.app_context():
            results.append(asyncio.run(main()))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[a % 5 for a in range(20)]] * 4


@in_app
def test_an_exception_of_a_coroutine_is_its_callers(cache: Cache) -> None:
    @cache.memoize()
    async def function() -> None:
        raise LookupError

    async def main() -> None:
        with pytest.raises(LookupError):
            await function()

    asyncio.run(main())
    with pytest.raises(LookupError):
        function()


@in_app
def test_a_function_that_returns_a_coroutine_is_not_cached(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    async def inner() -> int:
        return 1

    @cache.memoize()
    def function() -> Any:
        return inner()

    async def main() -> list[int]:
        return [await function(), await function()]

    assert asyncio.run(main()) == [1, 1]
    assert len(caplog.records) == 1
