"""A subclass that chooses its backend may make what it hands out anew each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cachelib
import pytest
from flask import Flask
from flask_caching import Cache


class Tenant(cachelib.BaseCache):
    """The part of a store that belongs to one tenant."""

    def __init__(self, store: dict[str, Any], name: str) -> None:
        super().__init__()
        self.store, self.name = store, name

    def get(self, key: str) -> Any:
        return self.store.get(self.name + key)

    def set(self, key: str, value: Any, timeout: int | None = None) -> bool:
        self.store[self.name + key] = value
        return True

    def has(self, key: str) -> bool:
        return self.name + key in self.store

    def delete(self, key: str) -> bool:
        return self.store.pop(self.name + key, None) is not None

    def clear(self) -> bool:
        self.store.clear()
        return True


class TenantCache(Cache):
    store: dict[str, Any]

    @property
    def cache(self) -> Any:
        return Tenant(self.store, "one ")


Deletion = Callable[[TenantCache, Any], object]

DELETIONS: dict[str, Deletion] = {
    "delete": lambda cache, f: cache.delete(f.make_cache_key(f.uncached, 1)),
    "delete_many": lambda cache, f: cache.delete_many(f.make_cache_key(f.uncached, 1)),
    "unlink": lambda cache, f: cache.unlink(f.make_cache_key(f.uncached, 1)),
    "clear": lambda cache, f: cache.clear(),
    "delete_memoized": lambda cache, f: cache.delete_memoized(f),
    "delete_memoized of a call": lambda cache, f: cache.delete_memoized(f, 1),
    "delete_memoized_verhash": lambda cache, f: cache.delete_memoized_verhash(f),
}


@pytest.mark.parametrize("delete", DELETIONS.values(), ids=list(DELETIONS))
def test_a_deletion_wins_over_a_late_result(app: Flask, delete: Deletion) -> None:
    cache = TenantCache(app, config={"CACHE_TYPE": "SimpleCache"})
    cache.store = {}
    deletions = [delete]
    runs = []

    @cache.memoize(60)
    def late(_: int) -> int:
        runs.append(1)
        if deletions:
            deletions.pop()(cache, late)
        return len(runs)

    with app.app_context():
        assert [late(1), late(1), late(1)] == [1, 2, 2]
    assert cache.stats().superseded == 1


def test_the_same_of_a_view(app: Flask) -> None:
    cache = TenantCache(app, config={"CACHE_TYPE": "SimpleCache"})
    cache.store = {}
    runs = []

    @app.get("/")
    @cache.cached(60)
    def view() -> str:
        runs.append(1)
        if len(runs) == 1:
            cache.delete_cached(view, path="/")
        return str(len(runs))

    client = app.test_client()
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "2"]
