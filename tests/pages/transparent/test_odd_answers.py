"""Pages of odd answers and to odd requests: each is that of the application without the cache."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Flask, Response, abort, make_response, request, session
from flask_caching import Cache
from werkzeug.exceptions import Gone
from werkzeug.test import EnvironBuilder, run_wsgi_app

STORE = {"CACHE_TYPE": "SimpleCache", "CACHE_PAGES_IN_FRONT": True}
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

    def ask(self, times: int = 3, path: str = "/x", body: bytes = b"", **environ: Any) -> str:
        """Ask both for the same as often: what ``Cache-Status`` says in the end.

        :param times: how often.
        :param body: what follows, where the environment says so.
        :param environ: what the environment of a request has beside the usual.
        """
        for _ in range(times):
            answers, said = [], ""
            for app in (self.cached, self.plain):
                asked = {**EnvironBuilder(path).get_environ(), "wsgi.input": BytesIO(body)}
                asked.update(environ)
                # Not by a client, which reads no body where there must not be one.
                sent, status, headers = run_wsgi_app(app.wsgi_app, asked, buffered=True)
                said = headers.get("Cache-Status", said)
                kept = sorted(pair for pair in headers if pair[0] not in ADDED)
                answers.append((status, kept, b"".join(sent)))
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
    both = Both(of_view(lambda: Response({"a": 1, "b": 2})), STORE, in_front)
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


def kept() -> Callable[[Flask, Any], object]:
    """An application whose view returns one response again and again."""
    response = Response("kept " * 100)
    return of_view(lambda: response)


@pytest.mark.parametrize("condition", [{}, {"HTTP_IF_NONE_MATCH": "*"}], ids=["", "conditional"])
@pytest.mark.parametrize("compress", [(), ("gzip",)], ids=["plain", "compressed"])
def test_a_response_that_a_view_keeps_stays_its_own(
    in_front: bool, condition: dict[str, str], compress: Any
) -> None:
    asked = {"HTTP_ACCEPT_ENCODING": "gzip", **condition}
    for path in ("/x?a", "/x?b"):
        both = Both(kept(), STORE, in_front, compress=compress)
        run_wsgi_app(both.cached.wsgi_app, {**EnvironBuilder("/x").get_environ(), **asked})
        assert both.ask(path=path).startswith("hit")


def test_a_response_that_a_view_changes_has_no_old_entity_tag(in_front: bool) -> None:
    response = Response("first")

    def view() -> Response:
        response.set_data(request.args.get("text", "first"))
        return response

    both = Both(of_view(view), STORE, in_front)
    assert both.ask().startswith("hit")
    etag = both.cached.test_client().get("/x").headers["ETag"]
    assert both.ask(1, "/x?text=second", HTTP_IF_NONE_MATCH=etag) == "fwd=uri-miss; stored"
    assert both.ask(1, "/x?text=second", HTTP_IF_NONE_MATCH=etag).startswith("hit")


def test_decorators_around_a_page_see_its_errors(store: dict[str, Any], in_front: bool) -> None:
    handled: list[str] = []

    def caught(view: Any) -> Any:
        def decorated() -> Any:
            try:
                return view()
            except Gone as error:
                return f"caught {error.description}"

        return decorated

    def set_up(app: Flask, page: Any) -> None:
        def view() -> None:
            abort(int(request.args["status"]), description="why")

        def handle(error: Any) -> Any:
            handled.append(error.description)
            return f"handled {error.description}", error.code

        app.register_error_handler(404, handle)
        app.register_error_handler(410, handle)
        app.add_url_rule("/x", "x", caught(page(view)))

    both = Both(set_up, store, in_front)
    assert both.ask(path="/x?status=410") == "fwd=uri-miss; detail=replaced"
    assert handled == []
    assert both.ask(path="/x?status=404").startswith("hit")
    assert handled == ["why"] * 4


@pytest.mark.parametrize(
    ("read", "detail"),
    [
        (lambda: request.remote_addr, "address-read"),
        (lambda: request.cookies.get("a"), "cookies-read"),
        # What Flask itself says of that depends on its version.
        (lambda: session.get("a"), "session vary-cookie"),
    ],
    ids=["address", "cookie", "session"],
)
def test_what_answers_an_error_is_noted_as_the_view_is(
    in_front: bool, read: Callable[[], Any], detail: str
) -> None:
    def set_up(app: Flask, page: Any) -> None:
        app.secret_key = "secret"
        app.register_error_handler(404, lambda error: (f"not for {read()}", 404))
        app.add_url_rule("/x", "x", page(lambda: abort(404)))

    both = Both(set_up, STORE, in_front)
    for visitor in ("1", "2"):
        said = both.ask(1, REMOTE_ADDR=visitor, HTTP_COOKIE=f"a={visitor}")
        assert said.removeprefix("fwd=uri-miss; detail=") in detail.split()


@pytest.mark.parametrize("handles", [True, False])
def test_an_error_of_the_handler_is_that_of_the_view(in_front: bool, handles: bool) -> None:
    def set_up(app: Flask, page: Any) -> None:
        def handle(error: Any) -> None:
            raise ValueError("handler")

        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.config["TRAP_HTTP_EXCEPTIONS"] = not handles
        if handles:
            app.register_error_handler(404, handle)
        app.add_url_rule("/x", "x", page(lambda: abort(404)))

    assert Both(set_up, STORE, in_front).ask() == "fwd=uri-miss"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("If-None-Match", '"mine"'),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("If-Range", '"mine"'),
    ],
)
def test_what_is_said_to_who_has_something_is_for_nobody_else(
    in_front: bool, name: str, value: str
) -> None:
    """As only what is new since then."""
    both = Both(of_view(lambda: f"since {request.headers.get(name)}"), STORE, in_front)
    condition = {f"HTTP_{name.upper().replace('-', '_')}": value}
    assert both.ask(**condition) == "fwd=uri-miss; detail=condition-read"
    assert both.ask().startswith("hit")


@pytest.mark.parametrize(
    "read",
    [
        lambda: request.get_data(as_text=True),
        lambda: request.get_data(cache=False, as_text=True),
        lambda: str(request.get_json(force=True, silent=True)),
        lambda: str(dict(request.form)),
    ],
    ids=["data", "stream", "json", "form"],
)
def test_a_body_whose_length_nobody_says(in_front: bool, read: Callable[[], str]) -> None:
    """As servers hand them on that speak HTTP/2."""
    both = Both(of_view(read), STORE, in_front)
    end = {"wsgi.input_terminated": True, "CONTENT_TYPE": "application/x-www-form-urlencoded"}
    for body in (b'{"a": 1}', b"a=1"):
        assert "stored" not in both.ask(1, body=body, **end)
    assert both.ask(**end).startswith(("hit", "fwd=uri-miss; detail=request-body"))
    assert both.ask().startswith("hit")
