"""Pages: which answers are stored, for how long, and what is said of it."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any

import pytest
from cachelib.serializers import JSONSerializer
from flask import (
    Flask,
    Response,
    abort,
    after_this_request,
    make_response,
    request,
    request_finished,
    send_file,
    session,
)
from flask_caching import Cache
from flask_caching.testing import manual_clock
from paged import Paged


def with_headers(*headers: tuple[str, str]) -> Callable[[int], Response]:
    def view(run: int) -> Response:
        response = make_response(f"run {run}")
        for header in headers:
            response.headers.add(*header)
        return response

    return view


def test_a_page_is_answered_as_it_was() -> None:
    paged = Paged(with_headers(("X-B", "2"), ("X-A", "1"), ("X-B", "3")))
    first, second = paged.get(), paged.get()
    assert (first.data, second.data, paged.runs) == (b"run 1", b"run 1", 1)
    own = [pair for pair in second.headers if pair[0].startswith("X-")]
    assert own == [("X-B", "2"), ("X-A", "1"), ("X-B", "3")]
    assert first.headers["ETag"] == second.headers["ETag"]
    assert first.headers["Cache-Status"] == "flask-caching; fwd=uri-miss; stored"


def test_age_and_status_say_how_old_it_is() -> None:
    with manual_clock() as clock:
        paged = Paged()
        paged.get()
        clock.advance(12)
        answer = paged.get()
        assert answer.headers["Age"] == "12"
        assert answer.headers["Cache-Status"] == "flask-caching; hit; ttl=48"
        clock.advance(48)
        assert paged.get().data == b"run 2"


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ([("Set-Cookie", "a=b")], "set-cookie"),
        ([("Vary", "*")], "vary-star"),
        ([("Vary", "Accept, Cookie")], "vary-cookie"),
        ([("Cache-Control", "no-store")], "no-store"),
        ([("Cache-Control", "max-age=5, Private")], "private"),
        ([("Cache-Control", 'no-cache="x,y"')], "no-cache"),
        ([("Cache-Control", "max-age=5; private")], "private"),
        ([("X-Name", "\u20ac")], "not-latin-1"),
        ([("Cache-Control", "max-age=0")], "stale"),
        ([("Cache-Control", "max-age=soon")], "stale"),
        ([("Cache-Control", "s-maxage=0, max-age=9")], "stale"),
        ([("Expires", "0")], "stale"),
        ([("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")], "stale"),
    ],
)
def test_what_is_one_visitors_is_never_stored(
    headers: list[tuple[str, str]], detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    paged = Paged(with_headers(*headers))
    with caplog.at_level(logging.WARNING, "flask_caching"):
        assert not paged.is_stored()
    assert paged.status() == f"flask-caching; fwd=uri-miss; detail={detail}"
    assert len([record for record in caplog.records if detail in record.getMessage()]) == 1


@pytest.mark.parametrize("status", [201, 206, 302, 400, 403, 500, 503])
def test_other_statuses_are_not_stored(status: int) -> None:
    assert not Paged(lambda run: ("x", status)).is_stored()


@pytest.mark.parametrize(
    ("status", "request_", "why"),
    [
        (206, {}, "status"),
        (500, {}, "status"),
        (200, {"method": "POST"}, "method"),
        (200, {"headers": {"Range": "bytes=0-1"}}, "range"),
        (200, {"headers": {"If-Match": "*"}}, "if-match"),
        (200, {"data": b"fat"}, "request-body"),
    ],
)
def test_what_is_usual_is_said_once_and_not_as_a_warning(
    status: int, request_: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    paged = Paged(lambda run: ("x", status))
    paged.app.add_url_rule("/page", view_func=paged.app.view_functions["page"], methods=["POST"])
    with caplog.at_level(logging.INFO, "flask_caching"):
        for _ in range(2):
            said = paged.client.open("/page", **request_).headers["Cache-Status"]
            assert said.endswith(f"detail={why}")
    assert [(it.levelno, why in it.getMessage()) for it in caplog.records] == [(logging.INFO, True)]


@pytest.mark.parametrize("status", [200, 203, 300, 404, 410])
def test_statuses_that_are_stored(status: int) -> None:
    paged = Paged(lambda run: ("x", status))
    assert paged.is_stored()
    assert paged.get().status_code == status


def test_how_long_is_said_by_the_answer_first() -> None:
    with manual_clock() as clock:
        paged = Paged(with_headers(("Cache-Control", "max-age=5, s-maxage=100")), timeout=10)
        paged.get()
        clock.advance(99)
        assert paged.get().headers["Cache-Status"] == "flask-caching; hit; ttl=1"
        clock.advance(2)
        assert paged.get().data == b"run 2"


def test_a_page_for_ever_has_no_ttl() -> None:
    paged = Paged(timeout=0)
    paged.get()
    assert paged.status() == "flask-caching; hit"


def read_session(run: int) -> str:
    return session.get("name", "nobody")


def write_session(run: int) -> str:
    session["name"] = "x"
    return "written"


def read_cookie(run: int) -> str:
    return request.cookies.get("theme", "none")


def this_request(run: int) -> str:
    @after_this_request
    def change(response: Response) -> Response:
        response.headers["X-Run"] = str(run)
        return response

    return "x"


def closing(run: int) -> Response:
    response = make_response("x")
    response.call_on_close(lambda: None)
    return response


def generated(run: int) -> Response:
    return Response(part for part in ("a", str(run)))


def file(run: int) -> Response:
    return send_file(io.BytesIO(b"content"), mimetype="text/plain")


@pytest.mark.parametrize(
    "view", [read_session, write_session, read_cookie, this_request, closing, generated, file]
)
def test_surprises_behave_as_without_the_cache(view: Callable[[int], Any]) -> None:
    paged = Paged(view)
    headers = {"Cookie": "theme=dark"}
    assert not paged.is_stored(headers=headers)
    assert "Age" not in paged.get(headers=headers).headers


def test_a_hook_may_make_it_one_visitors() -> None:
    paged = Paged()

    @paged.app.after_request
    def set_cookie(response: Response) -> Response:
        response.set_cookie("a", "b")
        return response

    assert not paged.is_stored()


def test_named_cookies_are_part_of_the_page() -> None:
    paged = Paged(read_cookie, cookies=("theme",))
    for theme in ("dark", "light", "dark"):
        answer = paged.get(headers={"Cookie": f"other={paged.runs}; theme={theme}"})
        assert answer.data.decode() == theme
        assert answer.headers["Vary"] == "Cookie"
    assert paged.runs == 2


def test_what_is_larger_goes_through() -> None:
    paged = Paged(lambda run: "x" * 101, settings={"CACHE_PAGE_MAX_BYTES": 100})
    assert not paged.is_stored()
    assert paged.status().endswith("detail=too-large")


def test_how_large_it_is_is_counted_in_bytes() -> None:
    paged = Paged(lambda run: Response(["\u20ac" * 40]), settings={"CACHE_PAGE_MAX_BYTES": 100})
    assert paged.status().endswith("detail=too-large")


def test_a_store_that_keeps_nothing_has_stored_nothing() -> None:
    paged = Paged(settings={"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True})
    assert paged.status() == "flask-caching; fwd=uri-miss; detail=not-kept"
    assert not paged.is_stored()


def test_a_hook_may_change_a_body_and_leave_its_length() -> None:
    paged = Paged()

    @paged.app.after_request
    def change(response: Response) -> Response:
        response.set_data(response.get_data().upper())
        return response

    answers = [paged.get() for _ in range(3)]
    assert [answer.data for answer in answers] == [b"RUN 1"] * 3
    assert len({answer.headers["ETag"] for answer in answers}) == 1


def test_who_changes_an_answer_after_it_is_made_is_heeded() -> None:
    paged = Paged()

    def change(sender: Flask, response: Response, **_: Any) -> None:
        response.headers["X-Late"] = "1"

    with request_finished.connected_to(change, paged.app):
        answers = [paged.get() for _ in range(2)]
    answers.append(paged.get())
    assert [answer.headers.get("X-Late") for answer in answers] == ["1", "1", None]
    assert {answer.data for answer in answers} == {b"run 1"}


def test_a_class_of_responses_has_a_say_about_what_is_sent() -> None:
    class Own(Response):
        def get_wsgi_headers(self, environ: Any) -> Any:
            headers = super().get_wsgi_headers(environ)
            headers["X-Own"] = "1"
            return headers

    paged = Paged()
    paged.app.response_class = Own
    assert [paged.get().headers["X-Own"] for _ in range(3)] == ["1"] * 3
    assert paged.runs == 1


def test_hooks_are_part_of_the_answer_once() -> None:
    paged = Paged()

    @paged.app.after_request
    def add(response: Response) -> Response:
        response.headers.add("X-Hook", "1")
        return response

    for _ in range(3):
        assert paged.get().headers.getlist("X-Hook") == ["1"]
    assert paged.runs == 1


@pytest.mark.parametrize("settings", [{}, {"CACHE_PAGE_MAX_BYTES": 1}])
def test_a_response_that_a_view_returns_again_is_told_of_once(settings: dict[str, Any]) -> None:
    always = Response("always", headers=[("Cache-Status", "elsewhere; hit")])
    paged = Paged(lambda run: always, settings)
    for _ in range(3):
        said = paged.get().headers.getlist("Cache-Status")
        assert (said[0], len(said)) == ("elsewhere; hit", 2)
        paged.cache.clear()


def test_a_hook_that_changes_the_body_changes_the_entity_tag() -> None:
    paged = Paged()
    texts = iter("abc")

    @paged.app.after_request
    def add(response: Response) -> Response:
        response.set_data(response.get_data() + next(texts).encode())
        return response

    first = paged.get()
    second = paged.get(headers={"If-None-Match": first.headers["ETag"]})
    assert (second.status_code, second.data) == (200, b"run 1b")
    assert second.headers["ETag"] != first.headers["ETag"]


def test_an_aborted_view_has_a_page() -> None:
    def view(run: int) -> None:
        abort(404, description=f"run {run}")

    paged = Paged(view)
    assert paged.is_stored()
    assert (paged.get().status_code, b"run 1" in paged.get().data) == (404, True)


def test_an_error_handler_answers_in_it() -> None:
    def view(run: int) -> None:
        abort(404)

    paged = Paged(view)
    paged.app.register_error_handler(404, lambda error: ("not here", 404))
    assert paged.is_stored()
    assert paged.get().data == b"not here"


def test_an_error_is_not_stored() -> None:
    def view(run: int) -> None:
        raise ValueError("no")

    paged = Paged(view)
    paged.app.register_error_handler(ValueError, lambda error: "sorry")
    assert not paged.is_stored()


def test_unless_is_asked() -> None:
    def unless() -> bool:
        return "preview" in request.cookies or request.headers.get("X-Preview") == "1"

    paged = Paged(unless=unless)
    assert not paged.is_stored(headers={"X-Preview": "1"})
    assert not paged.is_stored(headers={"Cookie": "preview=1"})
    # What it reads is no part of the page.
    assert paged.is_stored()
    assert "hit" in paged.status(headers={"X-Preview": "2", "Cookie": "a=1"})


def test_the_header_can_be_left_out() -> None:
    paged = Paged(settings={"CACHE_STATUS_HEADER": False})
    for _ in range(2):
        assert "Cache-Status" not in paged.get().headers


@pytest.mark.parametrize("in_front", [True, False])
def test_a_serializer_of_values_has_nothing_to_do_with_pages(in_front: bool) -> None:
    settings = {"CACHE_SERIALIZER": JSONSerializer(), "CACHE_PAGES_IN_FRONT": True}
    assert Paged(settings=settings, in_front=in_front).is_stored()


def test_what_is_not_kept_is_not_said_to_be() -> None:
    def view(run: int) -> str:
        if run == 1:
            paged.cache.clear()
        return f"run {run}"

    paged = Paged(view)
    assert paged.status() == "flask-caching; fwd=uri-miss; detail=not-kept"
    assert paged.status() == "flask-caching; fwd=uri-miss; stored"


def test_a_page_outside_a_request_is_the_view() -> None:
    app = Flask("outside")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    view = cache.page(timeout=60)(lambda: "x")
    with app.app_context():
        assert view() == "x"


def test_an_asynchronous_view_has_a_page() -> None:
    app = Flask("asynchronous")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    runs = []

    @app.get("/")
    @cache.page(timeout=60)
    async def view() -> str:
        runs.append(1)
        return f"run {len(runs)}"

    client = app.test_client()
    assert [client.get("/").data for _ in range(2)] == [b"run 1", b"run 1"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"query": "page"}, TypeError),
        ({"query": None}, TypeError),
        ({"query": (1,)}, TypeError),
        ({"host": "no"}, TypeError),
        ({"scheme": None}, TypeError),
        ({"in_front": 1}, TypeError),
        ({"etag": "strong"}, TypeError),
        ({"vary": ("*",)}, ValueError),
        ({"vary": (1,)}, TypeError),
        ({"cookies": ("a=1",)}, ValueError),
        ({"cookies": "a"}, TypeError),
        ({"statuses": ()}, ValueError),
        ({"statuses": 200}, TypeError),
        ({"statuses": (199,)}, ValueError),
        ({"timeout": "soon"}, ValueError),
        ({"tags": "one"}, TypeError),
        ({"jitter": 2}, TypeError),
        ({"lease": "x"}, TypeError),
        ({"single_flight": 1}, TypeError),
        ({"stale_if_error": -1}, TypeError),
        ({"stale_while_revalidate": "x"}, TypeError),
        ({"vary": "Accept"}, TypeError),
        ({"vary": ("Accept:",)}, ValueError),
        ({"vary": ("Cookie",)}, ValueError),
        ({"cookies": (1,)}, TypeError),
        ({"statuses": (206,)}, ValueError),
        ({"statuses": ("200",)}, ValueError),
        ({"in_front": True, "unless": lambda: True}, ValueError),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    [*_, name] = options
    with pytest.raises(error, match="unless" if "unless" in options else name):
        Cache().page(**options)


def test_cookies_in_any_order_are_the_same_page() -> None:
    keys = set()
    for cookies in (("a", "b"), ("b", "a"), {"b", "a"}):
        paged = Paged(cookies=cookies)
        with paged.app.test_request_context("/page", headers={"Cookie": "a=1; b=2"}):
            keys.add(paged.app.view_functions["page"].make_cache_key())  # type: ignore[attr-defined]
    assert len(keys) == 1
