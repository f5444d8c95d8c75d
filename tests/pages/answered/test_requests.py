"""Pages: which requests share one, and what each is answered."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Response, make_response, request
from flask_caching.testing import manual_clock
from paged import Paged
from werkzeug.test import EnvironBuilder, run_wsgi_app


def test_the_order_of_the_query_does_not_count() -> None:
    paged = Paged(lambda run: repr(sorted(request.args.items(multi=True))))
    paged.get("/page?a=1&b=2")
    assert paged.get("/page?b=2&a=1").headers["Cache-Status"].startswith("flask-caching; hit")
    assert b"'2'), ('a', '1')" not in paged.get("/page?a=2&a=1").data
    assert paged.runs == 2


def test_only_named_arguments_count() -> None:
    paged = Paged(query=("page",))
    paged.get("/page?page=1&utm_source=x")
    assert paged.get("/page?utm_medium=y&page=1").data == b"run 1"
    assert paged.get("/page?page=2").data == b"run 2"


def test_no_argument_counts() -> None:
    paged = Paged(query=())
    paged.get("/page?a")
    assert paged.get("/page").data == b"run 1"


def test_headers_that_are_named_are_part_of_the_page() -> None:
    paged = Paged(
        lambda run: request.headers.get("Accept-Language", "-"), vary=("Accept-Language",)
    )
    for language in ("de", "en", "de"):
        answer = paged.get(headers={"Accept-Language": language})
        assert (answer.data.decode(), answer.headers["Vary"]) == (language, "Accept-Language")
    assert (paged.get().data, paged.runs) == (b"-", 3)


def test_headers_that_the_answer_names_are_part_of_the_page() -> None:
    def view(run: int) -> Response:
        response = make_response(request.headers.get("X-Kind", "-"))
        response.headers["Vary"] = "X-Kind"
        return response

    paged = Paged(view)
    for kind in "abaabb":
        answer = paged.get(headers={"X-Kind": kind})
        assert (answer.data.decode(), answer.headers.getlist("Vary")) == (kind, ["X-Kind"])
    # The first taught it the header, the next two were stored.
    assert paged.runs == 3


def test_an_answer_from_before_a_header_was_learned_is_not_stored(tmp_path: Path) -> None:
    """Another process, which has learned nothing yet, would find it whatever the header says."""
    in_view, go_on = threading.Event(), threading.Event()

    def view(_: int) -> Response:
        if "slow" in request.args:
            in_view.set()
            assert go_on.wait(60)
        response = make_response(request.headers.get("X-Kind", "-"))
        response.headers["Vary"] = "X-Kind"
        return response

    settings = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}
    paged = Paged(view, settings)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(paged.get, "/page?slow", headers={"X-Kind": "a"})
        assert in_view.wait(60)
        assert paged.status(headers={"X-Kind": "a"}).endswith("detail=vary-learned")
        go_on.set()
        assert slow.result().headers["Cache-Status"].endswith("detail=vary-learned")
    assert Paged(view, settings).get("/page?slow", headers={"X-Kind": "b"}).data == b"b"
    paged.get("/page?slow", headers={"X-Kind": "a"})
    assert "hit" in paged.get("/page?slow", headers={"X-Kind": "a"}).headers["Cache-Status"]


def test_headers_are_learned_in_any_order() -> None:
    def view(run: int) -> Response:
        response = make_response("x")
        response.headers["Vary"] = request.args["vary"]
        return response

    keys = []
    for names in ("X-A,X-B", "X-B,X-A"):
        paged = Paged(view)
        for name in names.split(","):
            paged.get(f"/page?vary={name}")
        with paged.app.test_request_context("/page?x"):
            keys.append(paged.app.view_functions["page"].make_cache_key())  # type: ignore[attr-defined]
    assert keys[0] == keys[1]


@pytest.mark.parametrize("is_part", [True, False])
def test_host_and_scheme(is_part: bool) -> None:
    paged = Paged(host=is_part, scheme=is_part)
    paged.get(base_url="http://one.example")
    paged.get(base_url="http://two.example")
    paged.get(base_url="https://one.example")
    assert paged.runs == (3 if is_part else 1)


def test_head_is_answered_from_what_get_stored() -> None:
    paged = Paged()
    assert paged.client.head("/page").headers["Cache-Status"] == "flask-caching; fwd=uri-miss"
    paged.get()
    answer = paged.client.head("/page")
    assert (answer.data, answer.headers["Content-Length"], paged.runs) == (b"", "5", 2)


@pytest.mark.parametrize("tags", ["{}", "W/{}", '"x", {}', "*"])
def test_a_client_that_has_it_is_told_so(tags: str) -> None:
    paged = Paged()
    etag = paged.get().headers["ETag"]
    for _ in range(2):
        # Not by a client: older ones add a type of their own.
        asked = EnvironBuilder("/page", headers={"If-None-Match": tags.format(etag)})
        body, status, headers = run_wsgi_app(paged.app, asked.get_environ())
        assert (status, b"".join(body)) == ("304 NOT MODIFIED", b"")
        assert headers["ETag"] == etag
        assert not {"Content-Length", "Content-Type"} & {name for name, _ in headers}
    assert paged.get(headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_date_counts_without_an_entity_tag_only() -> None:
    def view(run: int) -> Response:
        response = make_response("x")
        response.headers["Last-Modified"] = "Sun, 06 Nov 1994 08:49:37 GMT"
        return response

    paged = Paged(view)
    paged.get()
    since = {"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}
    assert paged.get(headers=since).status_code == 304
    assert paged.get(headers={**since, "If-None-Match": '"other"'}).status_code == 200
    earlier = {"If-Modified-Since": "Sun, 06 Nov 1994 08:49:36 GMT"}
    assert paged.get(headers=earlier).status_code == 200


def test_an_own_entity_tag_stays() -> None:
    def view(run: int) -> Response:
        response = make_response("x")
        response.set_etag("own")
        return response

    paged = Paged(view)
    assert [paged.get().headers.getlist("ETag") for _ in range(2)] == [['"own"']] * 2
    assert paged.get(headers={"If-None-Match": '"own"'}).status_code == 304


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"Range": "bytes=0-1"}, "range"),
        ({"If-Match": '"x"'}, "if-match"),
        ({"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, "if-unmodified-since"),
    ],
)
def test_what_the_origin_decides_goes_to_the_view(headers: dict[str, str], detail: str) -> None:
    paged = Paged()
    paged.get()
    answer = paged.get(headers=headers)
    assert answer.headers["Cache-Status"] == f"flask-caching; fwd=bypass; detail={detail}"
    assert answer.data == b"run 2"


@pytest.mark.parametrize(
    ("control", "is_stored"), [(None, False), ("public", True), ("s-maxage=9", True)]
)
def test_who_proves_who_they_are(control: str | None, is_stored: bool) -> None:
    def view(run: int) -> Response:
        response = make_response(f"run {run}")
        if control:
            response.headers["Cache-Control"] = control
        return response

    paged = Paged(view)
    paged.get()
    assert paged.is_stored(headers={"Authorization": "Bearer x"}) is is_stored
    # Nor is one that was made for others given to them.
    assert paged.get().data == b"run 1"


def test_request_directives_are_no_way_past_it() -> None:
    # They are advisory (RFC 9111, 5.2.1); anybody could otherwise keep the view busy.
    paged = Paged()
    paged.get()
    assert paged.get(headers={"Cache-Control": "no-cache", "Pragma": "no-cache"}).data == b"run 1"


def test_a_mounted_application_has_pages_of_its_own() -> None:
    paged = Paged(lambda run: request.script_root)
    for root in ("/one", "/two", "/one"):
        environ: dict[str, Any] = {"SCRIPT_NAME": root}
        assert paged.get(environ_overrides=environ).data.decode() == root
    assert paged.runs == 2


@pytest.mark.parametrize(
    "options",
    [
        {"vary": ("Accept-Language",)},
        {"cookies": ("a",)},
        {"vary": ("Accept-Language",), "stale_if_error": 9, "tags": ("all",)},
    ],
    ids=["vary", "cookies", "conditions"],
)
def test_that_only_a_variant_is_missing_is_said(options: dict[str, Any]) -> None:
    with manual_clock() as clock:
        paged = Paged(**options)

        def forwarded(value: str, path: str = "/page") -> str:
            headers = {"Accept-Language": value, "Cookie": f"a={value}"}
            said: str = paged.get(path, headers=headers).headers["Cache-Status"]
            return said.removeprefix("flask-caching; ")

        assert forwarded("de") == "fwd=uri-miss; stored"
        assert forwarded("en") == "fwd=vary-miss; stored"
        assert forwarded("en").startswith("hit")
        assert forwarded("en", "/page?other") == "fwd=uri-miss; stored"
        paged.cache.delete_page("/page")
        assert forwarded("en") == "fwd=uri-miss; stored"
        clock.advance(100)
        assert forwarded("de") == "fwd=uri-miss; stored"


def test_what_another_process_has_stored_is_not_known(tmp_path: Path) -> None:
    settings = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}
    one, other = (Paged(settings=settings, vary=("Accept-Language",)) for _ in range(2))
    assert one.status(headers={"Accept-Language": "de"}) == "flask-caching; fwd=uri-miss; stored"
    assert other.status(headers={"Accept-Language": "en"}) == "flask-caching; fwd=miss; stored"


def test_a_header_that_was_learned_makes_no_variant() -> None:
    def view(run: int) -> Response:
        response = make_response("x")
        response.headers["Vary"] = "X-Kind"
        return response

    paged = Paged(view)
    assert paged.status() == "flask-caching; fwd=uri-miss; detail=vary-learned"
    assert paged.status() == "flask-caching; fwd=uri-miss; stored"
    assert paged.status(headers={"X-Kind": "a"}) == "flask-caching; fwd=vary-miss; stored"


@pytest.mark.parametrize(
    "asked",
    [
        {"method": "HEAD"},
        {"query_string": "no-store"},
        {"query_string": "stream"},
        {"query_string": "preview"},
        {"headers": {"Range": "bytes=0-1"}},
        {"data": "body"},
    ],
    ids=str,
)
def test_answers_that_are_not_stored_say_what_they_depend_on(asked: dict[str, Any]) -> None:
    def view(run: int) -> Response:
        response = Response(["x"] if "stream" not in request.args else iter("x"))
        response.headers["Vary"] = "X-Own"
        response.headers["Cache-Control"] = (
            "no-store" if "no-store" in request.args else "max-age=9"
        )
        return response

    paged = Paged(
        view,
        vary=("Accept-Language",),
        cookies=("a",),
        compress=("gzip",),
        unless=lambda: "preview" in request.args,
    )
    vary = ["X-Own", "Accept-Language, Cookie"]
    if asked.get("method") == "HEAD":
        # To a GET it may be in another coding.
        vary[-1] += ", Accept-Encoding"
    for _ in range(2):
        answer = paged.client.open("/page", **asked)
        assert "hit" not in answer.headers["Cache-Status"]
        assert answer.headers.getlist("Vary") == vary


def test_an_answer_to_another_method_depends_on_nothing_that_is_named() -> None:
    paged = Paged(vary=("Accept-Language",))
    paged.app.add_url_rule(
        "/both", view_func=paged.app.view_functions["page"], methods=["GET", "POST"]
    )
    assert "Vary" not in paged.client.post("/both").headers


@pytest.mark.parametrize("in_front", [True, False], ids=["in_front", "in_place"])
@pytest.mark.parametrize("seconds", [0, 1, 599, 600, 4999])
def test_age_and_what_is_left_are_said_however_large(seconds: int, in_front: bool) -> None:
    settings = {"CACHE_PAGES_IN_FRONT": True}
    paged = Paged(settings=settings, timeout=5000, in_front=in_front)
    with manual_clock() as clock:
        paged.get()
        clock.advance(seconds)
        for _ in range(2):
            headers = paged.get().headers
            assert headers.getlist("Age") == [str(seconds)]
            left = f"flask-caching; hit; ttl={5000 - seconds}"
            assert headers.getlist("Cache-Status") == [left]
