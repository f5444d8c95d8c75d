"""Pages: requests that become others between the cache and the view, or never get to it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask, Response, request
from flask_caching import Cache
from flask_caching.testing import manual_clock
from paged import Paged
from servers import wait_until
from werkzeug.test import EnvironBuilder

LONG = 30.0


def test_a_request_that_a_hook_sends_elsewhere_is_not_the_first_ones_page() -> None:
    app = Flask("forwarding")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_PAGES_IN_FRONT": True})
    forwards = False

    @app.before_request
    def forward() -> Response | None:
        if not forwards or request.path != "/old":
            return None
        environ = {**request.environ, "PATH_INFO": "/new"}
        environ.pop("werkzeug.request", None)
        return Response.from_app(app.wsgi_app, environ)

    @app.get("/<name>")
    @cache.page(timeout=60, in_front=True)
    def page(name: str) -> str:
        return f"page {name}"

    client = app.test_client()
    assert client.get("/old").text == "page old"
    with app.app_context():
        cache.delete_page("/old")
    forwards = True
    assert client.get("/old").text == "page new"
    forwards = False
    assert client.get("/old").text == "page old"
    assert client.get("/new").headers["Cache-Status"].startswith("flask-caching; hit")


@pytest.mark.parametrize("is_mounted", [True, False])
def test_a_refresh_that_a_middleware_makes_another_request_of_fills_nothing(
    is_mounted: bool,
) -> None:
    app = Flask("tenants")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    seen: list[str] = []

    @app.get("/<path:path>")
    @cache.page(timeout=1, stale_while_revalidate=1000)
    def page(path: str) -> str:
        seen.append(path)
        return f"{request.host} {path}"

    inner: Any = app.wsgi_app

    def by_path(environ: Any, start_response: Any) -> Any:
        tenant, slash, rest = environ["PATH_INFO"].lstrip("/").partition("/")
        if slash:
            environ["HTTP_HOST"] = f"{tenant}.example"
            environ["PATH_INFO"] = f"/{rest}"
            if is_mounted:
                environ["SCRIPT_NAME"] += f"/{tenant}"
        return inner(environ, start_response)

    app.wsgi_app = by_path  # type: ignore[method-assign]
    client = app.test_client()
    with manual_clock() as clock:
        assert client.get("/acme/a/b").text == "acme.example a/b"
        clock.advance(5)
        assert client.get("/acme/a/b").text == "acme.example a/b"
        wait_until(lambda: len(seen) == 2, "the refresh")
        wait_until(lambda: cache.stats().under_way == 0, "its end")
        for _ in range(2):
            assert client.get("/acme/a/b").text == "acme.example a/b"


def test_a_refresh_that_unless_keeps_from_the_cache_is_tried_again() -> None:
    answers = [False, False, True]
    paged = Paged(
        timeout=1,
        stale_while_revalidate=1000,
        unless=lambda: bool(answers) and answers.pop(0),
    )
    with manual_clock() as clock:
        for runs in (1, 2, 3):
            assert paged.get().text == "run 1"
            wait_until(lambda runs=runs: paged.runs == runs, "the view")  # type: ignore[misc]
            wait_until(lambda: paged.cache.stats().under_way == 0, "its end")
            clock.advance(5)
        assert paged.get().text == "run 3"


def test_requests_that_a_hook_answers_run_side_by_side() -> None:
    paged = Paged(settings={"CACHE_PAGES_IN_FRONT": True}, in_front=True)
    within, leave = threading.Semaphore(0), threading.Event()
    maintained = False

    @paged.app.before_request
    def maintain() -> str | None:
        if not maintained:
            return None
        within.release()
        assert leave.wait(LONG)
        return "maintenance"

    def ask() -> threading.Thread:
        environ = EnvironBuilder("/page").get_environ()
        answer: Any = paged.app.wsgi_app
        thread = threading.Thread(target=answer, args=(environ, lambda *args: None), daemon=True)
        thread.start()
        return thread

    paged.get()
    with paged.app.app_context():
        paged.cache.clear()
    maintained = True
    with manual_clock():
        leave.set()
        ask().join(LONG)
        leave.clear()
        within.acquire()
        # That nobody fills the page counts for a second.
        threads = [ask() for _ in range(3)]
        for _ in threads:
            assert within.acquire(timeout=LONG)
        leave.set()
        for thread in threads:
            thread.join(LONG)


def test_a_timeout_that_is_none_is_said_and_the_view_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    paged = Paged()
    view: Any = paged.app.view_functions["page"]
    for timeout in (float("nan"), "x", [], 10**400):
        view.cache_timeout = timeout
        answer = paged.get()
        assert answer.status_code == 200
        assert answer.headers["Cache-Status"].endswith("detail=timeout")
    told = [record.getMessage() for record in caplog.records]
    assert [text for text in told if "its timeout cannot be had" in text]


def test_what_is_refused_changes_nothing() -> None:
    app = Flask("refused")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with pytest.raises(ValueError, match="CACHE_PAGES_IN_FRONT"):
        cache.page(in_front=True)(lambda: "a")
    with pytest.raises(ValueError, match="no request can have"):
        cache.page(query=("\ud800",))
    cache.page(timeout=5)(lambda: "b")
    with app.app_context():
        cache.delete_page("/a", query={"a": 1})
        for wrong in ({"query": 5}, {"host": 5}, {"host": b"h"}):
            with pytest.raises(TypeError, match=f"^{next(iter(wrong))} must be"):
                cache.delete_page("/a", **wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="begins with a slash"):
            cache.delete_page("http://[bad/")
