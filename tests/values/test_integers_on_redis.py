"""Integers on Redis: text, so that the server counts; of any size."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache


@pytest.fixture
def cache(redis_server: Any) -> Cache:
    redis_server.admin.flushall()
    return Cache(
        Flask("x"), config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": redis_server.port}
    )


@pytest.mark.parametrize(
    "number",
    [10**4299, 10**4300 - 1, 10**4300, -(10**4300), 10**5000, 1 - 10**9000],
    ids=["4300 digits", "9s", "one more", "negative", "more", "many nines"],
)
def test_an_integer_of_any_size(cache: Cache, number: int) -> None:
    assert cache.set("set", number)
    assert cache.add("add", number)
    assert cache.set_many({"many": number}) == ["many"]
    assert cache.get_many("set", "add", "many") == [number] * 3


def test_one_that_python_prints_stays_text(cache: Cache, redis_server: Any) -> None:
    cache.set("number", 10**4300 - 1)
    assert redis_server.admin.get("flask_cache_number") == b"9" * 4300


def test_a_memoized_function_may_return_one(cache: Cache) -> None:
    runs: list[int] = []

    @cache.memoize()
    def power(exponent: int) -> int:
        runs.append(exponent)
        return int(10**exponent)

    with cache.app.app_context():
        assert power(6000) == power(6000) == 10**6000
    assert runs == [6000]
