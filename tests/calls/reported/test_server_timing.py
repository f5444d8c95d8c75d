"""``Server-Timing``: what the cache did for a response, in debug mode."""

from __future__ import annotations

import asyncio
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response, copy_current_request_context, render_template_string
from flask_caching import Cache
from flask_caching.testing import manual_clock

SHAPE = re.compile(r'cache;desc="([^"]+)";dur=[0-9.e-]+')


@pytest.fixture(params=["SimpleCache", "RedisCache"])
def application(request: pytest.FixtureRequest) -> tuple[Flask, Cache]:
    config = {"CACHE_TYPE": request.param}
    if request.param == "RedisCache":
        server: Any = request.getfixturevalue("redis_server")
        server.admin.flushall()
        config["CACHE_REDIS_PORT"] = server.port
    app = Flask("timed")
    app.debug = True
    return app, Cache(app, config=config)


def said(app: Flask, path: str = "/") -> str:
    """What the header says of one response."""
    response = app.test_client().get(path)
    [header] = response.headers.getlist("Server-Timing")
    match = SHAPE.fullmatch(header)
    assert match, header
    return match[1]


def test_it_counts_what_was_asked_for_this_response(application: tuple[Flask, Cache]) -> None:
    app, cache = application

    @cache.memoize()
    def double(number: int) -> int:
        return number * 2

    @app.get("/")
    def view() -> str:
        return render_template_string(
            "{{ sum }}{% cache 60, 'part' %}part{% endcache %}",
            sum=sum(double(number) for number in (1, 2, 1)),
        )

    @app.get("/cached")
    @cache.cached()
    def cached() -> str:
        return str(double(2))

    @app.get("/idle")
    def idle() -> str:
        return ""

    assert said(app) == "1 hit, 3 misses"
    assert said(app) == "4 hits"
    assert said(app, "/cached") == "1 hit, 1 miss"
    assert said(app, "/cached") == "1 hit"
    assert said(app, "/idle") == "not asked"
    assert said(app, "/nowhere") == "not asked"


def test_it_says_how_long_the_cache_took(application: tuple[Flask, Cache]) -> None:
    app, cache = application

    @app.get("/")
    @cache.cached()
    def view() -> str:
        return ""

    header = app.test_client().get("/").headers["Server-Timing"]
    assert float(header.partition("dur=")[2]) > 0


def test_old_answers_are_told_apart() -> None:
    app = Flask("timed")
    app.debug = True
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @app.get("/")
    @cache.cached(10, stale_while_revalidate=60)
    def view() -> str:
        return ""

    with manual_clock() as clock:
        assert said(app) == "1 miss"
        clock.advance(20)
        assert said(app) == "1 stale"


def test_requests_at_once_are_told_apart(application: tuple[Flask, Cache]) -> None:
    app, cache = application
    both = threading.Barrier(2)

    @cache.memoize()
    def double(number: int) -> int:
        return number * 2

    @app.get("/<int:first>/<int:count>")
    def view(first: int, count: int) -> str:
        both.wait(60)
        for number in range(count):
            double(first + number)
        both.wait(60)
        return ""

    with ThreadPoolExecutor(2) as threads:
        ways = ["/0/3", "/100/7"]
        assert list(threads.map(lambda path: said(app, path), ways)) == ["3 misses", "7 misses"]


def test_threads_of_a_request_count_for_it(application: tuple[Flask, Cache]) -> None:
    app, cache = application

    @cache.memoize()
    def double(number: int) -> int:
        return number * 2

    @app.get("/")
    def view() -> str:
        with ThreadPoolExecutor(4) as threads:
            for number in range(20):
                threads.submit(copy_current_request_context(double), number)
        return ""

    assert said(app) == "20 misses"
    assert said(app) == "20 hits"


def test_coroutines_count_for_their_request(application: tuple[Flask, Cache]) -> None:
    app, cache = application

    @cache.memoize()
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    @app.get("/")
    async def view() -> str:
        await asyncio.gather(*(double(number) for number in range(5)))
        return ""

    assert said(app) == "5 misses"
    assert said(app) == "5 hits"


