"""What a lease leaves behind where no result was stored, and how seldom it is renewed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.testing import manual_clock
from leased import LONG, Plain, Process, configured
from redis_servers import RedisServer
from servers import wait_until


@pytest.fixture(params=["files", "shared", "redis", "signed", "memcached", "spread"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    return configured(request.param, request, tmp_path)


def run(process: Process, action: Callable[[], Any]) -> Any:
    with process.app.app_context():
        return action()


def test_a_refused_result_over_an_old_value_makes_nobody_wait(config: dict[str, Any]) -> None:
    first, second = Process("first", config), Process("second", config)
    rejects: dict[str, Any] = {"key_prefix": "key", "is_stale": lambda value: value == ["old"]}
    run(first, lambda: first.cache.set("key", ["old"], timeout=LONG))
    first.opened.set()
    refusing = first.cache.cached(**rejects, response_filter=lambda value: False)(first.compute)
    assert run(first, refusing) == ["first"]
    assert first.lease() == "refused"
    assert second.get() == ["old"]
    # Two compute side by side, in another process as in this one.
    beside = first.cache.cached(**rejects)(second.compute)
    third = Process("third", config)
    threads = [third.start(third.cache.cached(**rejects)(third.compute)), second.start(beside)]
    for process in (third, second):
        assert process.entered.wait(LONG)
        process.opened.set()
    for thread in threads:
        thread.join(LONG)
    assert (second.answers, third.answers) == ([["second"]], [["third"]])
    assert first.get() in (["second"], ["third"])


def test_what_failed_in_one_process_is_not_tried_in_another(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    if config["CACHE_TYPE"] != "FileSystemCache":
        pytest.skip("its clock cannot be stopped")
    config |= {"CACHE_STALE_RETRY": 5, "CACHE_REFRESH_WORKERS": 0}
    with manual_clock() as clock:
        first, second = Process("first", config), Process("second", config)
        options = {"key_prefix": "key", "timeout": 10, "stale_if_error": 100}
        runs: list[str] = []

        def computing(process: Process, **more: Any) -> Callable[[], Any]:
            def compute() -> str:
                runs.append(process.name)
                if len(runs) > 1:
                    raise OSError("down")
                return "old"

            return process.cache.cached(**options, **more)(compute)

        failing, other = computing(first), computing(second)
        refreshing = computing(second, stale_while_revalidate=50)
        assert run(first, failing) == "old"
        clock.advance(11)
        assert run(first, failing) == "old"
        assert runs == ["first", "first"]
        assert first.lease() == "failed"
        # As long as it says, there is no other attempt, with anybody's patience.
        assert [run(second, other), run(second, refreshing), run(first, failing)] == ["old"] * 3
        assert runs == ["first", "first"]
        clock.advance(5)
        assert run(second, other) == "old"
        assert runs == ["first", "first", "second"]
        assert run(first, failing) == "old"
        assert len(runs) == 3


def test_who_asked_after_a_deletion_is_not_given_what_could_not_be_stored(tmp_path: Path) -> None:
    """Storing it would have told that another process has deleted it."""
    server = RedisServer(tmp_path)
    server.start()
    try:
        config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": server.port}
        process = Process("process", config | {"CACHE_LEASE": True})
        source = ["old"]

        @process.cache.cached(key_prefix="key")
        def view() -> list[str]:
            found = list(source)
            process.compute()
            return found

        computing = process.start(view)
        assert process.entered.wait(LONG)
        source[:] = ["new"]
        server.admin.flushall()
        following = process.start(view)
        wait_until(lambda: process.cache.stats().waits == 1, "somebody who waits")
        server.kill()
        process.opened.set()
        for thread in (computing, following):
            thread.join(LONG)
        assert process.answers == [["old"], ["new"]]
    finally:
        server.kill()


def test_a_failed_refresh_is_known_to_all(config: dict[str, Any]) -> None:
    config["CACHE_STALE_RETRY"] = LONG
    first, second = Process("first", config), Process("second", config)
    options = {"key_prefix": "key", "timeout": 1, "stale_if_error": LONG}
    runs: list[str] = []

    def computing(process: Process) -> Callable[[], Any]:
        def compute() -> str:
            runs.append(process.name)
            if len(runs) > 1:
                raise OSError("down")
            return "old"

        return process.cache.cached(**options)(compute)

    failing, other = computing(first), computing(second)
    assert run(first, failing) == "old"
    while len(runs) == 1:
        # Until it is old, in a second.
        time.sleep(0.05)
        assert run(first, failing) == "old"
    assert run(second, other) == "old"
    assert runs == ["first", "first"]


class Renewed(Plain):
    """At the moment at which a lease is renewed, something else happens."""

    act: ClassVar[Callable[[], object] | None] = None
    renewed: ClassVar[threading.Event] = threading.Event()

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        act, leases = type(self).act, key == "key_lease"
        is_renewing = leases and threading.current_thread().name == "flask-caching-leases"
        if act is not None and is_renewing:
            type(self).act = None
            act()
        done = super().set(key, value)
        if act is not None and is_renewing:
            self.renewed.set()
        return done


def test_a_lease_that_is_deleted_while_it_is_renewed_does_not_come_back() -> None:
    Plain.entries.clear()
    Renewed.renewed.clear()
    config: dict[str, Any] = {"CACHE_TYPE": "test_leases_ended.Renewed", "CACHE_LEASE": True}
    config |= {"CACHE_LEASE_TTL": 0.3, "CACHE_WAIT": LONG}
    first, second = Process("first", config), Process("second", config)
    late = first.start()
    assert first.entered.wait(LONG)
    Renewed.act = lambda: run(second, lambda: second.cache.delete("key"))
    assert Renewed.renewed.wait(LONG)
    # Who asks now does not wait for what began before, and has its own result.
    second.opened.set()
    second.start().join(LONG)
    assert second.answers == [["second"]]
    run(second, lambda: second.cache.delete("key"))
    first.opened.set()
    late.join(LONG)
    assert first.answers == [["first"]]
    assert second.get() is None
    assert Plain.entries == {}


class Counting(Plain):
    """Counts what is written over a lease."""

    renewed: ClassVar[list[str]] = []

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        # An `add` gets here, too.
        if key.endswith("_lease") and key in self.entries:
            self.renewed.append(key)
        return super().set(key, value, timeout)


def test_a_lease_that_is_taken_or_ends_renews_no_other(app: Flask) -> None:
    Plain.entries.clear()
    Counting.renewed.clear()
    config = {"CACHE_TYPE": "test_leases_ended.Counting", "CACHE_LEASE": True}
    cache = Cache(app, config=config | {"CACHE_LEASE_TTL": LONG})
    entered, opened = threading.Event(), threading.Event()

    def wait() -> str:
        entered.set()
        assert opened.wait(LONG)
        return "slow"

    def slow() -> None:
        with app.app_context():
            cache.get_or_set("slow", wait)

    thread = threading.Thread(target=slow, daemon=True)
    thread.start()
    assert entered.wait(LONG)

    async def awaited() -> None:
        @cache.memoize()
        async def compute(number: int) -> int:
            return number

        await asyncio.gather(*map(compute, range(20)))

    with app.app_context():
        for number in range(20):
            assert cache.get_or_set(f"quick {number}", partial(int, number)) == number
        asyncio.run(awaited())
    opened.set()
    thread.join(LONG)
    assert Counting.renewed == []
    # Those that an event loop does not wait for are ended a moment later.
    assert cache.get("slow") == "slow"
