"""Pages in front of Flask."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from flask import Flask, Response, request
from flask_caching import Cache, CacheConfigError
from flask_caching.testing import manual_clock
from paged import Paged
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import EnvironBuilder

FRONT = {"CACHE_PAGES_IN_FRONT": True}


def in_front(**options: Any) -> Paged:
    return Paged(settings=FRONT, in_front=True, **options)


def test_hooks_do_not_run_for_hits() -> None:
    paged = in_front()
    seen = []
    paged.app.before_request(lambda: seen.append(request.path))

    @paged.app.after_request
    def add(response: Response) -> Response:
        response.headers.add("X-Hook", str(len(seen)))
        return response

    answers = [paged.get() for _ in range(3)]
    assert seen == ["/page"]
    # Those of the one that was stored are part of the page.
    assert [answer.headers.getlist("X-Hook") for answer in answers] == [["1"]] * 3
    assert [answer.data for answer in answers] == [b"run 1"] * 3


def test_it_is_answered_as_in_the_views_place() -> None:
    with manual_clock() as clock:
        headers = []
        for paged in (in_front(), Paged()):
            paged.get()
            clock.advance(5)
            headers.append(list(paged.get().headers))
    assert headers[0] == headers[1]


def test_conditions_and_head() -> None:
    paged = in_front()
    etag = paged.get().headers["ETag"]
    answer = paged.get(headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (304, b"")
    answer = paged.client.head("/page")
    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"", "5")
    assert paged.runs == 1


@pytest.mark.parametrize(
    "name",
    [
        "HTTP_RANGE",
        "HTTP_IF_MATCH",
        "HTTP_AUTHORIZATION",
        "HTTP_TRANSFER_ENCODING",
        "CONTENT_LENGTH",
    ],
)
def test_what_is_unusual_goes_to_flask(name: str) -> None:
    paged = in_front()
    seen = []
    paged.app.before_request(lambda: seen.append(1))
    paged.get()
    paged.get(environ_overrides={name: "3"})
    assert len(seen) == 2


def test_a_deletion_reaches_it() -> None:
    paged = in_front()
    paged.get()
    paged.cache.delete_page("/page")
    assert paged.get().data == b"run 2"


def test_who_does_not_get_as_far_as_the_view_keeps_nobody_waiting() -> None:
    paged = in_front(single_flight=True)
    refused: list[int] = []
    paged.app.before_request(lambda: ("no", 403) if refused else None)
    paged.get()
    paged.cache.clear()
    refused.append(1)
    environ = EnvironBuilder("/page").get_environ()
    # It stays, as it does with servers that note their requests.
    assert list(paged.app.wsgi_app(environ, lambda *_: print)) == [b"no"]
    assert not [name for name in environ if "caching" in name]
    refused.clear()
    assert paged.status() == "flask-caching; fwd=uri-miss; stored"


def test_other_paths_go_to_flask() -> None:
    paged = in_front()
    paged.get()
    assert paged.get("/nothing").status_code == 404


@pytest.mark.parametrize("is_late", [True, False])
def test_it_has_to_be_allowed(is_late: bool) -> None:
    app = Flask("not_allowed")
    app.config["CACHE_TYPE"] = "SimpleCache"
    cache = Cache(app) if is_late else Cache()
    decorate = cache.page(in_front=True)
    if not is_late:
        decorate(lambda: "x")
    with pytest.raises(CacheConfigError, match="CACHE_PAGES_IN_FRONT"):
        decorate(lambda: "x") if is_late else cache.init_app(app)


def test_what_changes_requests_has_to_be_around_it() -> None:
    app = Flask("wrapped")
    app.config.update(CACHE_TYPE="SimpleCache", **FRONT)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)  # type: ignore[method-assign]
    with pytest.raises(CacheConfigError, match="ProxyFix"):
        Cache(app)


def test_a_host_behind_a_proxy_is_part_of_the_page() -> None:
    paged = in_front()
    app: Any = paged.app
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)
    hosts = ["one.example", "two.example", "one.example"]
    answers = [paged.get(headers={"X-Forwarded-Host": host}).data for host in hosts]
    assert answers == [b"run 1", b"run 2", b"run 1"]


def test_a_second_setup_keeps_the_front() -> None:
    paged = in_front()
    front = paged.app.wsgi_app
    paged.cache.init_app(paged.app)
    assert paged.app.wsgi_app is front


def test_a_page_that_was_not_made_in_this_process() -> None:
    # The next process has the store and no table: it enters Flask once.
    paged = in_front()
    paged.get()
    other = in_front()
    other.app.extensions["cache"][other.cache] = paged.app.extensions["cache"][paged.cache]
    first, second = other.get(), other.get()
    assert (first.data, second.data, other.runs) == (b"run 1", b"run 1", 0)
    assert first.headers["Cache-Status"].startswith("flask-caching; hit")


@pytest.mark.parametrize("length", [10, 1000])
def test_paths_are_remembered_within_bounds(length: int) -> None:
    paged = in_front()
    paged.get()
    front: Any = paged.app.wsgi_app
    paths = next(it for it in gc.get_referents(front) if type(it) is dict and "/page" in it)
    road, most = paths["/page"], 0
    for number in range(21_000):
        front.learn(f"/{number:0{length}}", road)
        most = max(most, len(paths))
    assert 4000 < most <= min(20_000, (4 << 20) // length)
