"""Single flight in the moments between: after a refusal, and after a look."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.filesystemcache import FileSystemCache
from flask_caching.testing import manual_clock


def test_a_refusal_counts_for_one_second() -> None:
    app = Flask("tested")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_WAIT": 30})
    entered = threading.Semaphore(0)
    gate = threading.Event()
    refused = True

    @cache.memoize(60, response_filter=lambda rv: not refused)
    def f() -> int:
        entered.release()
        assert gate.wait(30)
        return 1

    def call() -> int:
        with app.app_context():
            return f()

    with manual_clock() as clock, ThreadPoolExecutor(4) as pool:
        gate.set()
        assert call() == 1
        assert entered.acquire(timeout=30)
        gate.clear()
        clock.advance(0.9)
        # Nobody queues: both compute side by side.
        beside = [pool.submit(call) for _ in range(2)]
        assert all(entered.acquire(timeout=30) for _ in beside)
        assert cache.stats().waits == 0
        refused = False
        gate.set()
        assert [one.result(30) for one in beside] == [1, 1]
        with app.app_context():
            cache.delete_memoized(f)
        gate.clear()
        clock.advance(1.1)
        leader = pool.submit(call)
        assert entered.acquire(timeout=30)
        follower = pool.submit(call)
        while not cache.stats().waits:
            assert not follower.done()
        gate.set()
        assert (leader.result(30), follower.result(30)) == (1, 1)
        assert not entered.acquire(timeout=0)


@pytest.mark.parametrize("tags", [["t"], lambda rv: ["t"]], ids=["known", "told"])
def test_who_waited_for_a_result_with_tags_misses_it_once_they_are_deleted(tags: Any) -> None:
    app = Flask("tested")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_WAIT": 30})
    entered, gate = threading.Event(), threading.Event()
    calls = []

    @cache.memoize(60, tags=tags)
    def f() -> int:
        calls.append(1)
        entered.set()
        assert gate.wait(30)
        return len(calls)

    with ThreadPoolExecutor(2) as pool, app.app_context():
        for number in (1, 2, 3):
            entered.clear()
            gate.clear()
            leader = pool.submit(_in_app, app, f)
            assert entered.wait(30)
            follower = pool.submit(_in_app, app, f)
            while cache.stats().waits < number:
                assert not follower.done()
            gate.set()
            assert [leader.result(30), follower.result(30)] == [number, number]
            assert [f(), f(), f()] == [number] * 3
            cache.delete_tags("t")


@pytest.mark.parametrize("tags", [["t"], lambda rv: ["t"]], ids=["known", "told"])
def test_nobody_follows_what_began_before_another_process_deleted_a_tag(
    tmp_path: Path, tags: Any
) -> None:
    def process() -> Cache:
        config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path), "CACHE_WAIT": 30}
        return Cache(Flask("tested"), config=config)

    cache, other = process(), process()
    entered, gate = threading.Semaphore(0), threading.Event()
    source = [1]

    @cache.memoize(60, tags=tags)
    def f() -> int:
        found = source[0]
        entered.release()
        assert gate.wait(30)
        return found

    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(_in_app, cache.app, f)
        assert entered.acquire(timeout=30)
        source[0] = 2
        with other.app.app_context():
            other.delete_tags("t")
        after = pool.submit(_in_app, cache.app, f)
        assert entered.acquire(timeout=30)
        gate.set()
        assert (before.result(30), after.result(30)) == (1, 2)
    with cache.app.app_context():
        assert f() == 2


@pytest.mark.parametrize("options", [{}, {"tags": ["t"]}, {"stale_if_error": 60}])
def test_what_landed_after_the_look_is_looked_for_once_more(tmp_path: Path, options: Any) -> None:
    meanwhile: list[Any] = []

    class Slow(FileSystemCache):
        def _find(self, *args: Any, **kwargs: Any) -> Any:
            found = super()._find(*args, **kwargs)
            if meanwhile:
                meanwhile.pop()()
            return found

    app = Flask("tested")
    cache = Cache(app, config={"CACHE_TYPE": Slow, "CACHE_DIR": str(tmp_path)})
    calls = []

    @cache.memoize(60, **options)
    def f(number: int) -> int:
        calls.append(1)
        return len(calls)

    def in_another_thread() -> None:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(_in_app, app, f, 2).result(30) == 2

    with app.app_context():
        # From now on the version is known.
        assert f(1) == 1
        meanwhile.append(in_another_thread)
        assert f(2) == 2
        assert len(calls) == 2


def _in_app(app: Flask, f: Any, *args: Any) -> Any:
    with app.app_context():
        return f(*args)
