"""Old values that are answered while they are refreshed, or where that fails."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time

import pytest
from flask import Flask, Response, abort, g, request
from flask_caching import Cache, cache_stale


@pytest.fixture(params=["SimpleCache", "FileSystemCache"])
def cache(request, tmp_path):
    app = Flask(__name__)
    app.secret_key = "secret"
    config = {"CACHE_TYPE": request.param, "CACHE_ENABLE_SIGNALS": True}
    if request.param == "FileSystemCache":
        config["CACHE_DIR"] = str(tmp_path)
    return Cache(app, config=config)


def until(condition):
    """Wait for another thread; a broken one fails the test, and nothing else depends on time."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Source:
    """Counts, waits where it is told to, and fails where it is told to."""

    def __init__(self):
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()
        self.error = None

    def __call__(self):
        self.calls += 1
        number = self.calls
        assert self.gate.wait(60)
        if self.error:
            raise self.error
        return number


def test_an_old_value_is_answered_while_one_refresh_runs(cache, clock):
    source = Source()

    @cache.memoize(10, stale_while_revalidate=20)
    def f(name):
        return source()

    with cache.app.app_context():
        assert f("a") == f("a") == 1
        clock.advance(15)
        source.gate.clear()
        assert [f("a") for _ in range(5)] == [1] * 5
        source.gate.set()
        until(lambda: f("a") == 2)
        assert source.calls == 2
        clock.advance(31)
        assert f("a") == 3


def test_without_the_options_a_value_ends_with_its_timeout(cache, clock):
    source = Source()
    f = cache.memoize(10)(lambda: source())
    with cache.app.app_context():
        assert f() == 1
        clock.advance(11)
        assert f() == 2


def test_an_old_value_stands_where_a_generator_fails_half_way(cache, clock):
    source = Source()

    @cache.memoize(10, stale_if_error=20)
    def f():
        yield "a"
        yield str(source())

    with cache.app.app_context():
        assert f() == "a1"
        source.error = OSError("no luck")
        clock.advance(15)
        assert f() == "a1"
        source.error = None
        clock.advance(10)
        assert f() == "a3"


def test_a_get_finds_no_old_value(cache, clock):
    source = Source()
    f = cache.memoize(10, stale_if_error=20)(lambda: source())
    with cache.app.app_context():
        f()
        key = f.make_cache_key(f.uncached)
        assert cache.get(key) == 1
        clock.advance(11)
        assert cache.get(key) is None
        assert not cache.has(key)
        assert cache.get_many(key) == [None]
        assert cache.add(key, "new")
        assert cache.get(key) == "new"


def test_where_a_function_fails_its_old_value_stands(cache, clock, caplog):
    source = Source()

    @cache.memoize(10, stale_if_error=20)
    def f():
        return source()

    with cache.app.app_context():
        assert f() == 1
        clock.advance(11)
        source.error = ValueError("down")
        assert f() == 1
        assert f() == 1
        # The second call did not try again.
        assert source.calls == 2
        clock.advance(1.5)
        assert f() == 1
        assert source.calls == 3
        assert len([r for r in caplog.records if "down" in r.getMessage()]) == 1
        source.error = None
        clock.advance(1.5)
        assert f() == 4
        clock.advance(31)
        source.error = ValueError("down")
        with pytest.raises(ValueError, match="down"):
            f()


def test_a_refresh_that_fails_is_logged_and_tried_later(cache, clock, caplog):
    source = Source()

    @cache.memoize(10, stale_while_revalidate=100)
    def f():
        return source()

    with cache.app.app_context():
        assert f() == 1
        clock.advance(11)
        source.error = ValueError("down")
        assert f() == 1
        until(lambda: caplog.records)
        assert "f could not be refreshed: ValueError: down" in caplog.text
        assert f() == 1
        assert source.calls == 2
        source.error = None
        clock.advance(1.5)
        until(lambda: f() == 3)


