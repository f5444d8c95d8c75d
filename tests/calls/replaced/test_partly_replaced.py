"""A subclass of a backend that replaces one of its methods, and leaves the others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends import FileSystemCache, SimpleCache

METHODS = ["get", "get_many", "set", "set_many", "add", "has", "delete", "delete_many", "clear"]


def replacing(base: type, method: str) -> type:
    def replaced(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(base, method)(self, *args, **kwargs)

    return type("Replacing", (base,), {method: replaced, "__module__": __name__})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("base", [SimpleCache, FileSystemCache])
def test_calls_are_answered_deleted_and_answered_again(
    app: Flask, tmp_path: Any, base: type, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = replacing(base, method)
    monkeypatch.setattr(sys.modules[__name__], "Replacing", backend, raising=False)
    config = {"CACHE_TYPE": f"{__name__}.Replacing", "CACHE_DIR": str(tmp_path / "cache")}
    cache = Cache(app, config=config)
    calls: list[Any] = []

    @cache.memoize()
    def memoized(argument: int) -> int:
        calls.append(argument)
        return len(calls)

    @cache.cached(key_prefix="cached")
    def cached() -> int:
        calls.append(None)
        return len(calls)

    functions: list[tuple[Callable[[], int], Callable[[], Any]]] = [
        (lambda: memoized(1), lambda: cache.delete_memoized(memoized)),
        (cached, lambda: cache.delete("cached")),
    ]
    with app.app_context():
        for call, delete in functions:
            first = call()
            assert call() == first
            delete()
            assert call() == first + 1 == call()
