"""Refreshes in the background: how many at a time, how many wait, and what runs around them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.calls import refresh
from flask_caching.calls.refresh import _MOST_WAITING

LONG = 30.0


@pytest.fixture
def cache(app: Flask) -> Cache:
    return Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 10_000})


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_more_than_may_wait_stay_old(app: Flask, cache: Cache, clock: Any) -> None:
    gate, running = threading.Event(), threading.Semaphore(0)
    most = _MOST_WAITING + 2
    refreshed: list[int] = []

    @cache.memoize(10, stale_while_revalidate=100)
    def number(n: int) -> float:
        if threading.current_thread().daemon:
            running.release()
            assert gate.wait(LONG)
            refreshed.append(n)
        return float(clock.now)

    clock.now = 0
    with app.app_context():
        assert {number(n) for n in range(most + 50)} == {0}
        clock.now = 11
        clock.advance(11)
        # Two are at it, before others wait.
        for n in range(2):
            assert number(n) == 0
            assert running.acquire(timeout=LONG)
        assert {number(n) for n in range(2, most + 50)} == {0}
        gate.set()
        until(lambda: len(refreshed) == most)
        assert sorted(refreshed) == list(range(most))
        until(lambda: number(most - 1) == 11)
        # It was told to nobody, and is begun by the next call.
        assert number(most) == 0
        until(lambda: number(most) == 11)


class Late(queue.Queue[Any]):
    """A queue whose readers go on only when they may with what they have taken."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = threading.Event()

    def get(self, *args: Any, **kwargs: Any) -> Any:
        taken = super().get(*args, **kwargs)
        assert self.opened.wait(LONG)
        return taken


def test_one_that_hangs_keeps_no_other_from_its_thread(
    app: Flask, cache: Cache, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(3)
    runs: list[str] = []
    workers, late = refresh._Workers(), Late()
    workers._waiting = late
    monkeypatch.setattr(refresh, "_workers", lambda: workers)

    @cache.memoize(10, stale_while_revalidate=100)
    def compute(name: str) -> int:
        runs.append(name)
        if threading.current_thread().daemon and name != "warm":
            # Each needs a thread: neither goes on before the other has come.
            both.wait(LONG)
        return runs.count(name)

    with app.app_context():
        for name in ("warm", "a", "b"):
            compute(name)
        clock.advance(11)
        late.opened.set()
        compute("warm")
        until(lambda: compute("warm") == 2)
        # There is an idle thread now. The second is begun while that one only comes to the first.
        until(lambda: workers._begun == 0)
        late.opened.clear()
        compute("a")
        compute("b")
        late.opened.set()
        both.wait(LONG)
        until(lambda: compute("a") == compute("b") == 2)


@pytest.mark.parametrize("fails", [False, True])
def test_teardown_functions_run_once_each(
    app: Flask, cache: Cache, clock: Any, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    torn: list[str] = []
    runs: list[str] = []
    app.teardown_appcontext(lambda error: torn.append(f"app {type(error).__name__}"))
    app.teardown_request(lambda error: torn.append(f"request {type(error).__name__}"))

    def compute(name: str) -> str:
        runs.append(name)
        if fails and runs.count(name) > 1:
            raise OSError("down")
        return f"{name} {runs.count(name)}"

    memoized = cache.memoize(10, stale_while_revalidate=100)(compute)

    @app.get("/")
    @cache.cached(10, stale_while_revalidate=100)
    def view() -> str:
        return compute("view")

    with app.app_context():
        memoized("memoized")
    client = app.test_client()
    client.get("/")
    clock.advance(11)
    torn.clear()
    error = "OSError" if fails else "NoneType"
    with app.app_context():
        assert memoized("memoized") == "memoized 1"
        until(lambda: len(torn) == 1)
        assert torn == [f"app {error}"]
    torn.clear()
    # That of the call, and that of the refresh, which is told of what it ends with.
    assert client.get("/").text == "view 1"
    until(lambda: len(torn) == 4)
    assert sorted(torn) == sorted(
        ["app NoneType", f"app {error}", "request NoneType", f"request {error}"]
    )
    told = [r.getMessage() for r in caplog.records if "could not be refreshed" in r.getMessage()]
    assert len(told) == (2 if fails else 0)
