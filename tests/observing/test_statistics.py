"""What ``cache.stats()`` says beside how often: what was saved, why not, and since when."""

from __future__ import annotations

import gc
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.stats import CacheStats, Latency, _wire


@pytest.fixture
def cache(app: Flask) -> Cache:
    return Cache(app, config={"CACHE_TYPE": "SimpleCache"})


def test_refusals_have_their_reasons(app: Flask, cache: Cache) -> None:
    @app.route("/<kind>")
    @cache.cached(response_filter=lambda response: "bad" not in response[0])
    def view(kind: str) -> Any:
        headers = {"Set-Cookie": "a=b"} if kind == "cookie" else {}
        return kind, 206 if kind == "partial" else 200, headers

    client = app.test_client()
    for path, count in (("/bad", 3), ("/cookie", 2), ("/partial", 1), ("/good", 1)):
        for _ in range(count):
            client.get(path)
    counts = cache.stats().functions[view.__qualname__]
    assert counts.kind == "view"
    assert counts.refusals == {
        "response_filter would not have it": 3,
        "it sets a cookie": 2,
        "it answers a conditional or partial request": 1,
    }
    assert (counts.refused, counts.stored) == (6, 1)
    last = cache.stats().last_refusals
    assert [refusal.reason[:12] for refusal in last] == [
        "it answers a",
        *["it sets a co"] * 2,
        *["response_fil"] * 3,
    ]
    assert all(refusal.name == view.__qualname__ for refusal in last)


def test_reasons_are_not_counted_without_end(app: Flask, cache: Cache) -> None:
    @cache.memoize()
    def function(a: int) -> int:
        return a

    policy = function._flask_caching_policy  # type: ignore[attr-defined]
    for number in range(1000):
        policy.road.note_refusal(f"{number} " + "x" * 10_000)
    stats = cache.stats()
    assert len(stats.refusals) == 21
    assert stats.refusals["other reasons"] == 980
    assert len(stats.last_refusals) == 50
    assert len(json.dumps(stats.as_dict())) < 30_000


def test_time_saved_is_hits_times_what_a_computation_takes(app: Flask, cache: Cache) -> None:
    @cache.memoize()
    def function(a: int) -> float:
        return math.fsum(1 / n for n in range(1, 50_000))

    with app.app_context():
        for a in range(3):
            for _ in range(5):
                function(a)
    counts = cache.stats().functions[function.__qualname__]
    assert (counts.computed, counts.hits) == (3, 12)
    assert counts.mean_computing_time is not None
    assert counts.mean_computing_time > 1e-4
    assert counts.time_saved == pytest.approx(12 * counts.mean_computing_time)
    assert counts.hit_ratio == 12 / 15


def test_what_was_saved_by_functions_that_are_gone_stays_saved(app: Flask, cache: Cache) -> None:
    def scope() -> float:
        @cache.memoize()
        def function(a: int) -> float:
            return math.fsum(1 / n for n in range(1, 50_000))

        with app.app_context():
            function(1), function(1)
        saved = cache.stats().functions[function.__qualname__].time_saved
        del function
        gc.collect()
        return saved

    saved = scope() + scope()
    stats = cache.stats()
    assert stats.functions.keys() == set()
    assert stats.time_saved == pytest.approx(saved)


def test_the_difference_of_two_moments(app: Flask, cache: Cache) -> None:
    @cache.memoize()
    def function(a: int) -> int:
        return a

    with app.app_context():
        function(1), function(1)
        earlier = cache.stats()
        function(1), function(2)
        delta = cache.stats().delta(earlier)
    assert (delta.hits, delta.misses, delta.stored) == (1, 1, 1)
    assert delta.functions[function.__qualname__].hits == 1
    assert delta.functions[function.__qualname__].kind == "function"
    assert delta.processes == 1
    assert earlier.delta(cache.stats()).hits == 0
    assert cache.stats().delta(CacheStats()).hits == 2


def test_everything_is_json(app: Flask, cache: Cache) -> None:
    with app.app_context():
        cache.memoize()(len)([1])
        written = json.loads(json.dumps(cache.stats().as_dict()))
    assert written["functions"]["len"]["misses"] == 1
    assert written["backend"]["name"] == "SimpleCache"
    assert written["hit_ratio"] == 0.0


def test_quantiles() -> None:
    latency = Latency(count=100, buckets=((0.001, 50), (0.002, 48), (0.5, 2)))
    assert (latency.p50, latency.p99, latency.quantile(0.98)) == (0.001, 0.5, 0.002)
    assert Latency().p50 is None


def test_deletions_by_function(app: Flask, cache: Cache) -> None:
    @cache.memoize()
    def function(a: int) -> int:
        return a

    @app.route("/view")
    @cache.cached()
    def view() -> str:
        return "view"

    with app.app_context():
        function(1), function(2)
        cache.delete_memoized(function), function.delete_memoized(1)
        cache.delete_memoized_verhash(function)
        cache.delete_cached(view, path="/view")
    functions = cache.stats().functions
    assert functions[function.__qualname__].deletions == 3
    assert functions[view.__qualname__].deletions == 1
    assert cache.stats().deletions == 4


def test_a_view_that_is_a_page_as_well_is_two_things(app: Flask, cache: Cache) -> None:
    @app.route("/both")
    @cache.page(timeout=60)
    @cache.cached()
    def view() -> str:
        return "view"

    for _ in range(3):
        app.test_client().get("/both")
    functions = cache.stats().functions
    hits = {name: counts.hits for name, counts in functions.items()}
    name = view.__qualname__
    assert hits == {f"{name} (page)": 2, f"{name} (view)": 0}


def in_module(module: str, name: str = "index") -> Any:
    def function(a: int) -> int:
        return a

    function.__module__, function.__qualname__ = module, name
    return function


def test_functions_of_one_name_in_several_modules_are_told_apart(app: Flask, cache: Cache) -> None:
    of_shop = cache.memoize()(in_module("shop"))
    with app.app_context():
        of_shop(1), of_shop(1)
        alone = cache.stats()
        # Imported later.
        of_blog = cache.memoize(response_filter=lambda _: False)(in_module("blog"))
        of_shop(1), of_blog(1)
        together = cache.stats()
    assert {name: counts.hits for name, counts in alone.functions.items()} == {"index": 1}
    hits = {name: counts.hits for name, counts in together.functions.items()}
    assert hits == {"shop:index": 2, "blog:index": 0}
    # What is counted in between is not that of a function that was not there.
    assert together.delta(alone).functions["shop:index"].hits == 1
    [refusal] = together.last_refusals
    assert (refusal.module, refusal.name) == ("blog", "index")


def test_processes_that_know_other_functions_are_added_up_by_what_these_are(
    app: Flask, cache: Cache
) -> None:
    kept = [cache.memoize()(in_module(module)) for module in ("shop", "blog")]
    with app.app_context():
        for function in kept:
            function(1), function(1)
    here, elsewhere = cache.stats(), _wire.read(_wire.written("elsewhere", cache.stats()))
    assert elsewhere is not None
    blog = here.functions["blog:index"]
    there = replace(elsewhere[1], functions={"index": blog})
    hits = {name: counts.hits for name, counts in here._with(there).functions.items()}
    assert hits == {"shop:index": 1, "blog:index": 2}


def test_what_nullcache_forgets_is_not_counted_as_stored(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True})

    @cache.memoize()
    def function(a: int) -> int:
        return a

    with app.app_context():
        function(1), function(1)
    stats = cache.stats()
    assert (stats.misses, stats.stored, stats.refused) == (2, 0, 2)
    assert stats.refusals == {"the backend refused it": 2}
