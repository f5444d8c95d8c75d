"""Calls that wait for each other's results never wait for themselves: recursion, cycles, tasks."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache

#: A test whose calls wait for each other takes at least as long.
WAIT = 60.0


@pytest.fixture
def cache(app: Flask) -> Cache:
    return Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_WAIT": WAIT})


@pytest.fixture(autouse=True)
def _quick() -> Any:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < WAIT / 2


def in_threads(app: Flask, *calls: Callable[[], Any]) -> list[Any]:
    answers: list[Any] = []

    def run(call: Callable[[], Any]) -> None:
        with app.app_context():
            answers.append(call())

    threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
        assert not thread.is_alive()
    return answers


def test_a_function_that_calls_itself_as_it_was_called(cache: Cache, in_app: None) -> None:
    depth: list[int] = []

    @cache.memoize()
    def function() -> int:
        depth.append(1)
        return function() + 1 if len(depth) < 5 else 0

    assert function() == 4


def test_a_recursion(app: Flask, cache: Cache) -> None:
    @cache.memoize()
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    calls = [lambda n=n: fibonacci(n) for n in (60, 59, 58, 60, 57)]
    assert max(in_threads(app, *calls)) == 1548008755920


@pytest.mark.parametrize("size", [2, 3, 5])
def test_threads_that_compute_what_the_next_one_needs(app: Flask, cache: Cache, size: int) -> None:
    together = threading.Barrier(size)
    inside = threading.local()

    @cache.memoize()
    def link(place: int) -> int:
        if getattr(inside, "depth", 0) == 0:
            together.wait(WAIT)
        if getattr(inside, "depth", 0) == size:
            return 0
        inside.depth = getattr(inside, "depth", 0) + 1
        return link((place + 1) % size) + 1

    calls = [lambda place=place: link(place) for place in range(size)]
    assert len(in_threads(app, *calls)) == size


def test_tasks_follow_a_task(app: Flask, cache: Cache) -> None:
    runs: list[int] = []
    ticked = asyncio.Event()

    @cache.memoize()
    async def function(a: int) -> list[int]:
        runs.append(a)
        await ticked.wait()
        return [a]

    async def tick() -> None:
        # Comes after all the others, and is kept waiting by none.
        ticked.set()

    async def main() -> list[Any]:
        calls = [asyncio.create_task(function(5)) for _ in range(500)]
        return await asyncio.gather(*calls, tick())

    with app.app_context():
        answers = asyncio.run(main())[:-1]
    assert answers == [[5]] * 500
    assert len(set(map(id, answers))) == 500
    assert runs == [5]


def test_a_task_that_is_cancelled_hands_over(app: Flask, cache: Cache) -> None:
    runs: list[int] = []

    @cache.memoize()
    async def function() -> int:
        runs.append(1)
        await asyncio.sleep(0.02 if len(runs) > 1 else WAIT)
        return len(runs)

    async def main() -> list[Any]:
        first = asyncio.create_task(function())
        await asyncio.sleep(0.01)
        others = [asyncio.create_task(function()) for _ in range(5)]
        gone = asyncio.create_task(function())
        await asyncio.sleep(0.01)
        gone.cancel()
        first.cancel()
        return await asyncio.gather(*others)

    with app.app_context():
        assert asyncio.run(main()) == [2] * 5
    assert cache.stats().under_way == 0


@pytest.mark.parametrize("is_sync", [False, True])
@pytest.mark.parametrize("way", ["await", "task", "gather", "thread"])
def test_a_task_that_waits_for_what_asks_for_the_same(
    app: Flask, cache: Cache, way: str, is_sync: bool
) -> None:
    depth: list[int] = []

    @cache.memoize()
    async def function() -> int:
        depth.append(1)
        if len(depth) > 2:
            return 0
        if way == "await":
            return await function() + 1
        if way == "task":
            return await asyncio.create_task(function()) + 1
        if way == "gather":
            return sum(await asyncio.gather(function(), function())) + 1
        return await asyncio.to_thread(function) + 1

    async def main() -> int:
        return await function()

    with app.app_context():
        assert (function() if is_sync else asyncio.run(main())) >= 1


def test_tasks_and_threads_that_wait_for_each_other(app: Flask, cache: Cache) -> None:
    task_entered, thread_entered = threading.Event(), threading.Event()

    @cache.memoize()
    async def of_task() -> int:
        task_entered.set()
        await asyncio.to_thread(thread_entered.wait, WAIT)
        return await asyncio.create_task(inner()) + 1

    async def inner() -> int:
        with app.app_context():
            return await asyncio.to_thread(of_thread) + 1

    first = threading.local()

    @cache.memoize()
    def of_thread() -> int:
        if getattr(first, "is_in", False):
            return 0
        first.is_in = True
        if threading.current_thread().name == "outer":
            thread_entered.set()
            task_entered.wait(WAIT)
            return of_task() + 1
        return 1

    def outer() -> int:
        threading.current_thread().name = "outer"
        return of_thread()

    assert len(in_threads(app, outer, of_task)) == 2


def test_a_thread_that_waits_can_be_interrupted(app: Flask, cache: Cache) -> None:
    entered, opened = threading.Event(), threading.Event()

    @cache.memoize()
    def function() -> int:
        entered.set()
        opened.wait(WAIT)
        return 1

    def lead() -> None:
        with app.app_context():
            function()

    thread = threading.Thread(target=lead, daemon=True)
    thread.start()
    assert entered.wait(WAIT)
    # What runs in the background is started with the signal ignored.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with app.app_context(), pytest.raises(KeyboardInterrupt):
            function()
    finally:
        signal.signal(signal.SIGINT, handler)
        opened.set()
    thread.join(WAIT)
    assert cache.stats().under_way == 0


GREENLETS = """
import gevent.monkey
if {patched}:
    gevent.monkey.patch_all()
