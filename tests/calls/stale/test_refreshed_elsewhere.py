"""What the background cannot refresh: that alone is computed by its callers, and not for ever."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, request
from flask_caching import Cache
from flask_caching.calls.elsewhere import _PLACES, _SECONDS, Vain
from servers import wait_until

LONG = 30.0


@pytest.fixture
def by_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two keys of a test have the same place, whatever their hashes are today."""
    monkeypatch.setattr("flask_caching.calls.elsewhere._PLACES", 2**60)


class Visited:
    """A view that notes whether its caller computes, and what a request has asked for."""

    def __init__(self, app: Flask, cache: Cache, **options: Any) -> None:
        self.by_callers: list[bool] = []
        self.asked: list[tuple[str, str]] = []
        self._client = app.test_client(use_cookies=False)

        @app.get("/", defaults={"rest": ""})
        @app.get("/<path:rest>")
        @cache.cached(10, stale_while_revalidate=100_000, **options)
        def view(rest: str) -> str:
            self.by_callers.append(not threading.current_thread().daemon)
            self.asked.append((request.environ["PATH_INFO"], request.environ["QUERY_STRING"]))
            return str(len(self.by_callers))

        self.policy: Any = view._flask_caching_policy  # type: ignore[attr-defined]

    def get(self, user: str = "nobody", **environ: str) -> str:
        headers = {"Cookie": f"me={user}"} if user != "nobody" else {}
        return self._client.get("/", headers=headers, environ_overrides=environ).text

    def is_refreshed_in_background(self, user: str = "nobody", **environ: str) -> bool:
        """Whether what is old is refreshed by nobody who calls."""
        runs = len(self.by_callers)
        wait_until(lambda: self.get(user, **environ) == str(runs + 1), "a refresh")
        assert len(self.by_callers) == runs + 1
        return not self.by_callers[-1]


def of_cookie(*_: Any, **__: Any) -> str:
    return request.cookies.get("me", "nobody")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/", "x=\xc3\xa9"),
        ("/", "x=%ff%fe&%E9=\xc3\xa9"),
        ("/\xc3\xa9", "x=%C3%A9"),
        ("/\xff%2F", "x=a+b%20c&&y"),
    ],
)
def test_a_refresh_asks_for_the_bytes_that_were_asked_for(
    app: Flask, cache: Cache, clock: Any, path: str, query: str
) -> None:
    view = Visited(app, cache, query_string=True)
    asked = {"PATH_INFO": path, "QUERY_STRING": query}
    view.get(**asked)
    clock.advance(11)
    assert view.is_refreshed_in_background(**asked)
    assert view.asked == [(path, query)] * 2


@pytest.mark.usefixtures("by_places")
def test_one_visitors_answer_leaves_the_others_in_the_background(
    app: Flask, cache: Cache, clock: Any
) -> None:
    view = Visited(app, cache, make_cache_key=of_cookie)
    assert (view.get("ann"), view.get()) == ("1", "2")
    clock.advance(11)
    assert not view.is_refreshed_in_background("ann")
    for _ in range(3):
        assert view.is_refreshed_in_background()
        clock.advance(11)
    assert not view.is_refreshed_in_background("ann")


def test_a_key_that_cannot_be_made_once_is_made_again(
    app: Flask, cache: Cache, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fails, failed = False, threading.Event()

    def key(*_: Any, **__: Any) -> str:
        if fails and threading.current_thread().daemon:
            failed.set()
            raise OSError("down")
        return "key"

    view = Visited(app, cache, make_cache_key=key)
    view.get()
    clock.advance(11)
    fails = True
    assert view.get() == "1"
    assert failed.wait(LONG)
    wait_until(lambda: view.get() == "2", "a refresh")
    fails = False
    clock.advance(11)
    assert not view.is_refreshed_in_background()
    clock.advance(_SECONDS)
    assert not view.is_refreshed_in_background()
    clock.advance(11)
    assert view.is_refreshed_in_background()
    assert caplog.text.count("its key cannot be had") == 1


@pytest.mark.parametrize("pause", [11, _SECONDS + 1])
def test_what_never_has_the_same_key_is_hardly_ever_tried_and_never_stays_old(
    app: Flask, cache: Cache, clock: Any, monkeypatch: pytest.MonkeyPatch, pause: float
) -> None:
    def key(*_: Any, **__: Any) -> str:
        return "a stranger's" if threading.current_thread().daemon else "mine"

    view, tries = Visited(app, cache, make_cache_key=key), []
    note = view.policy.vain.note

    def noted(key: Any) -> None:
        tries.append(key)
        note(key)

    monkeypatch.setattr(view.policy.vain, "note", noted)
    view.get()
    for _ in range(20):
        clock.advance(pause)
        assert not view.is_refreshed_in_background()
    assert len(view.by_callers) == 21
    assert tries == ["mine"] * (1 if pause == 11 else 10)


@pytest.mark.usefixtures("by_places")
def test_what_another_process_refreshes_is_not_in_vain(
    app: Flask, cache: Cache, clock: Any
) -> None:
    view = Visited(app, cache)
    with app.test_request_context("/"):
        view.policy.road = SimpleNamespace(refresh=lambda *_, **__: None)
        key = view.policy.make_cache_key()
        view.policy.refresh_call(key, (), {"rest": ""})
        assert view.policy.refreshes_elsewhere(key)
        view.policy.refresh_call("another", (), {"rest": ""})
        assert not view.policy.refreshes_elsewhere("another")
        assert view.policy.refreshes_elsewhere(key)


def test_no_number_of_keys_takes_more_memory(clock: Any) -> None:
    vain = Vain()
    keys = [f"key {number}" for number in range(20 * _PLACES)]
    for key in keys:
        vain.note(key)
    assert len(vain._since) <= _PLACES
    assert all(map(vain.has, keys))
    clock.advance(_SECONDS)
    # Once more, for who is not asked for often.
    assert [vain.has("key 1"), vain.has("key 1")] == [True, False]
    assert sum(map(vain.has, keys)) < _PLACES
    assert not vain._since


def test_a_clock_that_was_set_back_makes_nothing_last(monkeypatch: pytest.MonkeyPatch) -> None:
    vain = Vain()
    now = 1e9
    monkeypatch.setattr("flask_caching.calls.elsewhere.clock_wall", lambda: now)
    vain.note("key")
    now -= 1e6
    assert [vain.has("key"), vain.has("key")] == [True, False]
