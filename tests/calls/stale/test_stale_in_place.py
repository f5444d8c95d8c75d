"""Old values where only a caller can compute the new one: fragments, one visitor's views, servers
without threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template_string, request
from flask_caching import Cache
from flask_caching.backends.filesystemcache import FileSystemCache

KEPT = {"CACHE_STALE_WHILE_REVALIDATE": 20, "CACHE_STALE_IF_ERROR": 100}


@pytest.fixture(params=["SimpleCache", "FileSystemCache"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    return {"CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path)}


class Source:
    """Numbers its calls; waits, or fails, where it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        self.entered.set()
        assert self.gate.wait(60)
        if self.error is not None:
            raise self.error
        return number


TAG = "{% cache 10, 'name' %}{{ number() }}{% endcache %}"


def test_a_fragment_is_rendered_by_one_caller_while_others_have_the_old_one(
    config: dict[str, Any], clock: Any
) -> None:
    app = Flask("tested")
    Cache(app, config={**config, **KEPT})
    source = Source()

    def render() -> str:
        with app.app_context():
            return render_template_string(TAG, number=source)

    assert [render(), render()] == ["1", "1"]
    clock.advance(11)
    source.gate.clear()
    source.entered.clear()
    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(render)
        assert source.entered.wait(60)
        assert [render() for _ in range(3)] == ["1"] * 3
        source.gate.set()
        assert one.result(60) == "2"
    assert render() == "2"
    assert source.calls == 2
    clock.advance(11)
    # The refresh before is over.
    assert render() == "3"


def test_a_fragment_that_fails_shows_the_old_one(config: dict[str, Any], clock: Any) -> None:
    app = Flask("tested")
    cache = Cache(app, config={**config, **KEPT})
    source = Source()
    with app.app_context():
        assert render_template_string(TAG, number=source) == "1"
        clock.advance(50)
        source.error = ValueError("down")
        assert render_template_string(TAG, number=source) == "1"
        clock.advance(61)
        with pytest.raises(ValueError, match="down"):
            render_template_string(TAG, number=source)
        assert cache.stats().stale == 1


def test_an_awaited_fragment_that_fails_shows_the_old_one(
    config: dict[str, Any], clock: Any
) -> None:
    import asyncio

    app = Flask("tested")
    app.jinja_options = {"enable_async": True}
    Cache(app, config={**config, **KEPT})
    environment = app.jinja_env
    source = Source()

    async def render() -> str:
        return await environment.from_string(TAG).render_async(number=source)

    with app.app_context():
        assert asyncio.run(render()) == "1"
        clock.advance(50)
        source.error = ValueError("down")
        assert asyncio.run(render()) == "1"


def test_one_visitors_view_is_computed_by_one_caller(config: dict[str, Any], clock: Any) -> None:
    app = Flask("tested")
    cache = Cache(app, config=config)
    source = Source()

    @app.get("/")
    @cache.cached(
        10, stale_while_revalidate=100, make_cache_key=lambda: request.cookies.get("me", "nobody")
    )
    def page() -> str:
        return f"{request.cookies.get('me', 'nobody')}{source()}"

    def get() -> str:
        client = app.test_client(use_cookies=False)
        return client.get("/", headers={"Cookie": "me=ann"}).text

    assert get() == "ann1"
    clock.advance(11)
    # The first refresh, by a stranger's request, finds out that it has another key.
    assert get() == "ann1"
    deadline = threading.Event()
    for _ in range(1000):
        if get() == "ann2":
            break
        deadline.wait(0.01)
    clock.advance(11)
    source.gate.clear()
    source.entered.clear()
    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(get)
        assert source.entered.wait(60)
        assert [get(), get()] == ["ann2", "ann2"]
        source.gate.set()
        assert one.result(60) == "ann3"


def test_a_refresh_is_over_however_its_call_ends(tmp_path: Path, clock: Any) -> None:
    """Without threads, the caller who refreshes may find that another call has just done so."""
    meanwhile: list[Any] = []

    class Slow(FileSystemCache):
        def _find(self, *args: Any, **kwargs: Any) -> Any:
            found = super()._find(*args, **kwargs)
            if meanwhile:
                meanwhile.pop()()
            return found

    app = Flask("tested")
    config = {"CACHE_TYPE": Slow, "CACHE_DIR": str(tmp_path), "CACHE_REFRESH_WORKERS": 0}
    cache = Cache(app, config=config)
    source = Source()
    f = cache.memoize(10, stale_while_revalidate=100)(lambda: source())

    def in_another_thread() -> None:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(_in_app, app, f).result(60) == 2

    with app.app_context():
        assert f() == 1
        clock.advance(11)
        meanwhile.append(in_another_thread)
        assert [f(), f()] == [1, 2]
        for number in (3, 4):
            clock.advance(11)
            assert f() == number


def _in_app(app: Flask, f: Any) -> Any:
    with app.app_context():
        return f()


def test_who_looked_before_a_refresh_was_over_begins_none(tmp_path: Path, clock: Any) -> None:
    meanwhile: list[Any] = []

    class Slow(FileSystemCache):
        def _find(self, *args: Any, **kwargs: Any) -> Any:
            found = super()._find(*args, **kwargs)
            if meanwhile:
                meanwhile.pop()()
            return found

    app = Flask("tested")
    config = {"CACHE_TYPE": Slow, "CACHE_DIR": str(tmp_path), "CACHE_REFRESH_WORKERS": 1}
    cache = Cache(app, config=config)
    source, other = Source(), Source()
    f = cache.memoize(10, stale_while_revalidate=100)(lambda: source())
    g = cache.memoize(10, stale_while_revalidate=100)(lambda number: other())

    def until(call: Any, value: int) -> None:
        for _ in range(3000):
            if call() == value:
                return
            threading.Event().wait(0.01)
        raise AssertionError(f"it never was {value}")

    def in_another_thread() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(until, lambda: _in_app(app, f), 2).result(60)

    with app.app_context():
        assert (f(), g(1)) == (1, 1)
        clock.advance(11)
        meanwhile.append(in_another_thread)
        assert f() == 1
        assert f() == 2
        # What was begun before this one is over then.
        until(lambda: g(1), 2)
        assert source.calls == 2
