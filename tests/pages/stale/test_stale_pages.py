"""Old pages that are answered while they are refreshed, or where that fails (RFC 5861)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Response, abort, make_response, request, session
from flask_caching import cache_stale
from flask_caching.testing import manual_clock
from paged import Paged

FRONT = {"CACHE_PAGES_IN_FRONT": True}


@pytest.fixture
def clock() -> Iterator[Any]:
    with manual_clock() as clock:
        yield clock


@pytest.fixture(params=["SimpleCache", "FileSystemCache"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    return {**FRONT, "CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path)}


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread; a broken one fails the test, and nothing else depends on time."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def saying(control: str) -> Callable[[int], Response]:
    def view(run: int) -> Response:
        response = make_response(f"run {run}")
        response.headers["Cache-Control"] = control
        return response

    return view


class Failing:
    """A view that fails where it is told to."""

    def __init__(self) -> None:
        self.how: Callable[[], Any] | None = None

    def __call__(self, run: int) -> Any:
        return f"run {run}" if self.how is None else self.how()


@pytest.mark.parametrize("in_front", [True, False])
def test_an_old_page_is_answered_while_one_refresh_runs(
    settings: dict[str, Any], clock: Any, in_front: bool
) -> None:
    go_on = threading.Event()
    go_on.set()

    def view(run: int) -> str:
        assert go_on.wait(60)
        return f"run {run}"

    paged = Paged(view, settings, timeout=10, stale_while_revalidate=20, in_front=in_front)
    paged.get()
    clock.advance(15)
    go_on.clear()
    for _ in range(3):
        answer = paged.get()
        assert answer.data == b"run 1"
        assert answer.headers["Cache-Status"] == "flask-caching; hit; ttl=-5"
        assert answer.headers["Age"] == "15"
    go_on.set()
    until(lambda: paged.get().data == b"run 2")
    assert paged.runs == 2
    assert paged.status() == "flask-caching; hit; ttl=10"
    clock.advance(31)
    assert paged.get().data == b"run 3"


@pytest.mark.parametrize("in_front", [True, False])
@pytest.mark.parametrize("how", ["raises", "aborts", "answers"])
def test_where_the_view_fails_its_old_page_stands(
    settings: dict[str, Any], clock: Any, in_front: bool, how: str, caplog: Any
) -> None:
    failing = Failing()
    paged = Paged(failing, settings, timeout=10, stale_if_error=20, in_front=in_front)
    paged.get()
    clock.advance(15)
    failing.how = {
        "raises": lambda: 1 / 0,
        "aborts": lambda: abort(503),
        "answers": lambda: ("down", 502),
    }[how]
    status = {"raises": 500, "aborts": 503, "answers": 502}[how]
    answer = paged.get()
    assert (answer.status_code, answer.data) == (200, b"run 1")
    assert answer.headers["Cache-Status"] == (
        f"flask-caching; fwd=stale; fwd-status={status}; ttl=-5"
    )
    assert answer.headers["Age"] == "15"
    assert "could not be refreshed" in caplog.text
    # After a failure the next is tried no sooner than a second later.
    assert paged.status() == "flask-caching; hit; ttl=-5"
    assert paged.runs == 2
    clock.advance(2)
    failing.how = None
    answer = paged.get()
    assert answer.headers["Cache-Status"] == "flask-caching; fwd=stale; stored"
    assert answer.data == b"run 3"
    failing.how = lambda: ("down", 502)
    clock.advance(31)
    assert paged.get().status_code == 502


def test_a_refresh_is_a_request_of_nobody_in_particular(clock: Any) -> None:
    seen: list[dict[str, Any]] = []

    def view(run: int) -> str:
        seen.append(
            {
                "url": request.url,
                "root": request.script_root,
                "method": request.method,
                "language": request.headers.get("Accept-Language"),
                # Not seen: what is read of a request's `headers` is part of the page.
                "agent": request.environ.get("HTTP_USER_AGENT"),
                "cookies": request.environ.get("HTTP_COOKIE"),
                "known": request.environ.get("HTTP_X_KNOWN"),
            }
        )
        return request.cookies.get("theme", "-")

    paged = Paged(
        view,
        timeout=10,
        stale_while_revalidate=20,
        vary=("Accept-Language",),
        cookies=("theme",),
    )
    hooks: list[str] = []
    paged.app.before_request(lambda: hooks.append("before"))

    @paged.app.after_request
    def after(response: Response) -> Response:
        hooks.append("after")
        return response

    headers = {
        "Accept-Language": "de",
        "Cookie": "user=ann; theme=dark; id=1",
        "User-Agent": "x",
        "X-Known": "y",
    }
    environ = {"SCRIPT_NAME": "/mounted"}
    ask = {
        "path": "/page?b=2&a=1",
        "headers": headers,
        "base_url": "https://one.example/mounted",
        "environ_overrides": environ,
    }
    paged.get(**ask)
    clock.advance(15)
    paged.get(**ask)
    until(lambda: len(seen) == 2)
    first, second = seen
    assert first["agent"] == "x"
    assert second == {**first, "cookies": "theme=dark", "agent": None, "known": None}
    until(lambda: paged.get(**ask).headers["Cache-Status"] == "flask-caching; hit; ttl=10")
    assert hooks.count("after") == hooks.count("before")


def test_who_does_not_let_strangers_in_has_callers_refresh(clock: Any) -> None:
    paged = Paged(timeout=10, stale_while_revalidate=20)

    @paged.app.before_request
    def login() -> Any:
        return None if "HTTP_X_USER" in request.environ else ("who are you?", 401)

    ask = {"headers": {"X-User": "ann"}}
    paged.get(**ask)
    clock.advance(15)
    assert paged.get(**ask).data == b"run 1"
    until(lambda: paged.get(**ask).data == b"run 2")
    assert paged.runs == 2


def test_a_page_that_a_stranger_is_refused_leaves_others_in_the_background(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The two have places of their own, whatever their hashes are today.
    monkeypatch.setattr("flask_caching.calls.elsewhere._PLACES", 2**60)
    paged = Paged(timeout=10, stale_while_revalidate=20)
    refused: list[bool] = []

    @paged.app.before_request
    def login() -> Any:
        if "private" in request.args and "HTTP_X_USER" not in request.environ:
            refused.append(True)
            return "who are you?", 401
        return None

    ann = {"path": "/page?private", "headers": {"X-User": "ann"}}
    paged.get(**ann)
    paged.get()
    clock.advance(15)
    assert paged.get(**ann).data == b"run 1"
    until(lambda: paged.get(**ann).data == b"run 3")
    assert paged.get().data == b"run 2"
    until(lambda: paged.get().data == b"run 4")
    clock.advance(15)
    # It is known of this one.
    assert paged.get(**ann).data == b"run 5"
    assert refused == [True]


@pytest.mark.parametrize("in_front", [True, False])
def test_pages_of_who_proves_who_they_are_are_refreshed_by_them(
    settings: dict[str, Any], clock: Any, in_front: bool
) -> None:
    view = saying("public, max-age=10, stale-while-revalidate=20")
    paged = Paged(view, settings, in_front=in_front)
    ask = {"headers": {"Authorization": "Bearer x"}}
    paged.get(**ask)
    clock.advance(15)
    answer = paged.get(**ask)
    assert answer.data == b"run 2"
    assert answer.headers["Cache-Status"] == "flask-caching; fwd=stale; stored"
    # For others it goes on in the background.
    paged.get()
    clock.advance(15)
    assert paged.get().data == b"run 3"
    until(lambda: paged.get().data == b"run 4")


def test_a_refresh_that_is_not_to_be_stored_leaves_the_old_page(clock: Any) -> None:
    def view(run: int) -> str:
        if run == 2:
            session["x"] = 1
        return f"run {run}"

    paged = Paged(view, timeout=10, stale_while_revalidate=20)
    paged.get()
    clock.advance(15)
    paged.get()
    until(lambda: paged.runs == 2)
    until(lambda: paged.get().data == b"run 3")


@pytest.mark.parametrize(
    ("control", "seconds", "is_answered"),
    [
        ("max-age=10, stale-while-revalidate=20", 29, True),
        ("max-age=10, stale-while-revalidate=20", 31, False),
        ("s-maxage=10, stale-while-revalidate=20", 29, True),
        ("max-age=10, stale-while-revalidate=0", 11, False),
        ("max-age=10, must-revalidate", 11, False),
        ("max-age=10, proxy-revalidate, stale-while-revalidate=20", 11, False),
        ("s-maxage=10", 11, False),
        ("max-age=10", 14, True),
        ("max-age=10", 16, False),
    ],
)
@pytest.mark.parametrize("in_front", [True, False])
def test_what_the_answer_says_goes_before_the_option(
    settings: dict[str, Any],
    clock: Any,
    control: str,
    seconds: int,
    is_answered: bool,
    in_front: bool,
) -> None:
    paged = Paged(saying(control), settings, stale_while_revalidate=5, in_front=in_front)
    paged.get()
    clock.advance(seconds)
    assert (paged.get().data == b"run 1") is is_answered


@pytest.mark.parametrize("control", ["max-age=10, stale-if-error=20", "max-age=10"])
def test_an_answer_says_itself_that_it_stands_where_the_view_fails(
    settings: dict[str, Any], clock: Any, control: str
) -> None:
    def view(run: int) -> Any:
        return saying(control)(run) if run == 1 else abort(503)

    paged = Paged(view, settings)
    paged.get()
    clock.advance(29)
    assert paged.get().status_code == (200 if "stale" in control else 503)


def test_settings_of_the_application_apply(clock: Any) -> None:
    paged = Paged(settings={"CACHE_STALE_WHILE_REVALIDATE": 20}, timeout=10)
    paged.get()
    clock.advance(15)
    assert paged.status() == "flask-caching; hit; ttl=-5"


def test_what_was_deleted_is_not_answered(settings: dict[str, Any], clock: Any) -> None:
    paged = Paged(None, settings, timeout=10, stale_while_revalidate=20, stale_if_error=20)
    paged.get()
    clock.advance(15)
    paged.cache.delete_page("/page")
    assert paged.get().data == b"run 2"


def test_an_old_page_is_told_of(clock: Any) -> None:
    paged = Paged(settings={"CACHE_ENABLE_SIGNALS": True}, timeout=10, stale_while_revalidate=20)
    heard: list[Any] = []

    def hear(sender: Any, **kwargs: Any) -> None:
        heard.append(kwargs["cache_key"])

    with cache_stale.connected_to(hear):
        paged.get()
        clock.advance(15)
        paged.get()
    assert len(heard) == 1


def test_lifetimes_are_shortened_by_chance() -> None:
    with manual_clock():
        ttls = set()
        for _ in range(20):
            paged = Paged(timeout=1000, jitter=0.5)
            paged.get()
            ttls.add(int(paged.status().rpartition("=")[2]))
    assert len(ttls) > 5
    assert min(ttls) >= 500
    assert max(ttls) <= 1000


def test_a_client_that_has_the_old_page_is_told_so(clock: Any) -> None:
    paged = Paged(timeout=10, stale_while_revalidate=20)
    etag = paged.get().headers["ETag"]
    clock.advance(15)
    answer = paged.get(headers={"If-None-Match": etag})
    assert (answer.status_code, answer.headers["Age"]) == (304, "15")
