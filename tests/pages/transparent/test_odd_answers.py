"""Pages of odd answers and to odd requests: each is that of the application without the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, make_response
from flask_caching import Cache
from werkzeug.test import EnvironBuilder, run_wsgi_app

#: What a cache adds.
ADDED = {"Age", "Cache-Status", "Date", "ETag", "Vary"}


@pytest.fixture(params=[True, False], ids=["in_front", "in_place"])
def in_front(request: pytest.FixtureRequest) -> bool:
    flag: bool = request.param
    return flag


class Both:
    """An application with pages, and the same without.

    :param set_up: gives an application its routes, of which some are decorated with what it is
        handed.
    """

    def __init__(
        self,
        set_up: Callable[[Flask, Any], object],
        store: dict[str, Any],
        in_front: bool,
        **options: Any,
    ) -> None:
        self.cached, self.plain = Flask("odd"), Flask("odd")
        self.cached.config.update(store)
        self.cache = Cache(self.cached)
        set_up(self.cached, self.cache.page(timeout=60, in_front=in_front, **options))
        set_up(self.plain, lambda view: view)

    def ask(self, times: int = 3, path: str = "/x", **environ: Any) -> str:
        """Ask both for the same as often: what ``Cache-Status`` says in the end.

        :param times: how often.
        :param environ: what the environment of a request has beside the usual.
        """
        for _ in range(times):
            answers, said = [], ""
            for app in (self.cached, self.plain):
                asked = {**EnvironBuilder(path).get_environ(), **environ}
                # Not by a client, which reads no body where there must not be one.
                body, status, headers = run_wsgi_app(app.wsgi_app, asked, buffered=True)
                said = headers.get("Cache-Status", said)
                kept = sorted(pair for pair in headers if pair[0] not in ADDED)
                answers.append((status, kept, b"".join(body)))
            assert answers[0] == answers[1]
        return said.removeprefix("flask-caching; ")


def of_view(view: Callable[[], Any]) -> Callable[[Flask, Any], object]:
    """An application whose path ``/x`` is a page."""
    return lambda app, page: app.add_url_rule("/x", "x", page(view))


def without_a_type() -> Response:
    response = make_response("text")
    del response.headers["Content-Type"]
    return response


@pytest.mark.parametrize(
    "view",
    [
        lambda: ("a body that is not sent", 204),
        lambda: ("long " * 1000, 204, {"Content-Type": "application/json"}),
        without_a_type,
        lambda: Response(("a", "b")),
    ],
    ids=["no content", "no content, compressed", "no type", "tuple"],
)
@pytest.mark.parametrize("compress", [(), ("gzip",)], ids=["plain", "compressed"])
def test_odd_answers(
    view: Callable[[], Any], store: dict[str, Any], in_front: bool, compress: Any
) -> None:
    both = Both(of_view(view), store, in_front, compress=compress)
    for method in ("GET", "HEAD"):
        said = both.ask(REQUEST_METHOD=method, HTTP_ACCEPT_ENCODING="gzip")
    assert said.startswith("hit")


def test_a_body_of_a_kind_that_nobody_knows_is_streamed(in_front: bool) -> None:
    store = {"CACHE_TYPE": "SimpleCache", "CACHE_PAGES_IN_FRONT": True}
    both = Both(of_view(lambda: Response({"a": 1, "b": 2})), store, in_front)
    assert both.ask() == "fwd=uri-miss; detail=streamed"


@pytest.mark.parametrize("has_route", [True, False])
def test_a_websocket_is_no_page(store: dict[str, Any], in_front: bool, has_route: bool) -> None:
    def set_up(app: Flask, page: Any) -> None:
        app.add_url_rule("/x", "page", page(lambda: "page"))
        if has_route:
            app.add_url_rule("/x", "socket", page(lambda: "socket"), websocket=True)

    both = Both(set_up, store, in_front)
    for protocol in ("WebSocket", "h2c"):
        assert both.ask().startswith("hit")
        said = both.ask(HTTP_CONNECTION="keep-alive, Upgrade", HTTP_UPGRADE=protocol)
        if protocol == "h2c":
            assert said.startswith("hit")
        else:
            assert said == ("fwd=bypass; detail=upgrade" if has_route else "")
