"""SharedCache: the contract of every backend, and what is its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cachelib.serializers import JSONSerializer
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.sharedcache import SharedCache
from flask_caching.testing import BackendContract


def repr_of(value: Any) -> str:
    return f"{type(value).__name__} {ascii(value)[:20]}"


class TestContract(BackendContract):
    engine_clock = True

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "cache"

    def make_backend(self) -> SharedCache:
        return SharedCache(str(self.directory), max_bytes=8 << 20)


class TestContractSigned(TestContract):
    def make_backend(self) -> SharedCache:
        cache = super().make_backend()
        cache.signing_keys = ["secret"]
        return cache


@pytest.fixture
def cache(app: Flask, tmp_path: Path) -> Cache:
    return Cache(app, config={"CACHE_TYPE": "SharedCache", "CACHE_DIR": str(tmp_path / "cache")})


@pytest.mark.parametrize(
    "value",
    [
        *(0, 1, -1, 2**70, "", "tea", "\ud800", "x" * 300, "x" * 70_000, "日本", b"", b"tea", b"!"),
        *(b"x" * 70_000, True, False, 1.5, -0.0, float("inf"), [1, [2]], {"a": (1, 2)}, (1,), {3}),
    ],
    ids=repr_of,
)
def test_values_come_back_as_they_were(app: Flask, cache: Cache, value: Any) -> None:
    calls: list[int] = []

    @cache.memoize()
    def function(number: int) -> Any:
        calls.append(number)
        return value

    with app.app_context():
        cache.set("key", value)
        for found in (cache.get("key"), *(function(1) for _ in range(4))):
            assert (type(found), found) == (type(value), value)
        assert calls == [1]
        assert cache.get("key") is not value or isinstance(value, (str, bytes, int, float, tuple))


def test_a_memoized_call_sees_what_other_processes_delete(app: Flask, cache: Cache) -> None:
    numbers = iter(range(100))

    @cache.memoize()
    def function(argument: int) -> int:
        return next(numbers)

    def in_child(act: Callable[[], object]) -> None:
        pid = os.fork()
        if pid == 0:
            with app.app_context():
                act()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0

    with app.app_context():
        assert [function(1), function(1), function(2), function(2)] == [0, 0, 1, 1]
        in_child(lambda: cache.delete_memoized(function, 1))
        assert [function(1), function(1), function(2)] == [2, 2, 1]
        in_child(lambda: cache.delete_memoized(function))
        assert [function(1), function(2), function(1), function(2)] == [3, 4, 3, 4]
        in_child(cache.clear)
        assert [function(1), function(1)] == [5, 5]


def test_hits_are_counted_and_told(app: Flask, cache: Cache) -> None:
    @cache.memoize()
    def function(argument: int) -> int:
        return argument

    with app.app_context():
        for _ in range(5):
            function(7)
    stats = cache.stats()
    assert (stats.hits, stats.misses) == (4, 1)


@pytest.mark.parametrize("setting", ["signed", "serializer", "replaced"])
def test_what_an_application_changes_is_honoured(app: Flask, tmp_path: Path, setting: str) -> None:
    config: dict[str, Any] = {"CACHE_TYPE": "SharedCache", "CACHE_DIR": str(tmp_path / "cache")}
    if setting == "signed":
        config["CACHE_SIGNING_KEY"] = "secret"
    elif setting == "serializer":
        config["CACHE_SERIALIZER"] = JSONSerializer()
    cache = Cache(app, config=config)
    reads: list[str] = []
    with app.app_context():
        backend = cache.cache
        if setting == "replaced":
            get = backend.get
            backend.get = lambda key: reads.append(key) or get(key)

        @cache.memoize()
        def function(argument: int) -> str:
            return f"value {argument}"

        assert [function(1) for _ in range(3)] == ["value 1"] * 3
        assert backend._quick is None or setting == "replaced"
        assert bool(reads) == (setting == "replaced")


def test_a_damaged_value_is_computed_again(
    app: Flask, cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    @cache.memoize()
    def function(argument: int) -> list[int]:
        return [argument]

    with app.app_context():
        function(1)
        key = function.make_cache_key(function.uncached, 1)
        cache.cache._store.set(key.encode(), b"!\x80\x05broken")
        assert function(1) == [1]
        assert "cannot be used" in caplog.text
        assert function(1) == [1]
