"""Hits of a cache whose ``get`` is the application's own: that is asked, once a call."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.calls.memoized import MemoizePolicy


class Asked(Cache):
    """Notes the keys it is asked for, and can be told what to do instead."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.asked: list[str] = []
        self.instead: Any = None
        super().__init__(*args, **kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        self.asked.append(args[0])
        if self.instead is not None:
            return self.instead(*args)
        return super().get(*args, **kwargs)


@pytest.fixture
def cache(app: Flask) -> Asked:
    return Asked(app, config={"CACHE_TYPE": "SimpleCache"})


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions whose calls took the ordinary path."""
    taken: list[str] = []
    description = MemoizePolicy.description

    def noted(self: Any, *args: Any) -> Any:
        taken.append(self.f.__name__)
        return description(self, *args)

    monkeypatch.setattr(MemoizePolicy, "description", noted)
    return taken


def test_it_is_asked_once_by_a_hit_which_takes_no_ordinary_path(
    cache: Asked, in_app: None, ordinary: list[str]
) -> None:
    class Person:
        def __repr__(self) -> str:
            return "Person(1)"

        @cache.memoize()
        def has(self, role: str) -> str:
            return role

    @cache.memoize()
    def add(a: int, b: int = 2) -> int:
        return a + b

    for call in (lambda: add(1), lambda: add(b=1, a=1), lambda: Person().has("admin")):
        call()
        call()
        cache.asked.clear()
        ordinary.clear()
        call()
        assert len(cache.asked) == 1
        assert not ordinary


def test_it_is_asked_once_by_a_miss_under_the_key_that_is_stored(
    cache: Asked, in_app: None
) -> None:
    runs: list[int] = []

    @cache.memoize()
    def double(number: int) -> int:
        runs.append(number)
        return number * 2

    assert double(1) == double(1) == 2
    [key] = set(cache.asked)
    cache.asked.clear()
    cache.delete(key)
    assert double(1) == 2
    assert cache.asked == [key]
    assert runs == [1, 1]
    assert double(1) == 2
    assert runs == [1, 1]


def test_what_it_returns_is_the_result(cache: Asked, in_app: None) -> None:
    @cache.memoize()
    def double(number: int) -> int:
        return number * 2

    assert double(1) == double(1) == 2
    cache.instead = lambda key: "something else"
    assert double(1) == "something else"  # type: ignore[comparison-overlap]


def test_a_deletion_is_seen_by_the_next_call(cache: Asked, in_app: None) -> None:
    runs: list[int] = []

    @cache.memoize()
    def double(number: int) -> int:
        runs.append(number)
        return number * 2

    for number in (1, 1, 2, 2):
        double(number)
    cache.delete_memoized(double, 1)
    for number in (1, 1, 2, 2):
        double(number)
    assert runs == [1, 2, 1]
    cache.delete_memoized(double)
    for number in (1, 1, 2, 2):
        double(number)
    assert runs == [1, 2, 1, 1, 2]


@pytest.mark.parametrize("none_is_result", [False, True])
def test_none_is_a_result_where_that_was_asked_for(
    cache: Asked, in_app: None, none_is_result: bool
) -> None:
    runs: list[int] = []

    @cache.memoize(cache_none=none_is_result)
    def nothing(number: int) -> None:
        runs.append(number)

    for _ in range(4):
        nothing(1)
    assert len(runs) == (1 if none_is_result else 4)


def test_its_failure_runs_the_function_and_its_recovery_is_noticed(
    cache: Asked, in_app: None, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []

    @cache.memoize()
    def double(number: int) -> int:
        runs.append(number)
        return number * 2

    def broken(key: str) -> Any:
        raise OSError("down")

    assert double(1) == double(1) == 2
    cache.instead = broken
    with caplog.at_level(logging.WARNING, "flask_caching"):
        assert double(1) == double(1) == double(1) == 2
        assert len(runs) == 4
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        cache.instead = None
        for _ in range(3):
            assert double(1) == 2
    assert len(runs) == 4
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "works again" in caplog.text


def test_an_interrupt_passes_through(cache: Asked, in_app: None) -> None:
    @cache.memoize()
    def double(number: int) -> int:
        return number * 2

    def interrupted(key: str) -> Any:
        raise KeyboardInterrupt

    assert double(1) == double(1) == 2
    cache.instead = interrupted
    with pytest.raises(KeyboardInterrupt):
        double(1)
    cache.instead = None
    assert double(1) == 2


def test_signals_are_sent_of_its_hits(cache: Asked, app: Flask) -> None:
    from flask_caching.signals import cache_memoize_hit

    cache.init_app(app, {"CACHE_TYPE": "SimpleCache", "CACHE_ENABLE_SIGNALS": True})
    sent: list[Any] = []

    def receive(sender: Any, **values: Any) -> None:
        sent.append(values["args"])

    @cache.memoize()
    def double(number: int) -> int:
        return number * 2

    with app.app_context(), cache_memoize_hit.connected_to(receive):
        for _ in range(4):
            assert double(1) == 2
    assert sent == [(1,)] * 3


def test_one_that_is_put_on_the_instance_is_asked_from_then_on(app: Flask, in_app: None) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    asked: list[str] = []
    get = cache.get

    def noted(key: str) -> Any:
        asked.append(key)
        return get(key)

    @cache.memoize()
    def double(number: int) -> int:
        return number * 2

    assert double(1) == double(1) == 2
    cache.get = noted  # type: ignore[method-assign,assignment]
    for _ in range(3):
        assert double(1) == 2
    assert len(asked) == 3
    del cache.get
    assert double(1) == 2
    assert len(asked) == 3
