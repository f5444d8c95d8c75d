"""Subclasses of Cache, replaced proxies, and backends: the decorators go through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from flask import Flask, render_template_string
from flask_caching import Cache
from flask_caching.backends import SimpleCache

SIMPLE = {"CACHE_TYPE": "SimpleCache"}


class Namespaced(Cache):
    """Puts a prefix before every key."""

    prefix = "tenant:"

    def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return super().get(self.prefix + key, *args, **kwargs)

    def set(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return super().set(self.prefix + key, *args, **kwargs)

    def delete(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return super().delete(self.prefix + key, *args, **kwargs)

    def get_many(self, *keys: str, **kwargs: Any) -> Any:
        return super().get_many(*(self.prefix + key for key in keys), **kwargs)

    def set_many(self, mapping: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        placed = {self.prefix + key: value for key, value in mapping.items()}
        return super().set_many(placed, *args, **kwargs)

    def delete_many(self, *keys: str, **kwargs: Any) -> Any:
        return super().delete_many(*(self.prefix + key for key in keys), **kwargs)

    def has(self, key: str) -> bool:
        return super().has(self.prefix + key)


def test_a_subclass_that_changes_keys_is_honoured_everywhere() -> None:
    app = Flask("x")
    cache = Namespaced(app, config=SIMPLE)
    runs: list[Any] = []

    @app.route("/")
    @cache.cached()
    def view() -> str:
        runs.append("view")
        return "view"

    @cache.memoize()
    def function(a: int) -> int:
        runs.append(a)
        return a

    client = app.test_client()
    assert client.get("/").text == client.get("/").text == "view"
    with app.test_request_context():
        assert function(1) == function(1) == 1
        source = "{% cache 60, 'a_b' %}{{ n() }}{% endcache %}"
        for _ in range(2):
            render_template_string(source, n=lambda: runs.append("fragment"))
        assert runs == ["view", 1, "fragment"]
        assert all(str(key).startswith("tenant:") for key in cache.cache._cache)
        cache.prefix = "other:"
        assert client.get("/").text == "view"
        assert function(1) == 1
        assert runs == ["view", 1, "fragment", "view", 1]
        cache.prefix = "tenant:"
        cache.delete_memoized(function, 1)
        cache.delete_cached(view, path="/")
        function(1)
        client.get("/")
        assert len(runs) == 7
        cache.delete_memoized(function)
        function(1)
        cache.delete_memoized_verhash(function)
        function(1)
        assert len(runs) == 9


@pytest.mark.parametrize("late", [False, True], ids=["before", "after-a-hit"])
@pytest.mark.parametrize("place", ["instance", "class", "mock"])
def test_a_proxy_that_is_replaced_is_gone_through(place: str, late: bool) -> None:
    class Own(Cache):
        pass

    app = Flask("x")
    cache = Own(app, config=SIMPLE)
    seen: list[str] = []
    original = cache.get

    @app.route("/")
    @cache.cached()
    def view() -> str:
        return "view"

    @cache.memoize()
    def function(a: int) -> int:
        return a

    def call() -> None:
        app.test_client().get("/")
        with app.app_context():
            function(1)

    call()
    if late:
        call()

    def get(*args: Any, **kwargs: Any) -> Any:
        seen.append(args[-1])
        return original(args[-1])

    if place == "instance":
        cache.get = get  # type: ignore[method-assign]
        call()
    elif place == "class":
        Own.get = get  # type: ignore[method-assign,assignment]
        call()
    else:
        with mock.patch.object(cache, "get", side_effect=get):
            call()
        count = len(seen)
        call()
        assert len(seen) == count
    assert len(seen) == 2
    assert seen[0] == "view//"


def test_a_backend_that_overrides_a_method_is_honoured() -> None:
    seen: list[tuple[str, str]] = []

    class Spying(SimpleCache):
        def get(self, key: str) -> Any:
            seen.append(("get", key))
            return super().get(key)

        def set(self, key: str, value: Any, timeout: Any = None) -> bool:
            seen.append(("set", key))
            return super().set(key, value, timeout=timeout)

    app = Flask("x")
    cache = Cache(app, config={"CACHE_TYPE": Spying})

    @app.route("/")
    @cache.cached()
    def view() -> str:
        return "view"

    app.test_client().get("/")
    app.test_client().get("/")
    assert seen == [("get", "view//"), ("set", "view//"), ("get", "view//")]


def test_a_method_patched_on_the_backend_is_honoured() -> None:
    app = Flask("x")
    cache = Cache(app, config=SIMPLE)

    @cache.memoize()
    def function(a: int) -> int:
        return a

    with app.app_context():
        function(1)
        function(1)
        with mock.patch.object(cache.cache, "get", return_value=7) as get:
            assert function(1) == 7
        assert get.call_count == 1
        assert function(1) == 1


def test_a_decorator_that_is_extended_still_decorates() -> None:
    class Own(Cache):
        def memoize(self, *args: Any, **kwargs: Any) -> Any:
            kwargs.setdefault("timeout", 7)
            return super().memoize(*args, **kwargs)

        def cached(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
            kwargs.setdefault("timeout", 8)
            return super().cached(*args, **kwargs)

    cache = Own(Flask("x"), config=SIMPLE)
    assert cache.memoize()(len).cache_timeout == 7
    assert cache.cached()(lambda: 1).cache_timeout == 8  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", ["value", None])
def test_none_is_told_from_a_miss_by_a_backend_without_our_internals(value: Any) -> None:
    class Racing(SimpleCache):
        """Another process writes between two reads."""

        def get(self, key: str) -> Any:
            found = super().get(key)
            if key == "key" and found is None:
                self.set(key, value)
                return None
            return found

    app = Flask("x")
    cache = Cache(app, config={"CACHE_TYPE": Racing})
    runs = []

    @cache.cached(key_prefix="key", cache_none=True)
    def function() -> str:
        runs.append(1)
        return "computed"

    with app.app_context():
        assert function() in ((None, "computed") if value is None else (value, "computed"))


class Watched(Cache):
    """Looks at the settings of each backend that is made."""

    seen: dict[str, Any]

    def _set_cache(self, app: Flask, config: dict[str, Any]) -> None:
        super()._set_cache(app, config)
        self.seen = config


def test_a_subclass_sees_the_settings_of_its_backend() -> None:
    cache = Watched(Flask("x"), config={**SIMPLE, "CACHE_THRESHOLD": 5})
    assert cache.seen["CACHE_THRESHOLD"] == 5
    assert cache.seen["CACHE_DEFAULT_TIMEOUT"] == 300


class Handmade(Cache):
    """Makes its backend itself, and keeps it where Flask-Caching does."""

    def _set_cache(self, app: Flask, config: dict[str, Any]) -> None:
        app.extensions.setdefault("cache", {})[self] = SimpleCache(threshold=3)


def test_a_subclass_makes_its_backend_itself() -> None:
    app = Flask("x")
    cache = Handmade(app, config={"CACHE_TYPE": "FileSystemCache", "CACHE_DEFAULT_TIMEOUT": 7})
    runs: list[int] = []

    @cache.memoize()
    def function(a: int) -> int:
        runs.append(a)
        return len(runs)

    for _ in range(2):
        with app.app_context():
            assert [function(1), function(1)] == [len(runs)] * 2
            assert type(cache.cache) is SimpleCache
            assert cache.set("a", 1)
        cache.init_app(app, config=SIMPLE)
    assert len(runs) == 2
