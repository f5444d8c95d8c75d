"""A key of the application's that cannot be one: the call goes uncached, nothing stays behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache, CacheKeyError
from flask_caching.backends.base import BaseCache


class Foreign(BaseCache):
    """An application's own backend."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[Any, Any] = {}

    @classmethod
    def factory(cls, *_: Any) -> Foreign:
        return cls()

    def get(self, key: Any) -> Any:
        return self.stored.get(key)

    def set(self, key: Any, value: Any, timeout: Any = None) -> bool:
        self.stored[key] = value
        return True

    def delete(self, key: Any) -> bool:
        return self.stored.pop(key, None) is not None


class Unhashable:
    """Neither hashable nor printable."""

    def __hash__(self) -> int:
        raise ValueError("no hash")

    def __repr__(self) -> str:
        raise ValueError("no repr")


KEYS: list[Callable[[], Any]] = [lambda: ("a", ["b"]), lambda: {"a": 1}, Unhashable]


@pytest.fixture(params=["SimpleCache", "FileSystemCache", "RedisCache", Foreign])
def cache(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[Cache]:
    config = {"CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path)}
    if request.param == "RedisCache":
        server = request.getfixturevalue("redis_server")
        config |= {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": server.port}
    cache = Cache(app, config=config)
    with app.app_context():
        yield cache


def check_runs_uncached(
    cache: Cache, caplog: pytest.LogCaptureFixture, call: Callable[[], object], runs: list[int]
) -> None:
    for number in range(1, 4):
        assert call() == "result"
        assert len(runs) == number
        assert cache.stats().under_way == 0
    assert cache.stats().errors == 3
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert "cannot be a key" in lines[0].getMessage()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("option", ["make_cache_key", "key_prefix"])
@pytest.mark.parametrize("asks", [False, True], ids=["", "asking"])
def test_a_function_runs_uncached(
    cache: Cache,
    caplog: pytest.LogCaptureFixture,
    key: Callable[[], Any],
    option: str,
    asks: bool,
) -> None:
    runs: list[int] = []
    more = {"unless": lambda: False, "is_stale": lambda value: False} if asks else {}
    options: dict[str, Any] = {option: key, **more}

    @cache.cached(**options)
    def function() -> str:
        runs.append(1)
        return "result"

    check_runs_uncached(cache, caplog, function, runs)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("option", ["make_cache_key", "key_prefix"])
@pytest.mark.parametrize("in_loop", [False, True])
def test_a_coroutine_function_runs_uncached(
    cache: Cache,
    caplog: pytest.LogCaptureFixture,
    key: Callable[[], Any],
    option: str,
    in_loop: bool,
) -> None:
    runs: list[int] = []
    options: dict[str, Any] = {option: key}

    @cache.cached(**options)
    async def function() -> str:
        await asyncio.sleep(0)
        runs.append(1)
        return "result"

    async def awaited() -> object:
        return await function()

    call: Any = (lambda: asyncio.run(awaited())) if in_loop else function
    check_runs_uncached(cache, caplog, call, runs)


@pytest.mark.parametrize("key", KEYS)
def test_a_view_is_served(
    app: Flask, cache: Cache, caplog: pytest.LogCaptureFixture, key: Callable[[], Any]
) -> None:
    runs: list[int] = []

    @app.route("/")
    @cache.cached(make_cache_key=key)
    def view() -> str:
        runs.append(1)
        return "result"

    check_runs_uncached(cache, caplog, lambda: app.test_client().get("/").text, runs)


@pytest.mark.parametrize("key", KEYS)
def test_debug_mode_says_so(app: Flask, cache: Cache, key: Callable[[], Any]) -> None:
    app.debug = True

    @cache.cached(make_cache_key=key)
    def function() -> str:
        return "result"

    with pytest.raises(CacheKeyError, match="cannot be a key"):
        function()
    assert cache.stats().under_way == 0