def test_outside_debug_mode_there_is_none(app: Flask, cache: Cache) -> None:
    double = cache.memoize()(lambda number: number * 2)

    @app.get("/")
    def view() -> str:
        return str(double(1))

    assert "Server-Timing" not in app.test_client().get("/").headers
    assert app.after_request_funcs == {}
    assert "process_response" not in vars(app)


def test_two_caches_are_one_entry() -> None:
    app = Flask("two")
    app.debug = True
    caches = [Cache(app, config={"CACHE_TYPE": "SimpleCache"}) for _ in range(2)]
    doubles = [cache.memoize()(lambda number: number * 2) for cache in caches]

    @app.get("/")
    def view() -> str:
        return str([double(1) for double in doubles])

    assert said(app) == "2 misses"


def test_what_the_application_says_of_its_own_stays(app: Flask, cache: Cache) -> None:
    app.debug = True

    @app.get("/")
    def view() -> tuple[str, dict[str, str]]:
        return "", {"Server-Timing": "db;dur=53"}

    values = app.test_client().get("/").headers.getlist("Server-Timing")
    assert values == ["db;dur=53", 'cache;desc="not asked";dur=0']


def test_what_is_asked_explicitly_counts(application: tuple[Flask, Cache]) -> None:
    app, cache = application
    cache.set_many({"a": 1, "b": 2})

    @app.get("/")
    def view() -> str:
        found = [cache.get("a"), cache.get("none"), *cache.get_many("a", "b", "none")]
        cache.get_dict("a", "none")
        cache.set("c", 3)
        return str(found)

    assert said(app) == "4 hits, 3 misses"


def test_a_get_of_the_applications_own_counts_once() -> None:
    class Own(Cache):
        def get(self, *args: Any, **kwargs: Any) -> Any:
            return super().get(*args, **kwargs)

    app = Flask("timed")
    app.debug = True
    cache = Own(app, config={"CACHE_TYPE": "SimpleCache"})

    @app.get("/")
    @cache.cached()
    def view() -> str:
        return ""

    assert said(app) == "1 miss"
    assert said(app) == "1 hit"


@pytest.mark.parametrize("in_front", [False, True], ids=["in Flask", "in front"])
def test_pages_say_what_each_answer_took(application: tuple[Flask, Cache], in_front: bool) -> None:
    _, other = application
    app = Flask("paged")
    app.debug = True
    cache = Cache(app, config={**(other.config or {}), "CACHE_PAGES_IN_FRONT": in_front})

    @app.get("/")
    @cache.page(60, in_front=in_front)
    def view() -> str:
        return "A page."

    assert said(app) == "1 miss"
    assert said(app) == "1 hit"
    assert said(app) == "1 hit"
    cache.delete_page("/")
    assert said(app) == "1 miss"


def test_errors_streams_and_other_responses_of_hooks_say_it_too(
    application: tuple[Flask, Cache],
) -> None:
    app, cache = application
    app.config["PROPAGATE_EXCEPTIONS"] = False
    # In debug mode, Flask 2.1 would keep it for its debugger, and for the tests that follow.
    app.config["PRESERVE_CONTEXT_ON_EXCEPTION"] = False
    double = cache.memoize()(lambda number: number * 2)

    @app.after_request
    def replace(response: Response) -> Response:
        return Response("replaced") if response.status_code == 202 else response

    @app.get("/<int:status>")
    def view(status: int) -> Any:
        double(status)
        return "", status

    @app.get("/stream")
    def stream() -> Response:
        double(1)
        return Response(str(number) for number in range(3))

    @app.get("/error")
    def error() -> None:
        double(1)
        raise ValueError("of a test")

    assert said(app, "/202") == "1 miss"
    assert said(app, "/404") == "1 miss"
    assert said(app, "/stream") == "1 miss"
    assert said(app, "/error") == "1 hit"
    assert app.test_client().get("/error").status_code == 500