import gevent, time
from flask import Flask
from flask_caching import Cache
app = Flask("x")
cache = Cache(app, config={{"CACHE_TYPE": "SimpleCache", "CACHE_WAIT": 60}})
runs, ticks = [], []

@cache.memoize()
def function():
    runs.append(1)
    # Whoever blocks the others blocks this one, too.
    enough = len(ticks) + 5
    while len(ticks) < enough:
        gevent.sleep(0.005)
    return [1]

@cache.memoize()
def recursive(n):
    gevent.sleep(0.001)
    return 0 if n == 0 else recursive(n - 1) + 1

def call(f, *args):
    with app.app_context():
        return f(*args)

def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.005)

ticking = gevent.spawn(tick)
began = time.monotonic()
calls = [gevent.spawn(call, function) for _ in range(50)]
gevent.joinall(calls, raise_error=True)
assert [call.value for call in calls] == [[1]] * 50, calls
assert len(runs) == 1, runs
assert len(ticks) > 5, ticks
deep = [gevent.spawn(call, recursive, n) for n in (5, 9, 9, 7, 8)]
gevent.joinall(deep, raise_error=True)
assert [call.value for call in deep] == [5, 9, 9, 7, 8]
assert time.monotonic() - began < 30
"""


@pytest.mark.parametrize("patched", [True, False])
def test_greenlets_wait_for_each_other(patched: bool) -> None:
    pytest.importorskip("gevent")
    program = GREENLETS.format(patched=patched)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]


def test_a_forked_child_waits_for_nobody_of_its_parent(app: Flask, cache: Cache) -> None:
    entered, opened = threading.Event(), threading.Event()

    @cache.memoize()
    def function() -> int:
        entered.set()
        opened.wait(WAIT if os.getpid() == parent else 0)
        return 7

    parent = os.getpid()
    leader = threading.Thread(target=lambda: in_threads(app, function), daemon=True)
    leader.start()
    assert entered.wait(WAIT)
    child = os.fork()
    if child == 0:
        with app.app_context():
            os._exit(function())
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    opened.set()
    leader.join(WAIT)
