"""Calls where only some of the writing methods of a cache or backend are the application's own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cachelib
import pytest
from flask import Flask
from flask_caching import Cache, SimpleCache
from flask_caching.backends import FileSystemCache

WRITES = ["set", "set_many", "add"]


def own(base: Any, method: str, seen: list[str]) -> Any:
    """A subclass with its own `method`, which hands on."""

    def replaced(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(method)
        return getattr(base, method)(self, *args, **kwargs)

    return type(base.__name__, (base,), {method: replaced})


def counted(cache: Cache) -> Callable[..., int]:
    calls = itertools.count(1)

    @cache.memoize(60)
    def number(_: int) -> int:
        return next(calls)

    return number


@pytest.mark.parametrize("method", WRITES)
def test_own_writing_method_of_the_cache(app: Flask, method: str) -> None:
    seen: list[str] = []
    cache = own(Cache, method, seen)(app, config={"CACHE_TYPE": "SimpleCache"})
    number = counted(cache)
    with app.app_context():
        assert [number(1), number(1), number(2), number(2)] == [1, 1, 2, 2]
        cache.delete_memoized(number, 1)
        assert [number(1), number(1), number(2)] == [3, 3, 2]
        cache.delete_memoized(number)
        assert [number(2), number(2)] == [4, 4]
    assert cache.stats().errors == 0
    if method != "add":
        assert set(seen) == {method}


@pytest.mark.parametrize("method", WRITES)
def test_own_writing_method_of_the_backend(app: Flask, method: str) -> None:
    seen: list[str] = []
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.extensions["cache"][cache] = own(SimpleCache, method, seen)()
    number = counted(cache)
    with app.app_context():
        assert [number(1), number(1), number(2), number(2)] == [1, 1, 2, 2]
        cache.delete_memoized(number)
        assert [number(2), number(2)] == [3, 3]
    assert cache.stats().errors == 0
    assert set(seen) == {method}


@pytest.mark.parametrize("method", WRITES)
def test_writing_method_that_is_patched_later(
    app: Flask, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    number = counted(cache)
    with app.app_context():
        assert [number(1), number(1)] == [1, 1]
        monkeypatch.setattr(cache, method, getattr(cache, method))
        assert [number(1), number(2), number(2)] == [1, 2, 2]
    assert cache.stats().errors == 0


class Prefixed:
    """Puts something before each key, as subclasses of backends do."""

    def get(self, key: str) -> Any:
        return super().get(f"mine:{key}")  # type: ignore[misc]

    def set(self, key: str, value: Any, timeout: int | None = None) -> Any:
        return super().set(f"mine:{key}", value, timeout)  # type: ignore[misc]


@pytest.mark.parametrize("base", [SimpleCache, FileSystemCache])
def test_versions_are_written_where_a_subclass_reads_them(
    app: Flask, base: Any, tmp_path: Path
) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    args = (str(tmp_path / "cache"),) if base is FileSystemCache else ()
    app.extensions["cache"][cache] = type("Mine", (Prefixed, base), {})(*args)
    number = counted(cache)
    with app.app_context():
        assert [number(1), number(1), number(2), number(1)] == [1, 1, 2, 1]
        cache.delete_memoized(number, 1)
        assert number(2) == 2
    assert cache.stats().errors == 0


class PlainBackend(cachelib.BaseCache):
    """One of an application's own, in which a lifetime can only be set with the value."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, Any] = {}
        self.before_set_many: Callable[[], None] | None = None

    def get(self, key: str) -> Any:
        return self.entries.get(key)

    def set(self, key: str, value: Any, timeout: int | None = None) -> bool:
        self.entries[key] = value
        return True

    def set_many(self, mapping: dict[str, Any], timeout: int | None = None) -> list[Any]:
        hook, self.before_set_many = self.before_set_many, None
        if hook is not None:
            hook()
        self.entries.update(mapping)
        return list(mapping)

    def delete(self, key: str) -> bool:
        return self.entries.pop(key, None) is not None


def test_a_deletion_while_a_version_is_kept_alive_is_not_undone(app: Flask) -> None:
    """The version is read, deleted elsewhere, and only then written again."""
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    backend = app.extensions["cache"][cache] = PlainBackend()
    number = counted(cache)

    def delete_elsewhere() -> None:
        thread = threading.Thread(target=cache.delete_memoized, args=(number,))
        thread.start()
        thread.join()

    with app.app_context():
        assert number(1) == 1
        backend.before_set_many = delete_elsewhere
        assert number(2) == 2
        assert backend.before_set_many is None
        assert number(1) == 3
        assert number(2) == 4


def test_the_same_of_an_own_set_many(app: Flask) -> None:
    hooks: list[Callable[[], None]] = []

    class OwnSetMany(Cache):
        def set_many(self, *args: Any, **kwargs: Any) -> list[Any]:
            if hooks:
                hooks.pop()()
            return super().set_many(*args, **kwargs)

    cache = OwnSetMany(app, config={"CACHE_TYPE": "SimpleCache"})
    number = counted(cache)
    with app.app_context():
        assert number(1) == 1
        hooks.append(lambda: cache.delete_memoized(number))
        assert number(2) == 2
        assert not hooks
        assert [number(1), number(2)] == [3, 4]
