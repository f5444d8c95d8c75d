"""Memoized functions on backends that are none of ours: an application's own, and cachelib's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.base import BaseCache


class Minimal(BaseCache):
    """Implements what cachelib's base class leaves to a backend, and nothing more."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.stored.get(key)

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.stored[key] = value
        return True

    def delete(self, key: str) -> bool:
        return self.stored.pop(key, None) is not None


def _counting(cache: Cache, timeout: int | None = None) -> Any:
    calls: list[int] = []

    @cache.memoize(timeout=timeout)
    def function(a: int) -> int:
        calls.append(a)
        return len(calls)

    return function


def test_a_backend_with_the_least_methods_memoizes() -> None:
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": f"{__name__}.Minimal"})
    function = _counting(cache)

    with app.app_context():
        assert [function(1), function(1), function(2)] == [1, 1, 2]
        cache.delete_memoized(function, 1)
        assert [function(1), function(2)] == [3, 2]
        cache.delete_memoized(function)
        assert [function(1), function(2)] == [4, 5]


@pytest.mark.parametrize("kind", ["simple.SimpleCache", "file.FileSystemCache"])
def test_a_cachelib_backend_memoizes_again_after_the_version_expired(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Flask(__name__)
    arguments = [str(tmp_path)] if "file" in kind else []
    config = {"CACHE_TYPE": f"cachelib.{kind}", "CACHE_ARGS": arguments}
    cache = Cache(app, config=config)
    function = _counting(cache, timeout=60)

    with app.app_context():
        assert [function(1), function(1)] == [1, 1]
        later = time.time() + 3600
        monkeypatch.setattr(f"cachelib.{kind.partition('.')[0]}.time", lambda: later)
        assert [function(1), function(1)] == [2, 2]
