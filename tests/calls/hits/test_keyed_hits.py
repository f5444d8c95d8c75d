"""Functions whose keys the application makes: one key a call, which leads to the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request
from flask_caching import Cache
from flask_caching.signals import cache_view_hit
from werkzeug.exceptions import Gone, HTTPException


class Keys:
    """Makes keys, and notes the arguments they are made of."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.key: Any = "key"

    def with_arguments(self, *args: Any, **kwargs: Any) -> Any:
        self.made.append((args, kwargs))
        return self.key

    def without(self) -> Any:
        self.made.append(None)
        return self.key


def decorated(cache: Cache, kind: str, keys: Keys, f: Callable[..., Any], **options: Any) -> Any:
    if kind == "make_cache_key":
        return cache.cached(make_cache_key=keys.with_arguments, **options)(f)
    return cache.cached(key_prefix=keys.without, **options)(f)


KINDS = pytest.mark.parametrize("kind", ["make_cache_key", "key_prefix"])


@KINDS
def test_a_key_is_made_once_a_call(cache: Cache, in_app: None, kind: str) -> None:
    keys, runs = Keys(), []
    f = decorated(cache, kind, keys, lambda *args, **kwargs: runs.append(args) or len(runs))
    assert f(1, two=2) == 1
    assert f(1, two=2) == f(3) == 1
    assert cache.stats().described == 0
    assert len(keys.made) == 3
    if kind == "make_cache_key":
        assert keys.made == [((1,), {"two": 2})] * 2 + [((3,), {})]
    keys.key = "another"
    assert f(1) == 2
    keys.key = "key"
    assert f(1) == 1
    cache.delete("key")
    assert f(1) == 3
    assert len(keys.made) == 6
    assert cache.get("key") == 3


@KINDS
@pytest.mark.parametrize("key", [None, ["not hashable"]])
def test_a_key_that_is_none_is_made_once_and_not_cached(
    cache: Cache, in_app: None, kind: str, key: Any
) -> None:
    keys, runs = Keys(), []
    keys.key = key
    f = decorated(cache, kind, keys, lambda: runs.append(1) or len(runs))
    assert [f(), f()] == [1, 2]
    assert len(keys.made) == 2


@KINDS
def test_what_the_key_function_raises_is_raised_in_debug_mode(
    app: Flask, cache: Cache, in_app: None, kind: str
) -> None:
    app.debug = True

    def broken(*args: Any) -> str:
        raise LookupError("no key")

    keys = Keys()
    keys.with_arguments = keys.without = broken  # type: ignore[method-assign]
    f = decorated(cache, kind, keys, lambda: "result")
    for _ in range(2):
        with pytest.raises(LookupError, match="no key"):
            f()


@KINDS
@pytest.mark.parametrize("none_is_result", [False, True])
def test_none_is_a_result_where_that_was_asked_for(
    cache: Cache, in_app: None, kind: str, none_is_result: bool
) -> None:
    runs: list[int] = []
    f = decorated(cache, kind, Keys(), lambda: runs.append(1), cache_none=none_is_result)
    for _ in range(3):
        assert f() is None
    assert len(runs) == (1 if none_is_result else 3)


@KINDS
def test_an_http_exception_is_raised_again(cache: Cache, in_app: None, kind: str) -> None:
    runs: list[int] = []

    def gone() -> str:
        runs.append(1)
        raise Gone

    f = decorated(cache, kind, Keys(), gone)
    for _ in range(3):
        with pytest.raises(HTTPException):
            f()
    assert len(runs) == 1


@KINDS
def test_whoever_wants_to_hear_of_a_hit_does(app: Flask, kind: str) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    heard: list[Any] = []

    def receive(sender: Any, **values: Any) -> None:
        heard.append(values["cache_key"])

    f = decorated(cache, kind, Keys(), lambda: "result")
    with app.app_context(), cache_view_hit.connected_to(receive):
        f()
        f()
        assert heard == []
        cache.enable_signals = True
        f()
        assert heard == ["key"]
        cache.enable_signals = False
        f()
        assert heard == ["key"]
        cache.get = lambda key: f"own {key}"  # type: ignore[method-assign,assignment]
        assert f() == "own key"


def test_a_replaced_key_function_is_asked(cache: Cache, in_app: None) -> None:
    keys = Keys()
    f = decorated(cache, "make_cache_key", keys, lambda: "result")
    f()
    f.make_cache_key = lambda: "replaced"
    f()
    assert cache.get("replaced") == "result"
    assert len(keys.made) == 1


def test_the_source_is_part_of_the_key_of_a_prefix(cache: Cache, in_app: None) -> None:
    runs: list[str] = []

    @cache.cached(key_prefix=lambda: "prefix", source_check=True)
    def one() -> str:
        runs.append("one")
        return "one"

    @cache.cached(key_prefix=lambda: "prefix", source_check=True)
    def other() -> str:
        runs.append("other")
        return "other"

    for _ in range(3):
        assert [one(), other()] == ["one", "other"]
    assert runs == ["one", "other"]


def test_a_post_is_answered_under_a_key_of_its_body(app: Flask, cache: Cache) -> None:
    runs: list[Any] = []

    @app.post("/hello")
    @cache.cached(make_cache_key=lambda: f"hello {request.get_json()['name']}")
    def hello() -> str:
        runs.append(request.get_json())
        return f"Hello {request.get_json()['name']}"

    client = app.test_client()
    for _ in range(3):
        for name in ("ada", "bob"):
            assert client.post("/hello", json={"name": name}).text == f"Hello {name}"
    assert len(runs) == 2


def test_outside_of_its_applications_it_runs_uncached(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []
    f = decorated(cache, "key_prefix", Keys(), lambda: runs.append(1) or len(runs))
    with Flask("other").app_context():
        assert [f(), f()] == [1, 2]
    assert "is not cached" in caplog.text
