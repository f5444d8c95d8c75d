"""What is remembered of calls, instances and applications is forgotten before it takes too much."""

from __future__ import annotations

import gc
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.extension import port as _port
from flask_caching.extension import state as _state
from flask_caching.stats import _shared
from redis_servers import RedisServer


class Talkative:
    """Prints a lot, and all of it is part of the name of its version."""

    cache = Cache()

    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"Talkative({self.number}, {'x' * 10_000})"

    @cache.memoize()
    def method(self) -> int:
        return self.number


class Replacing(Cache):
    """Its versions live as long as what it was given last says."""

    def set_many(self, *args: Any, **kwargs: Any) -> Any:
        return super().set_many(*args, **kwargs)


def bytes_of(table: dict[Any, Any]) -> int:
    names = (key if isinstance(key, tuple) else (key,) for key in table)
    return sum(sys.getsizeof(name) for key in names for name in key)


def call_many(app: Flask, monkeypatch: pytest.MonkeyPatch) -> tuple[_port.Port, int]:
    """The port that the calls went through, and the most bytes it may have for their names."""
    most = 200_000
    monkeypatch.setattr(_port, "_MOST_BYTES", most)
    with app.app_context():
        for number in range(60):
            assert Talkative(number).method() == Talkative(number).method() == number
    (port,) = Talkative.cache._states[app]._ports.values()
    return port, most


def test_names_of_versions_on_a_server_are_bounded_in_bytes(
    app: Flask, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": redis_server.port}
    Talkative.cache.init_app(app, {**config, "CACHE_KEY_PREFIX": "talkative_"})
    port, most = call_many(app, monkeypatch)
    assert 0 < bytes_of(port._last_versions) <= most


def test_names_of_versions_with_timeouts_are_bounded_in_bytes(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Replacing(app, config={"CACHE_TYPE": "SimpleCache"})
    monkeypatch.setattr(Talkative, "method", cache.memoize()(Talkative.method.uncached))
    monkeypatch.setattr(Talkative, "cache", cache)
    port, most = call_many(app, monkeypatch)
    assert 0 < bytes_of(port._longest) <= most


def test_what_is_remembered_stays_until_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_port, "_MOST_VERSIONS", 3)
    table = _port._Remembered()
    for name in ("a", "b", "a", "c", "b"):
        table.note(name, name, name)
    assert list(table) == ["a", "b", "c"]
    table.note("d", "d", "d")
    assert list(table) == ["d"]
    monkeypatch.setattr(_port, "_MOST_BYTES", 1000)
    table.note("long", "long", "x" * 1000)
    assert list(table) == ["d"]


def test_names_of_functions_that_are_not_cached_are_bounded(
    app: Flask, cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_state, "_MOST_NAMES", 10)

    def function() -> int:
        return 1

    with app.app_context(), caplog.at_level(logging.ERROR):
        for number in range(25):
            function.__qualname__ = f"function{number}"
            decorated = cache.cached(make_cache_key=list)(function)
            assert decorated() == decorated() == 1
    assert len(cache._states[app]._refused) == 5
    # Each is said once.
    assert caplog.text.count("is not cached") == 25


def test_what_applications_shared_goes_with_them(tmp_path: Path) -> None:
    cache = Cache()
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}

    def used(number: int) -> Flask:
        app = Flask(f"thrown away {number}")
        cache.init_app(app, config)
        app.test_client().get("/")
        return app

    # Several at a time, as what follows another one at its address would take its place.
    for _ in range(3):
        applications = [used(number) for number in range(10)]
        # And the last one before, which the cache still had for its own.
        assert len(_shared._shares[cache]) <= len(applications) + 1
        applications.clear()
        gc.collect()
