"""The cases that HTTP caches are tried with in public, as far as they concern one in an origin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Response, make_response, request
from flask_caching._engine import clock_wall
from flask_caching.testing import manual_clock
from paged import Paged
from werkzeug.http import http_date

Headers = list[tuple[str, str]]


@pytest.fixture
def clock() -> Iterator[Any]:
    with manual_clock() as clock:
        yield clock


@pytest.fixture(params=[True, False], ids=["in_front", "in_place"])
def in_front(request: pytest.FixtureRequest) -> bool:
    flag: bool = request.param
    return flag


def date(seconds: float) -> str:
    return http_date(clock_wall() + seconds)


def saying(headers: Headers, status: int = 200) -> Callable[[int], Response]:
    def view(run: int) -> Response:
        response = make_response(f"run {run}", status)
        for name, value in headers:
            response.headers.add(name, value)
        return response

    return view


def answering(headers: Headers, in_front: bool, **options: Any) -> Paged:
    settings = {"CACHE_PAGES_IN_FRONT": True}
    return Paged(saying(headers), settings, in_front=in_front, **options)


CONTROL = "Cache-Control"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(CONTROL, "max-age=1800, max-age=1")], 1),
        ([(CONTROL, "max-age=1800"), (CONTROL, "max-age=1")], 1),
        ([(CONTROL, 'max-age="3600"')], 3600),
        ([(CONTROL, 'extension="max-age=3600", max-age=1')], 1),
        ([(CONTROL, 'max-age=1, extension="max-age=3600"')], 1),
        ([(CONTROL, "max-age=003600")], 3600),
        ([(CONTROL, "max-age='3600'")], 0),
        ([(CONTROL, "max-age=3600.0")], 0),
        ([(CONTROL, "max-age=a3600")], 0),
        ([(CONTROL, "max-age=3600a")], 0),
        ([(CONTROL, "MaX-AgE=3600")], 3600),
        ([(CONTROL, "max-age=2147483648")], 2147483648),
        ([(CONTROL, "max-age=99999999999")], 2147483648),
        ([(CONTROL, "s-maxage=3600, max-age=1")], 3600),
        ([(CONTROL, "s-maxage=1, max-age=3600")], 1),
        ([(CONTROL, "max-age=3600, surrogate-control=1")], 3600),
        ([(CONTROL, "max-age=3600, must-revalidate, proxy-revalidate")], 3600),
        ([("CDN-Cache-Control", "max-age=1"), (CONTROL, "max-age=3600")], 3600),
        ([("Pragma", "no-cache"), (CONTROL, "max-age=3600")], 3600),
        ([(CONTROL, "max-age=3600"), ("Age", "600")], 3000),
        ([(CONTROL, "max-age=3600"), ("Age", "7200")], 0),
        ([(CONTROL, "max-age=3600"), ("Age", "7200, 0")], 0),
        ([(CONTROL, "max-age=3600"), ("Age", "0, 7200")], 3600),
        ([(CONTROL, "max-age=3600"), ("Age", "7200"), ("Age", "0")], 0),
        ([(CONTROL, "max-age=3600"), ("Age", "abc")], 3600),
        ([(CONTROL, "max-age=3600"), ("Age", "-7200")], 3600),
        ([(CONTROL, "max-age=3600"), ("Expires", "0")], 3600),
        ([("Expires", "0")], 0),
        ([("Expires", "Thu, 18 Aug 2050 02:01:18")], 0),
        ([("Expires", "Thu 18 Aug 2050 02:01:18 GMT")], 0),
        ([("Expires", "Thu, 18 Aug 1950 02:01:18 GMT")], 0),
    ],
)
def test_how_long_an_answer_is_fresh(
    clock: Any, headers: Headers, seconds: int, in_front: bool
) -> None:
    paged = answering(headers, in_front)
    paged.get()
    if seconds:
        clock.advance(seconds - 0.5)
        assert paged.get().data == b"run 1"
        clock.advance(1)
    assert paged.get().data == b"run 2"


@pytest.mark.parametrize("offset", [30.0, -30.0])
def test_expires_is_by_the_clock_of_who_says_it(clock: Any, offset: float, in_front: bool) -> None:
    headers = [("Date", date(offset)), ("Expires", date(offset + 100))]
    paged = answering(headers, in_front)
    paged.get()
    clock.advance(60)
    # What was made half a minute ago is that old already.
    assert paged.get().data == b"run 1"
    clock.advance(45)
    assert paged.get().data == b"run 2"


def test_age_goes_on_from_where_it_was(clock: Any, in_front: bool) -> None:
    paged = answering([(CONTROL, "max-age=3600"), ("Age", "30")], in_front)
    assert paged.get().headers.getlist("Age") == ["30"]
    clock.advance(3)
    answer = paged.get()
    assert answer.headers.getlist("Age") == ["33"]
    assert answer.headers["Cache-Status"] == "flask-caching; hit; ttl=3567"


@pytest.mark.parametrize("name", ["Date", "Expires", "Last-Modified"])
def test_dates_are_left_alone(clock: Any, name: str, in_front: bool) -> None:
    value = date(1000 if name == "Expires" else 0)
    paged = answering([(name, value)], in_front)
    paged.get()
    clock.advance(5)
    assert paged.get().headers.getlist(name) == [value]


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authentication-Info",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Upgrade",
        "X-Listed",
    ],
)
def test_headers_of_a_connection_are_not_stored(name: str, in_front: bool) -> None:
    headers = [(name, "x-listed"), ("Connection", "X-Listed, close"), ("X-Other", "1")]
    paged = answering(headers, in_front)
    paged.get()
    answer = paged.get()
    assert answer.data == b"run 1"
    assert name not in answer.headers
    assert answer.headers["X-Other"] == "1"


@pytest.mark.parametrize(
    "name",
    [
        *("Cache-Control", "Content-Encoding", "Content-Language", "Content-Location"),
        *("Content-Security-Policy", "ETag", "Link", "Server", "Strict-Transport-Security"),
        *("Test-Header", "X-Frame-Options", "Access-Control-Allow-Origin", "Clear-Site-Data"),
        *("Public-Key-Pins", "Set-Cookie2", "Cache", "Retry-After", "Vary2", "Location"),
    ],
)
def test_other_headers_are(name: str, in_front: bool) -> None:
    value = '"v"' if name == "ETag" else "max-age=9" if name == CONTROL else "v"
    paged = answering([(name, value)], in_front)
    first, second = paged.get(), paged.get()
    assert second.data == b"run 1"
    assert first.headers.getlist(name) == second.headers.getlist(name)


@pytest.mark.parametrize(
    ("vary", "first", "second", "is_same"),
    [
        ("Foo", {"Foo": "1"}, {"Foo": "1"}, True),
        ("Foo", {"Foo": "1"}, {"Foo": "2"}, False),
        ("Foo", {"Foo": "1"}, {}, False),
        ("Foo", {}, {"Foo": "1"}, False),
        ("Foo", {"Other": "2", "Foo": "1"}, {"Foo": "1", "Other": "3"}, True),
        ("Foo, Bar", {"Foo": "1", "Bar": "a"}, {"Bar": "a", "Foo": "1"}, True),
        ("Foo, Bar", {"Foo": "1", "Bar": "a"}, {"Foo": "2", "Bar": "a"}, False),
        ("Foo, Bar", {"Foo": "1", "Bar": "a"}, {"Foo": "1"}, False),
        ("foo ,,  BAR", {"Foo": "1", "Bar": "a"}, {"Foo": "1", "Bar": "b"}, False),
        ("Foo, *", {"Foo": "1"}, {"Foo": "1"}, False),
        ("*, Foo", {"Foo": "1"}, {"Foo": "1"}, False),
    ],
)
def test_vary(
    vary: str, first: dict[str, str], second: dict[str, str], is_same: bool, in_front: bool
) -> None:
    paged = answering([("Vary", vary), (CONTROL, "max-age=5000")], in_front)
    # The first teaches it the headers.
    paged.get(headers=first)
    stored = paged.get(headers=first).data
    assert (paged.get(headers=second).data == stored) is is_same
    if is_same or "*" not in vary:
        assert paged.get(headers=first).data == stored


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": '"abcdef"'}, 304),
        ({"If-None-Match": '"a", "abcdef"'}, 304),
        ({"If-None-Match": 'W/"abcdef"'}, 304),
        ({"If-None-Match": '"abcdef", '}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"abc"'}, 200),
        ({"If-None-Match": "abcdef"}, 200),
        ({"If-None-Match": "'abcdef'"}, 200),
        ({"If-None-Match": 'w/"abcdef"'}, 200),
        ({"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 304),
        ({"If-Modified-Since": "Sun, 06 Nov 1994 08:49:38 GMT"}, 304),
        ({"If-Modified-Since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 304),
        ({"If-Modified-Since": "Sun Nov  6 08:49:37 1994"}, 304),
        ({"If-Modified-Since": "Sun, 06 Nov 1994 08:49:36 GMT"}, 200),
        ({"If-Modified-Since": "0"}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 200),
        ({"If-None-Match": '"abcdef"', "If-Modified-Since": "0"}, 304),
    ],
)
def test_conditions(headers: dict[str, str], status: int, in_front: bool) -> None:
    own = [("ETag", '"abcdef"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]
    paged = answering(own, in_front)
    paged.get()
    answer = paged.get(headers=headers)
    assert answer.status_code == status
    assert answer.headers["ETag"] == '"abcdef"'
    assert paged.runs == 1


def test_conditions_are_of_answers_of_200_alone(in_front: bool) -> None:
    paged = Paged(saying([("ETag", '"x"')], 404), {"CACHE_PAGES_IN_FRONT": True}, in_front=in_front)
    paged.get()
    assert paged.get(headers={"If-None-Match": '"x"'}).status_code == 404
    assert paged.runs == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"])
@pytest.mark.parametrize("status", [200, 204, 303, 404, 500])
def test_unsafe_methods_make_it_stale_where_they_succeed(
    method: str, status: int, in_front: bool
) -> None:
    paged = answering([(CONTROL, "max-age=5000")], in_front)
    paged.app.add_url_rule(
        "/page",
        "change",
        lambda: ("", status),
        methods=[method],
        provide_automatic_options=False,
    )
    paged.get()
    paged.client.open("/page", method=method)
    assert (paged.get().data == b"run 1") is (status >= 400)


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD"])
def test_safe_methods_do_not(method: str, in_front: bool) -> None:
    paged = answering([], in_front)
    paged.get()
    paged.client.open("/page", method=method)
    assert paged.get().data == b"run 1"


def test_an_answer_to_a_post_is_not_one_to_a_get(in_front: bool) -> None:
    paged = Paged(settings={"CACHE_PAGES_IN_FRONT": True})
    decorate = paged.cache.page(timeout=60, in_front=in_front)
    paged.app.add_url_rule("/both", "both", decorate(lambda: request.method), methods=["POST"])
    paged.app.add_url_rule("/both", "got", decorate(lambda: request.method), methods=["GET"])
    for method in ("POST", "GET", "POST", "GET"):
        answer = paged.client.open("/both", method=method)
        assert answer.data.decode() == method


@pytest.mark.parametrize(
    ("control", "is_stored"),
    [
        (None, False),
        ("max-age=3600", False),
        ("public, max-age=3600", True),
        ("s-maxage=3600", True),
        ("max-age=3600, must-revalidate", False),
    ],
)
def test_answers_to_who_proves_who_they_are(
    control: str | None, is_stored: bool, in_front: bool
) -> None:
    paged = answering([(CONTROL, control)] if control else [], in_front)
    assert paged.is_stored(headers={"Authorization": "FOO"}) is is_stored


@pytest.mark.parametrize(
    "control", ["no-store", "private", "no-cache", "No-Store, max-age=9", "max-age=9, private=x"]
)
def test_what_is_not_for_shared_caches(control: str, in_front: bool) -> None:
    paged = answering([(CONTROL, control), ("Expires", date(1000))], in_front)
    assert not paged.is_stored()


@pytest.mark.parametrize(
    "control",
    ["no-cache", "no-store", "max-age=0", "only-if-cached", "min-fresh=9999", "max-stale"],
)
def test_requests_do_not_decide(control: str, in_front: bool) -> None:
    paged = answering([], in_front)
    paged.get()
    assert paged.get(headers={CONTROL: control, "Pragma": "no-cache"}).data == b"run 1"
