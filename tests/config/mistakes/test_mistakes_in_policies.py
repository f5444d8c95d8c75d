"""Options of single flight, leases, old values, jitter and tags that cannot be: told at once."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.errors import CacheConfigError

NO_SECONDS = [
    -1,
    -0.1,
    "5",
    "",
    True,
    False,
    [],
    {},
    math.nan,
    math.inf,
    -math.inf,
    timedelta(seconds=-1),
    b"1",
    object(),
]
NO_SWITCH = [1, 0, "yes", "", [], object()]

WRONG = {
    "single_flight": NO_SWITCH,
    "lease": NO_SWITCH,
    "stale_while_revalidate": NO_SECONDS,
    "stale_if_error": NO_SECONDS,
    "jitter": [-0.1, 1.1, "0.1", True, [], math.nan, timedelta(1)],
    "tags": ["user", b"x", 5, True, object(), [5], [None], [""], ["a", ""], ["x"] * 257],
}

CASES = [(name, value) for name, values in WRONG.items() for value in values]


@pytest.mark.parametrize(
    ("name", "value"), CASES, ids=[f"{name} {at}" for at, (name, _) in enumerate(CASES)]
)
def test_an_option_that_cannot_be_is_refused_everywhere(
    app: Flask, cache: Cache, name: str, value: Any
) -> None:
    calls: list[int] = []
    for use in (
        lambda **options: cache.memoize(10, **options)(len),
        lambda **options: cache.cached(10, **options)(len),
        lambda **options: cache.get_or_set("k", lambda: calls.append(1), 10, **options),
    ):
        with app.app_context(), pytest.raises((TypeError, ValueError), match="tag|" + name) as told:
            use(**{name: value})
        # What would be right is said, too.
        assert "must" in str(told.value) or "may have" in str(told.value)
    assert not calls


@pytest.mark.parametrize("use", ["memoize", "cached"])
def test_what_makes_no_sense_together_is_refused(cache: Cache, use: str) -> None:
    with pytest.raises(ValueError, match="single_flight"):
        getattr(cache, use)(10, lease=True, single_flight=False)


@pytest.mark.parametrize("name", ["stale_while_revalidate", "stale_if_error", "jitter"])
@pytest.mark.parametrize("timeout", [0, 0.0, timedelta(0)], ids=["0", "0.0", "a timedelta"])
def test_what_never_expires_is_never_old(app: Flask, cache: Cache, name: str, timeout: Any) -> None:
    for use in (
        lambda **options: cache.memoize(timeout, **options)(len),
        lambda **options: cache.cached(timeout, **options)(len),
        lambda **options: cache.page(timeout, **options)(len),
        lambda **options: cache.get_or_set("k", 1, timeout, **options),
    ):
        with app.app_context():
            with pytest.raises(ValueError, match=f"{name} with timeout=0, which never expires"):
                use(**{name: 0.5})
            use(**{name: 0})
            use()


def test_tags_that_take_no_result(app: Flask, cache: Cache) -> None:
    nothing: Any = lambda *, key="k": key  # noqa: E731
    for use in (cache.memoize, cache.cached, cache.page):
        with pytest.raises(TypeError, match="called with the result"):
            use(10, tags=nothing)
    for something in (lambda *values: values, str, "{}".format):
        cache.memoize(10, tags=something)(len)


def test_a_switch_is_no_number_though_it_equals_one(app: Flask, cache: Cache) -> None:
    with app.app_context():
        assert cache.get_or_set("k", 1, 10, jitter=1) == 1
        with pytest.raises(TypeError, match="jitter"):
            cache.get_or_set("k", 1, 10, jitter=True)


@pytest.mark.parametrize("use", ["memoize", "cached"])
@pytest.mark.parametrize(
    "options",
    [
        {"stale_while_revalidate": timedelta(minutes=1), "stale_if_error": timedelta(0)},
        {"stale_while_revalidate": 0, "stale_if_error": 0.5, "jitter": 0},
        {"stale_while_revalidate": None, "stale_if_error": None, "jitter": None, "tags": None},
        {"jitter": 1, "tags": {"a", "b"}},
        {"tags": (name for name in "ab"), "single_flight": None, "lease": None},
    ],
    ids=["a timedelta", "fractions", "nothing", "most", "generators"],
)
def test_what_can_be_is_taken(cache: Cache, use: str, options: Any) -> None:
    getattr(cache, use)(timedelta(seconds=10), **options)(len)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for names, values in {
            ("CACHE_STALE_WHILE_REVALIDATE", "CACHE_STALE_IF_ERROR"): [-1, "soon", math.nan, []],
            ("CACHE_WAIT", "CACHE_STALE_RETRY", "CACHE_LEASE_TTL"): [-1, "soon", math.nan, True],
            ("CACHE_JITTER",): [-0.1, 1.5, "much", True],
            ("CACHE_REFRESH_WORKERS",): [-1, 1.5, "two", []],
        }.items()
        for name in names
        for value in values
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_refused(name: str, value: Any) -> None:
    with pytest.raises(CacheConfigError, match=name):
        Cache(Flask("tested"), config={"CACHE_TYPE": "SimpleCache", name: value})
