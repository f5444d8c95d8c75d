"""Leases: of calls of all processes that miss at the same time, one computes.

Another process is another ``Cache`` here, with a backend of its own: they share nothing but the
server or the directory.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cachelib import BaseCache as CachelibBaseCache
from flask import Flask
from flask_caching import Cache, CacheConfigError
from leased import KINDS, LONG, Failing, Plain, Process, configured


@pytest.fixture(params=KINDS)
def config(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    return configured(request.param, request, tmp_path)


def test_one_computes_and_the_other_process_gets_its_result(config: dict[str, Any]) -> None:
    first, second = Process("first", config), Process("second", config)
    threads = [first.start()]
    assert first.entered.wait(LONG)
    threads += [second.start() for _ in range(4)]
    # Whoever does not wait has begun by then.
    assert not second.entered.wait(0.3)
    first.opened.set()
    for thread in threads:
        thread.join(LONG)
    assert first.answers == [["first"]]
    assert second.answers == [["first"]] * 4
    assert second.runs == 0
    assert second.cache.stats().hits == 4
    assert first.lease() is None


def test_a_leader_that_fails_hands_over(config: dict[str, Any]) -> None:
    first, second = Process("first", config), Process("second", config)

    def fail() -> None:
        first.entered.set()
        assert first.opened.wait(LONG)
        raise OSError("failed")

    failing = first.start(first.cache.cached(key_prefix="key")(fail))
    assert first.entered.wait(LONG)
    waiting = second.start()
    second.opened.set()
    assert not second.entered.wait(0.2)
    first.opened.set()
    failing.join(LONG)
    waiting.join(LONG)
    assert isinstance(first.answers[0], OSError)
    assert second.answers == [["second"]]


def test_a_refused_result_makes_nobody_wait(config: dict[str, Any]) -> None:
    first, second = Process("first", config), Process("second", config)
    refusing = first.cache.cached(key_prefix="key", response_filter=lambda value: False)
    first.opened.set()
    first.start(refusing(first.compute)).join(LONG)
    assert first.lease() == "refused"
    second.opened.set()
    second.start().join(LONG)
    assert second.answers == [["second"]]
    assert second.get() == ["second"]


def test_nobody_waits_longer_than_is_said(config: dict[str, Any]) -> None:
    first = Process("first", config)
    second = Process("second", config, CACHE_WAIT=timedelta(milliseconds=100))
    slow = first.start()
    assert first.entered.wait(LONG)
    second.opened.set()
    second.start().join(LONG)
    assert second.answers == [["second"]]
    assert second.get() == ["second"]
    first.opened.set()
    slow.join(LONG)
    assert first.answers == [["first"]]
    assert first.lease() is None


@pytest.mark.parametrize("forget", ["delete", "delete_many", "clear", "delete_cached"])
def test_a_deletion_elsewhere_wins_over_a_late_result(config: dict[str, Any], forget: str) -> None:
    first, second = Process("first", config), Process("second", config)
    late = first.start()
    assert first.entered.wait(LONG)
    with second.app.app_context():
        if forget == "clear":
            second.cache.clear()
        elif forget == "delete_cached":
            second.cache.delete_cached(second.view)
        else:
            getattr(second.cache, forget)("key")
    first.opened.set()
    late.join(LONG)
    assert first.answers == [["first"]]
    assert first.get() is None
    assert first.cache.stats().superseded == 1


def test_a_deletion_wins_over_who_would_not_wait(config: dict[str, Any]) -> None:
    first, second = Process("first", config), Process("second", config, CACHE_WAIT=0)
    late = [first.start()]
    assert first.entered.wait(LONG)
    late += [second.start()]
    assert second.entered.wait(LONG)
    with first.app.app_context():
        first.cache.delete("key")
    for process in (second, first):
        process.opened.set()
    for thread in late:
        thread.join(LONG)
    assert first.get() is None


def test_who_knows_of_no_leases_deletes_all_the_same(config: dict[str, Any]) -> None:
    if config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("the lease stands beside the value")
    first, other = Process("first", config), Process("other", config, CACHE_LEASE=False)
    late = first.start()
    assert first.entered.wait(LONG)
    assert other.get() is None
    with other.app.app_context():
        assert other.cache.delete("key")
    first.opened.set()
    late.join(LONG)
    assert first.answers == [["first"]]
    assert other.get() is None


def test_what_is_set_meanwhile_stands(config: dict[str, Any]) -> None:
    if config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("the lease stands beside the value")
    first, second = Process("first", config), Process("second", config)
    late = first.start()
    assert first.entered.wait(LONG)
    with second.app.app_context():
        assert not second.cache.has("key")
        assert second.cache.add("key", ["set"])
    first.opened.set()
    late.join(LONG)
    assert first.get() == ["set"]


def test_a_forced_update_waits_for_nobody_and_stands(config: dict[str, Any]) -> None:
    first, second = Process("first", config), Process("second", config)
    late = first.start()
    assert first.entered.wait(LONG)
    forced = second.cache.cached(key_prefix="key", forced_update=lambda: True)
    second.opened.set()
    second.start(forced(second.compute)).join(LONG)
    assert second.answers == [["second"]]
    first.opened.set()
    late.join(LONG)
    assert first.answers == [["first"]]
    assert first.get() == second.get() == ["second"]


def test_an_old_value_is_refreshed_by_one_process(config: dict[str, Any]) -> None:
    if config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("it keeps no metadata")
    first, second = Process("first", config), Process("second", config)
    options = {"key_prefix": "key", "timeout": 1, "stale_while_revalidate": LONG}
    values = iter(range(2))

    def old() -> list[int]:
        return [next(values)]

    with first.app.app_context():
        assert first.cache.cached(**options)(old)() == [0]
    time.sleep(1.2)
    refreshing, answering = (
        process.cache.cached(**options)(process.compute) for process in (first, second)
    )
    with first.app.app_context():
        assert refreshing() == [0]
    assert first.entered.wait(LONG)
    with second.app.app_context():
        for _ in range(20):
            assert answering() == [0]
    assert not second.entered.wait(0.2)
    first.opened.set()
    until = time.monotonic() + LONG
    while first.get() is None and time.monotonic() < until:
        time.sleep(0.01)
    assert first.get() == second.get() == ["first"]
    assert second.cache.stats().stale == 20


def test_a_deletion_wins_over_a_refresh_elsewhere(config: dict[str, Any]) -> None:
    if config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("it keeps no metadata")
    first, second = Process("first", config), Process("second", config)
    stale = first.cache.cached(key_prefix="key", is_stale=lambda value: value == ["old"])
    with first.app.app_context():
        first.cache.set("key", ["old"])
    late = first.start(stale(first.compute))
    assert first.entered.wait(LONG)
    assert second.get() == ["old"]
    assert first.lease() == "held"
    with second.app.app_context():
        second.cache.delete("key")
    first.opened.set()
    late.join(LONG)
    assert first.answers == [["first"]]
    assert first.get() is None


def test_a_failure_leaves_the_old_value_as_it_was(config: dict[str, Any]) -> None:
    if config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("it keeps no metadata")
    first = Process("first", config)
    with first.app.app_context():
        first.cache.set("key", ["old"], timeout=LONG)
        before = first.cache.cache._store.get(first.cache.cache._encode_key("key"))

        @first.cache.cached(key_prefix="key", is_stale=lambda value: True)
        def fails() -> None:
            assert first.lease() == "held"
            raise OSError("failed")

        with pytest.raises(OSError, match="failed"):
            fails()
        assert first.cache.cache._store.get(first.cache.cache._encode_key("key")) == before


def test_a_long_computation_keeps_its_lease(config: dict[str, Any]) -> None:
    if config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("it keeps everything for ever")
    # Memcached counts whole seconds: of three, two may be left.
    process = Process("first", config, CACHE_LEASE_TTL=3)
    computing = process.start()
    assert process.entered.wait(LONG)
    time.sleep(4)
    assert process.lease() == "held"
    process.opened.set()
    computing.join(LONG)
    assert process.get() == ["first"]


def test_a_killed_leader_costs_its_time_to_live(config: dict[str, Any]) -> None:
    if config["CACHE_TYPE"].endswith("Plain"):
        pytest.skip("one of a single process")
    config.pop("CACHE_SERIALIZER", None)
    code = (
        "import os, signal\n"
        "from flask import Flask\n"
        "from flask_caching import Cache\n"
        "app = Flask('killed')\n"
        f"cache = Cache(app, config={config | {'CACHE_LEASE_TTL': 1}!r})\n"
        "with app.app_context():\n"
        "    cache.get_or_set('key', lambda: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    process = Process("second", config)
    process.opened.set()
    process.start().join(LONG)
    assert process.answers == [["second"]]


def test_tasks_wait_without_keeping_the_loop(config: dict[str, Any]) -> None:
    first, process = Process("first", config), Process("second", config)
    slow = first.start()
    assert first.entered.wait(LONG)
    runs: list[int] = []

    @process.cache.memoize()
    async def compute() -> int:
        runs.append(1)
        return len(runs)

    @process.cache.cached(key_prefix="key")
    async def view() -> str:
        runs.append(1)
        return "computed"

    async def main() -> list[Any]:
        waiting = [asyncio.create_task(view()) for _ in range(3)]
        assert await compute() == 1
        await asyncio.to_thread(process.cache.set, "key", "from elsewhere")
        return await asyncio.gather(*waiting)

    with process.app.app_context():
        assert asyncio.run(main()) == ["from elsewhere"] * 3
    assert runs == [1]
    first.opened.set()
    slow.join(LONG)


def test_a_function_that_calls_itself_takes_no_second_lease(config: dict[str, Any]) -> None:
    process = Process("first", config)

    @process.cache.memoize()
    def fibonacci(n: int) -> int:
        return n if n < 2 else int(fibonacci(n - 1)) + int(fibonacci(n - 2))

    @process.cache.cached(key_prefix="again")
    def again(depth: int = 0) -> int:
        return depth if depth else int(again(depth + 1))

    with process.app.app_context():
        assert fibonacci(8) == 21
        assert again() == 1


def test_without_it_nothing_is_written_beside_the_value(config: dict[str, Any]) -> None:
    process = Process("first", config, CACHE_LEASE=False)
    computing = process.start()
    assert process.entered.wait(LONG)
    assert process.lease() is None
    process.opened.set()
    computing.join(LONG)


def test_what_makes_no_sense_is_named(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with pytest.raises(TypeError, match="lease must be True, False, or None for CACHE_LEASE"):
        cache.memoize(lease="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="single_flight=False"):
        cache.cached(lease=True, single_flight=False)
    apart = {"CACHE_TYPE": "SimpleCache", "CACHE_LEASE": True, "CACHE_SINGLE_FLIGHT": False}
    with pytest.raises(CacheConfigError, match="CACHE_SINGLE_FLIGHT=False"):
        Cache(app, config=apart)
    for bad in (0, -1, "many"):
        with pytest.raises(CacheConfigError, match=r"CACHE_LEASE_TTL must be .* above 0"):
            Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_LEASE_TTL": bad})


def test_a_server_that_is_away_makes_nobody_wait(app: Flask) -> None:
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": 1}
    process = Process("alone", config | {"CACHE_LEASE": True})
    process.opened.set()
    process.start().join(LONG)
    assert process.answers == [["alone"]]


def test_a_backend_without_an_atomic_add_is_named(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    class Adds(CachelibBaseCache):
        pass

    cache = Cache(app, config={"CACHE_TYPE": lambda app, config, args, kwargs: Adds()})

    @cache.cached(key_prefix="key", lease=True)
    def view() -> str:
        return "computed"

    with app.app_context():
        assert [view(), view()] == ["computed", "computed"]
    told = [record.getMessage() for record in caplog.records]
    assert [text for text in told if "has no lease" in text] == [
        "test_a_backend_without_an_atomic_add_is_named.<locals>.view has no lease: Adds has no "
        "add() that is atomic, so each process computes by itself."
    ]


def test_what_was_computed_while_the_cache_failed_is_not_stored(app: Flask) -> None:
    Plain.entries.clear()
    cache = Cache(app, config={"CACHE_TYPE": "leased.Failing", "CACHE_LEASE": True})
    runs: list[int] = []

    @cache.cached(key_prefix="key")
    def view() -> list[int]:
        runs.append(1)
        Failing.fails = False
        return runs

    Failing.fails = True
    with app.app_context():
        assert view() == [1]
        # Somebody may have deleted it: nobody could have told.
        assert cache.get("key") is None
        assert view() == [1, 1]
        assert cache.get("key") == [1, 1]


def test_where_nothing_is_kept_nobody_has_a_lease(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "flask_caching.backends.NullCache"})
    view = cache.cached(key_prefix="key", lease=True)(lambda: 1)
    with app.app_context():
        assert [view(), view()] == [1, 1]
    assert cache.stats().superseded == 0