def test_a_deletion_during_a_refresh_wins(cache, clock):
    source = Source()

    @cache.memoize(10, stale_while_revalidate=100, tags=["t"])
    def f():
        return source()

    for number, delete in enumerate(
        (
            lambda: cache.delete_memoized(f),
            lambda: cache.delete_tags("t"),
            lambda: cache.clear(),
        )
    ):
        with cache.app.app_context():
            before = f()
            clock.advance(11)
            source.gate.clear()
            calls = source.calls
            assert f() == before
            # The refresh before may not quite be over.
            until(lambda calls=calls: (f(), source.calls > calls)[1])
            delete()
            source.gate.set()
            assert f() == before + 2, number


def test_a_signal_and_a_header_tell_an_old_answer(cache, clock):
    heard = []

    def hear(sender, **more):
        heard.append(more)

    cache_stale.connect(hear)
    cache.app.add_url_rule(
        "/",
        view_func=cache.cached(10, stale_while_revalidate=100, response_hit_indication=True)(
            lambda: "page"
        ),
        endpoint="page",
    )
    client = cache.app.test_client()
    assert "hit_cache" not in client.get("/").headers
    assert client.get("/").headers["hit_cache"] == "True"
    clock.advance(11)
    assert client.get("/").headers["hit_cache"] == "stale"
    assert [more["cache_key"] for more in heard] == ["view//"]


def test_a_view_is_refreshed_for_a_stranger(cache, clock):
    seen = []
    gone = threading.Event()
    cache.app.teardown_request(lambda error: gone.set())

    @cache.app.before_request
    def before():
        g.before = True

    @cache.app.get("/<name>")
    @cache.cached(10, stale_while_revalidate=100, query_string=True)
    def page(name):
        assert g.before
        seen.append(
            (
                name,
                request.method,
                request.url,
                request.cookies.get("me"),
                request.headers.get("Authorization"),
                request.headers.get("X-Mine"),
                request.data,
            )
        )
        return f"{name} {len(seen)}"

    client = cache.app.test_client(use_cookies=False)
    url = "/a%20b?x=%C3%A9&y=1"
    mine = {"Authorization": "Basic eDp5", "X-Mine": "1", "Cookie": "me=1"}

    def get():
        return client.get(url, base_url="https://example.test", headers=mine).text

    assert get() == "a b 1"
    clock.advance(11)
    gone.clear()
    assert get() == "a b 1"
    until(lambda: get() == "a b 2")
    assert seen[1] == ("a b", "GET", seen[0][2], None, None, None, b"")
    assert seen[0][3] == "1"
    assert gone.wait(60)


@pytest.mark.parametrize("fails", ["raises", "aborts", "returns", "responds"])
def test_a_view_that_fails_answers_its_old_page(cache, clock, fails):
    broken = False

    @cache.app.get("/")
    @cache.cached(10, stale_if_error=100)
    def page():
        if not broken:
            return "page"
        if fails == "raises":
            raise ValueError
        if fails == "aborts":
            abort(503)
        return ("oh", 500) if fails == "returns" else Response("oh", 502)

    client = cache.app.test_client(use_cookies=False)
    assert client.get("/").text == "page"
    clock.advance(11)
    broken = True
    for _ in range(2):
        answer = client.get("/")
        assert (answer.status_code, answer.text) == (200, "page")
    clock.advance(1.5)
    broken = False
    assert client.get("/").text == "page"


def test_a_view_of_one_visitor_is_not_refreshed_as_a_strangers(cache, clock):
    @cache.app.get("/")
    @cache.cached(
        10, stale_while_revalidate=100, make_cache_key=lambda: request.cookies.get("me", "nobody")
    )
    def page():
        return request.cookies.get("me", "nobody") + str(next(numbers))

    numbers = iter(range(100))
    client = cache.app.test_client(use_cookies=False)

    def get():
        return client.get("/", headers={"Cookie": "me=ann"}).text

    assert get() == "ann0"
    clock.advance(11)
    assert get() == "ann0"
    # Nobody else can compute it: a caller does.
    until(lambda: get() == "ann1")
    with cache.app.app_context():
        assert cache.get("nobody") is None


