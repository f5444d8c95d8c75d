"""KeyboardInterrupt and SystemExit are nobody's miss: they reach the application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask_caching import Cache

#: What the reading of a `Stored`, the printing of a `Shown`, ... raises; empty: nothing.
raised: list[BaseException] = []


def perhaps_raise() -> None:
    if raised:
        raise raised[0]


def restore() -> Stored:
    perhaps_raise()
    return Stored()


class Stored:
    """As what takes a while to be read, in which somebody presses Ctrl-C."""

    def __reduce__(self) -> Any:
        return restore, ()


class Shown:
    def __repr__(self) -> str:
        perhaps_raise()
        return "Shown()"


class Named:
    def __caching_id__(self) -> str:
        perhaps_raise()
        return "named"


class Seconds:
    def __float__(self) -> float:
        perhaps_raise()
        return 5.0


@pytest.fixture(params=[KeyboardInterrupt, SystemExit, GeneratorExit])
def interrupted(request: pytest.FixtureRequest) -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Calls a function that is interrupted, and again as if nothing had been."""

    def interrupted(call: Callable[[], Any]) -> None:
        raised.append(request.param())
        with pytest.raises(request.param):
            call()
        raised.clear()
        call()

    yield interrupted
    raised.clear()


Interrupted = Callable[[Callable[[], Any]], None]


@pytest.fixture(params=["SimpleCache", "FileSystemCache"])
def cached(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[Cache]:
    cache = Cache(app, config={"CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path)})
    with app.app_context():
        yield cache


def test_a_key_that_is_read(cached: Cache, interrupted: Interrupted) -> None:
    cached.set("key", Stored())
    for read in (
        lambda: cached.get("key"),
        lambda: cached.get_many("key"),
        lambda: cached.get_dict("key"),
    ):
        interrupted(read)
    # Nothing was wrong with the entry.
    assert cached.has("key")


def test_a_memoized_function(cached: Cache, interrupted: Interrupted) -> None:
    runs: list[int] = []

    @cached.memoize()
    def function(*args: Any, **kwargs: Any) -> Stored:
        runs.append(1)
        return Stored()

    for call in (lambda: function(1), lambda: function(named=1), lambda: function([1], {"a": 1})):
        runs.clear()
        call()
        for _ in range(3):
            interrupted(call)
        assert runs == [1]


def test_a_method(cached: Cache, interrupted: Interrupted) -> None:
    class Owner:
        @cached.memoize()
        def method(self) -> Stored:
            return Stored()

        def __repr__(self) -> str:
            return "Owner()"

    owner = Owner()
    owner.method()
    for _ in range(3):
        interrupted(owner.method)


@pytest.mark.parametrize("options", [{}, {"query_string": True}, {"make_cache_key": lambda: "key"}])
def test_a_view(
    app: Flask, cached: Cache, interrupted: Interrupted, options: dict[str, Any]
) -> None:
    @cached.cached(**options)
    def view() -> Any:
        return Stored()

    with app.test_request_context("/?a=1"):
        view()
        for _ in range(3):
            interrupted(view)


def test_a_call_that_signals_are_sent_of(
    app: Flask, cached: Cache, interrupted: Interrupted
) -> None:
    app.config["CACHE_ENABLE_SIGNALS"] = True

    @cached.memoize()
    def function() -> Stored:
        return Stored()

    function()
    for _ in range(3):
        interrupted(function)


def test_a_cache_with_a_get_of_its_own(app: Flask, interrupted: Interrupted) -> None:
    class Own(Cache):
        def get(self, *args: Any, **kwargs: Any) -> Any:
            return super().get(*args, **kwargs)

    cache = Own(app, config={"CACHE_TYPE": "SimpleCache"})
    with app.app_context():

        @cache.memoize()
        def function() -> Stored:
            return Stored()

        function()
        for _ in range(3):
            interrupted(function)


def test_a_fragment(app: Flask, cache: Cache, in_app: None, interrupted: Interrupted) -> None:
    class Loud(str):
        __slots__ = ()

        def __reduce__(self) -> Any:
            return loud, (str(self),)

    def loud(text: str) -> str:
        perhaps_raise()
        return text

    globals()["loud"] = loud
    loud.__qualname__ = "loud"
    template = "{% cache 60, 'name' %}text{% endcache %}"
    render_template_string(template)
    key = "_template_fragment_cache_name"
    assert cache.get(key) == "text"
    cache.set(key, Loud("text"))
    for _ in range(3):
        interrupted(lambda: render_template_string(template))


@pytest.mark.parametrize("argument", [Shown(), Named(), [Shown()], {"a": Named()}, (1, Shown())])
def test_an_argument_that_is_looked_at(
    cached: Cache, interrupted: Interrupted, argument: Any
) -> None:
    @cached.memoize()
    def function(*args: Any, **kwargs: Any) -> int:
        return 1

    for call in (lambda: function(argument), lambda: function(named=argument)):
        call()
        for _ in range(3):
            interrupted(call)


def test_what_is_said_of_an_entry_that_cannot_be_read(
    cache: Cache, in_app: None, interrupted: Interrupted
) -> None:
    class Key:
        def __repr__(self) -> str:
            perhaps_raise()
            return "Key()"

    def store() -> None:
        cache.set(Key(), lambda: None)  # type: ignore[arg-type]

    interrupted(store)


def test_a_timeout(cache: Cache, in_app: None, interrupted: Interrupted) -> None:
    interrupted(lambda: cache.set("key", 1, timeout=Seconds()))  # type: ignore[arg-type]
