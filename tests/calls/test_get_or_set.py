"""``cache.get_or_set``: a value under a key, computed where it is missing."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache, make_template_fragment_key
from flask_caching.backends.simplecache import SimpleCache
from flask_caching.testing import manual_clock
from redis_servers import RedisServer

LONG = 30.0


@pytest.fixture
def cache(app: Flask) -> Iterator[Cache]:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with app.app_context():
        yield cache


class Failing(SimpleCache):
    """A backend whose server is away."""

    def get(self, key: str) -> Any:
        raise OSError("away")

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        raise OSError("away")


def test_the_default_is_computed_once_and_stored(cache: Cache) -> None:
    runs: list[int] = []

    def compute() -> list[int]:
        runs.append(1)
        return [len(runs)]

    first = cache.get_or_set("key", compute)
    again = cache.get_or_set("key", compute)
    assert first == again == cache.get("key") == [1]
    assert first is not again
    again.append(2)
    assert cache.get_or_set("key", compute) == [1]


def test_a_default_that_is_a_value(cache: Cache) -> None:
    assert cache.get_or_set("key", 5) == 5
    assert cache.get_or_set("key", 6) == cache.get("key") == 5
    cache.delete("key")
    assert cache.get_or_set("key", 6) == 6


def test_what_set_has_stored_is_got(cache: Cache) -> None:
    cache.set("key", "there")
    assert cache.get_or_set("key", pytest.fail) == "there"


def test_the_timeout(cache: Cache) -> None:
    with manual_clock() as clock:
        cache.get_or_set("short", 1, timeout=10)
        cache.get_or_set("default", 1)
        clock.advance(11)
        assert (cache.get("short"), cache.get("default")) == (None, 1)
        clock.advance(300)
        assert cache.get("default") is None


def test_the_options(cache: Cache) -> None:
    assert cache.get_or_set("none", lambda: None, cache_none=True) is None
    assert cache.get_or_set("none", lambda: 1, cache_none=True) is None
    assert cache.get_or_set("none", lambda: 1) == 1
    assert cache.get_or_set("odd", 1, response_filter=lambda value: value % 2 == 0) == 1
    assert cache.get("odd") is None
    assert cache.get_or_set("old", 1) == 1
    assert cache.get_or_set("old", 2, is_stale=lambda value: value < 2) == 2
    assert cache.get_or_set("old", 3, forced_update=lambda: True) == 3


def test_what_cannot_be_meant(cache: Cache) -> None:
    with pytest.raises(TypeError, match=r"no option 'unless'.*response_filter"):
        cache.get_or_set("key", 1, unless=lambda: True)
    with pytest.raises(TypeError, match="must be a str, not int"):
        cache.get_or_set(1, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="single_flight must be"):
        cache.get_or_set("key", 1, single_flight="no")

    async def later() -> int:
        return 1

    with pytest.raises(TypeError, match="cannot await"):
        cache.get_or_set("key", later)


def test_a_default_that_fails_is_the_callers(cache: Cache) -> None:
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("key", lambda: 1 // 0)
    assert cache.get_or_set("key", 1) == 1


def test_the_key_of_a_fragment(app: Flask, cache: Cache) -> None:
    key = make_template_fragment_key("part", ["a"])
    assert cache.get_or_set(key, "made") == "made"
    assert cache.get(key) == "made"
    cache.delete(key)
    assert cache.get_or_set(key, "again") == "again"


def test_a_cache_that_fails_loses_no_value(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache(app, config={"CACHE_TYPE": lambda app, config, args, kwargs: Failing()})
    with app.app_context(), caplog.at_level(logging.ERROR, "flask_caching"):
        assert cache.get_or_set("key", lambda: 7) == 7
    assert "away" in caplog.text


def test_one_computes_for_all(app: Flask, redis_server: RedisServer) -> None:
    redis_server.admin.flushall()
    config = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_HOST": "127.0.0.1",
        "CACHE_REDIS_PORT": redis_server.port,
        "CACHE_WAIT": LONG,
    }
    cache = Cache(app, config=config)
    entered, opened = threading.Semaphore(0), threading.Event()
    answers: list[Any] = []

    def compute() -> list[int]:
        entered.release()
        assert opened.wait(LONG)
        return [1]

    def call() -> None:
        with app.app_context():
            answers.append(cache.get_or_set("key", compute))

    threads = [threading.Thread(target=call, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert entered.acquire(timeout=LONG)
    assert not entered.acquire(timeout=0.1)
    opened.set()
    for thread in threads:
        thread.join(LONG)
    assert answers == [[1]] * 8
    assert len({id(answer) for answer in answers}) == 8


def test_options_that_are_new_in_each_call_do_not_add_up(cache: Cache) -> None:
    for number in range(300):
        cache.get_or_set("key", 1, is_stale=lambda value, number=number: False)  # type: ignore[misc]
    gc.collect()
    assert len(cache._policies) < 100
    assert cache.stats().hits == 299


class Unruly:
    """A filter that says it equals every other one, or will not be compared at all."""

    def __init__(self, answer: bool, error: type[Exception] | None = None) -> None:
        self.answer, self.error = answer, error

    def __call__(self, value: Any) -> bool:
        return self.answer

    def __eq__(self, other: object) -> bool:
        if self.error is not None:
            raise self.error
        return True

    def __hash__(self) -> int:
        if self.error is not None:
            raise self.error
        return 1


@pytest.mark.parametrize("error", [None, TypeError, ValueError])
def test_options_are_told_apart_by_which_they_are(
    cache: Cache, error: type[Exception] | None
) -> None:
    keeps, refuses = Unruly(True, error), Unruly(False, error)
    cache.get_or_set("kept", 1, response_filter=keeps)
    policies = len(cache._policies)
    for _ in range(3):
        cache.get_or_set("refused", 1, response_filter=refuses)
        cache.get_or_set("kept", 2, response_filter=keeps)
    assert (cache.get("kept"), cache.get("refused")) == (1, None)
    assert len(cache._policies) == policies + 1


class Kept:
    def keep(self, value: Any) -> bool:
        return True


@pytest.mark.parametrize(
    "options",
    [
        lambda: {"tags": ["a", "b"]},
        lambda: {"tags": {"a"}},
        lambda: {"tags": (name for name in "ab")},
        lambda: {"tags": ("a",), "jitter": 0.1, "stale_if_error": timedelta(seconds=5)},
        lambda: {"cache_none": []},
        lambda: {"response_filter": KEPT.keep},
    ],
)
def test_equal_options_are_told_of_once(
    cache: Cache, caplog: pytest.LogCaptureFixture, options: Any
) -> None:
    for _ in range(4):
        cache.get_or_set("lock", threading.Lock, **options())
    assert caplog.text.count("is served but not cached") == 1
    assert len(cache._policies) == 1


KEPT = Kept()


def test_tags_that_are_no_names_are_told_of(cache: Cache) -> None:
    for tags in ("a", b"a", StrOfItsOwn("ab"), 5, [5], [StrOfItsOwn("a"), 5]):
        with pytest.raises(TypeError, match="tag"):
            cache.get_or_set("key", 1, tags=tags)
    assert cache.get_or_set("key", 1, tags=[StrOfItsOwn("a")]) == 1
    cache.delete_tags("a")
    assert cache.get("key") is None


class StrOfItsOwn(str):
    """A name that is not just one."""