def test_where_there_are_no_threads_one_caller_refreshes(clock):
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_REFRESH_WORKERS": 0})
    source = Source()
    f = cache.memoize(10, stale_while_revalidate=100)(lambda: source())
    with app.app_context():
        assert f() == 1
        clock.advance(11)
        assert f() == 2
        clock.advance(11)
        source.error = ValueError("down")
        assert f() == 2


def test_the_application_has_defaults(clock):
    app = Flask(__name__)
    config = {"CACHE_TYPE": "SimpleCache", "CACHE_STALE_IF_ERROR": 100, "CACHE_JITTER": 0.0}
    cache = Cache(app, config=config)
    source = Source()

    @cache.memoize(10)
    def f():
        return source()

    @cache.memoize(10, stale_if_error=0)
    def other():
        return source()

    with app.app_context():
        assert (f(), other()) == (1, 2)
        clock.advance(11)
        source.error = ValueError("down")
        assert f() == 1
        with pytest.raises(ValueError, match="down"):
            other()


def test_jitter_shortens_lifetimes(cache, clock):
    calls = []
    f = cache.memoize(100, jitter=0.5)(lambda n: calls.append(n) or n)
    with cache.app.app_context():
        for n in range(50):
            f(n)
        clock.advance(49)
        for n in range(50):
            f(n)
        assert len(calls) == 50
        clock.advance(26)
        for n in range(50):
            f(n)
        assert 50 < len(calls) < 100


def test_an_async_function_is_refreshed_too(cache, clock):
    import asyncio

    source = Source()

    @cache.memoize(10, stale_while_revalidate=100)
    async def f():
        return source()

    async def call():
        return await f()

    with cache.app.app_context():
        assert asyncio.run(call()) == 1
        clock.advance(11)
        assert asyncio.run(call()) == 1
        until(lambda: asyncio.run(call()) == 2)


def test_a_child_has_threads_of_its_own(cache, clock):
    source = Source()
    f = cache.memoize(10, stale_while_revalidate=100)(lambda: source())
    with cache.app.app_context():
        assert f() == 1
        clock.advance(11)
        f()
        until(lambda: f() == 2)
        clock.advance(11)
        child = os.fork()
        if not child:
            status = 1
            try:
                assert f() == 2
                until(lambda: f() == 3)
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0


def test_what_makes_no_sense_is_refused(cache):
    for options in (
        {"stale_while_revalidate": -1},
        {"stale_while_revalidate": "soon"},
        {"stale_if_error": float("nan")},
        {"jitter": 2},
        {"jitter": True},
        {"jitter": "0.1"},
        {"tags": "user"},
        {"tags": [1]},
    ):
        for decorator in (cache.cached, cache.memoize):
            with pytest.raises(TypeError):
                decorator(10, **options)
    for name in ("CACHE_STALE_IF_ERROR", "CACHE_JITTER", "CACHE_REFRESH_WORKERS"):
        with pytest.raises(ValueError, match=name):
            Cache(Flask("other"), config={"CACHE_TYPE": "SimpleCache", name: -1})


def test_what_failed_on_a_backend_that_is_gone_is_tried_on_others(tmp_path, clock, caplog):
    # What is logged keeps the error, and so all that was called.
    caplog.set_level(logging.CRITICAL, "flask_caching")
    addresses = set()
    while True:
        app = Flask(__name__)
        config = {"CACHE_TYPE": "FileSystemCache", "CACHE_STALE_RETRY": 3600}
        cache = Cache(app, config=config | {"CACHE_DIR": str(tmp_path / str(len(addresses)))})
        source = Source()
        view = cache.cached(timeout=10, key_prefix="key", stale_if_error=100)(source)
        with app.app_context():
            assert view() == 1
            source.error = OSError("down")
            clock.advance(11)
            assert view() == view() == 1
            assert source.calls == 2
            # Until a backend is where there was another, which does not take long.
            if id(cache.cache) in addresses:
                break
            addresses.add(id(cache.cache))
        del app, cache, source, view
        gc.collect()
        assert len(addresses) < 100
