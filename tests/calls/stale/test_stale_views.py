"""Old answers of views that are not quite ordinary, while they are refreshed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, abort, redirect, request
from flask_caching import Cache, CachedResponse


@pytest.fixture
def app() -> Flask:
    app = Flask("tested", subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.test"
    return app


@pytest.fixture
def cache(app: Flask) -> Cache:
    kept = {
        "CACHE_STALE_WHILE_REVALIDATE": timedelta(seconds=100),
        "CACHE_STALE_IF_ERROR": timedelta(hours=1),
    }
    return Cache(app, config={"CACHE_TYPE": "SimpleCache", **kept})


def until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def generated(number: int) -> Any:
    return (part for part in ("part ", str(number)))


def missing(number: int) -> Any:
    abort(404, str(number))


VIEWS: dict[str, Callable[[int], Any]] = {
    "text": str,
    "generator": generated,
    "redirect": lambda number: redirect(f"/to/{number}"),
    "abort": missing,
    "tuple": lambda number: (str(number), 201, {"X-Number": str(number)}),
    "timed": lambda number: CachedResponse(Response(str(number)), timeout=10),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_whatever_can_be_stored_is_refreshed(
    app: Flask, cache: Cache, clock: Any, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    calls = []

    @app.get("/")
    @cache.cached(timedelta(seconds=10))
    def view() -> Any:
        calls.append(1)
        return VIEWS[kind](len(calls))

    client = app.test_client(use_cookies=False)

    def get() -> tuple[int, bytes, Any]:
        answer = client.get("/", base_url="http://example.test")
        return answer.status_code, answer.data, answer.headers.get("Location")

    first = get()
    clock.advance(11)
    assert get() == first
    until(lambda: get() != first)
    assert len(calls) == 2
    assert get()[0] == first[0]
    # What was raised is no failure.
    assert "could not be refreshed" not in caplog.text


def test_a_coroutine_function_and_a_subdomain(app: Flask, cache: Cache, clock: Any) -> None:
    pytest.importorskip("asgiref")
    calls = []
    blueprint = Blueprint("api", "api", url_prefix="/v1", subdomain="api")

    @blueprint.get("/<name>")
    @cache.cached(10, query_string=True)
    async def view(name: str) -> str:
        calls.append((request.url, request.endpoint, request.blueprint, name))
        return str(len(calls))

    app.register_blueprint(blueprint)
    client = app.test_client(use_cookies=False)

    def get() -> str:
        url = "/v1/a%2520b?q=%C3%A9&q=2"
        return client.get(url, base_url="https://api.example.test").text

    assert get() == "1"
    clock.advance(11)
    assert get() == "1"
    until(lambda: get() == "2")
    assert calls[0] == calls[1]


@pytest.mark.filterwarnings("ignore:timeout=-1 is over at once")
def test_what_never_expires_is_never_old(app: Flask, cache: Cache, clock: Any) -> None:
    calls = []

    @cache.memoize(0)
    def f() -> int:
        calls.append(1)
        return len(calls)

    @cache.memoize(-1)
    def g() -> int:
        calls.append(1)
        return len(calls)

    with app.app_context():
        assert f() == 1
        clock.advance(10**7)
        assert f() == 1
        # And what is over at once never is, either.
        assert [g(), g()] == [2, 3]
