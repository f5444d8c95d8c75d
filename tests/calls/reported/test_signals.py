"""Signals of hits and misses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from cachelib.serializers import SimpleSerializer
from flask import Flask
from flask_caching import (
    Cache,
    cache_memoize_hit,
    cache_memoize_miss,
    cache_view_hit,
    cache_view_miss,
    signals,
)

SIGNALS = {
    "view hit": cache_view_hit,
    "view miss": cache_view_miss,
    "memoize hit": cache_memoize_hit,
    "memoize miss": cache_memoize_miss,
}


@pytest.fixture
def seen() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    received: list[tuple[str, dict[str, Any]]] = []
    with ExitStack() as stack:
        for name, signal in SIGNALS.items():

            def receive(sender: Any, name: str = name, **payload: Any) -> None:
                assert sender is None
                received.append((name, payload))

            stack.enter_context(signal.connected_to(receive))
        yield received


@pytest.fixture
def signalling(app: Flask) -> Cache:
    return Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_ENABLE_SIGNALS": True})


def test_the_signals_are_where_they_were() -> None:
    assert {name for name in signals.__all__ if name.startswith("cache_")} == {
        "cache_view_hit",
        "cache_view_miss",
        "cache_memoize_hit",
        "cache_memoize_miss",
        "cache_stale",
    }
    assert signals.cache_view_hit is cache_view_hit


@pytest.mark.usefixtures("in_app")
def test_a_memoized_function_says_what_was_found(
    signalling: Cache, seen: list[tuple[str, dict[str, Any]]]
) -> None:
    @signalling.memoize()
    def function(a: int, b: int = 2) -> int:
        return a + b

    for _ in range(3):
        function(1, b=3)
    assert [name for name, _ in seen] == ["memoize miss", "memoize hit", "memoize hit"]
    for _, payload in seen:
        assert payload == {
            "cache": signalling,
            "f": function.uncached,
            "cache_key": function.make_cache_key(function.uncached, 1, b=3),
            "args": (1,),
            "kwargs": {"b": 3},
        }


def test_a_view_says_what_was_found(
    app: Flask, signalling: Cache, seen: list[tuple[str, dict[str, Any]]]
) -> None:
    @app.route("/<name>")
    @signalling.cached()
    def view(name: str) -> str:
        return name

    for _ in range(3):
        app.test_client().get("/a")
    assert [name for name, _ in seen] == ["view miss", "view hit", "view hit"]
    for _, payload in seen:
        assert payload["cache"] is signalling
        assert payload["cache_key"] == "view//a"
        assert payload["kwargs"] == {"name": "a"}


@pytest.mark.usefixtures("in_app")
def test_what_is_bypassed_is_silent_and_what_is_refreshed_is_a_miss(
    signalling: Cache, seen: list[tuple[str, dict[str, Any]]]
) -> None:
    decisions: dict[str, bool] = {}

    @signalling.memoize(
        unless=lambda: decisions.get("unless", False),
        forced_update=lambda: decisions.get("forced_update", False),
        is_stale=lambda value: decisions.get("is_stale", False),
    )
    def function() -> int:
        return 1

    function()
    for option in ("unless", "forced_update", "is_stale"):
        seen.clear()
        decisions[option] = True
        function()
        assert [name for name, _ in seen] == ([] if option == "unless" else ["memoize miss"])
        decisions[option] = False
    seen.clear()
    function()
    assert [name for name, _ in seen] == ["memoize hit"]


@pytest.mark.usefixtures("in_app")
def test_without_the_setting_nothing_is_sent(
    cache: Cache, seen: list[tuple[str, dict[str, Any]]]
) -> None:
    @cache.memoize()
    def function() -> int:
        return 1

    function()
    function()
    assert not seen


@pytest.mark.usefixtures("in_app")
def test_an_exception_of_a_receiver_is_the_applications(signalling: Cache) -> None:
    class Mistake(Exception):
        pass

    def receive(sender: Any, **payload: Any) -> None:
        raise Mistake

    @signalling.memoize()
    def function() -> int:
        return 1

    with cache_memoize_miss.connected_to(receive), pytest.raises(Mistake):
        function()
    assert function() == 1
    with cache_memoize_hit.connected_to(receive), pytest.raises(Mistake):
        function()
    assert not signalling.stats().under_way


def test_signals_can_be_switched_while_the_application_runs(cache: Cache, in_app: None) -> None:
    heard: list[str] = []

    def hear(sender: object, **kwargs: object) -> None:
        heard.append(str(kwargs["cache_key"]))

    @cache.memoize()
    def f(x: int) -> int:
        return x

    with cache_memoize_hit.connected_to(hear):
        assert [f(1), f(1)] == [1, 1]
        assert (cache.enable_signals, heard) == (False, [])
        cache.enable_signals = True
        assert [f(1), f(1)] == [1, 1]
        assert (cache.enable_signals, len(heard)) == (True, 2)
        cache.enable_signals = False
        assert [f(1), f(1)] == [1, 1]
        assert len(heard) == 2


def test_the_serializer_of_the_configuration_can_be_asked_for(app: Flask) -> None:
    serializer = SimpleSerializer()
    assert Cache(app, config={"CACHE_TYPE": "SimpleCache"}).serializer is None
    config = {"CACHE_TYPE": "SimpleCache", "CACHE_SERIALIZER": serializer}
    assert Cache(app, config=config).serializer is serializer
