"""``cache.stats(all_processes=True)`` adds up what living processes have counted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from counting_app import cache, function, make_app
from flask import Flask
from flask_caching import Cache
from flask_caching.stats import CacheStats, FunctionCounts, _shared, _wire

HERE = Path(__file__).parent


@pytest.fixture(params=["FileSystemCache", "SharedCache", "RedisCache", "MemcachedCache"])
def config(
    request: pytest.FixtureRequest, config_of: Callable[[str], dict[str, Any]]
) -> dict[str, Any]:
    return {**config_of(request.param), "CACHE_STATS_SHARED": 0.2}


@pytest.fixture
def start(config: dict[str, Any]) -> Iterator[Callable[[int], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(requests: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, HERE / "counting_process.py", json.dumps(config), str(requests)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def comes_to(expected: Any, ask: Callable[[], Any]) -> None:
    """Whether an answer is the expected one, now or soon."""
    end = time.monotonic() + 60
    while (answer := ask()) != expected and time.monotonic() < end:
        time.sleep(0.05)
    assert answer == expected


#: And where keys are on several servers, or what was written is read elsewhere.
SEVERAL_SERVERS = ["RedisSentinelCache", "RedisClusterCache"]


@pytest.mark.parametrize(
    "config", ["FileSystemCache", "RedisCache", *SEVERAL_SERVERS], indirect=True
)
def test_processes_are_added_up_until_they_die(
    config: dict[str, Any], start: Callable[[int], subprocess.Popen[bytes]]
) -> None:
    app = make_app(config)

    def counts() -> tuple[int, ...]:
        with app.app_context():
            stats = cache.stats(all_processes=True)
        of_function = stats.functions.get(function.__qualname__)
        hits = of_function.hits if of_function else 0
        return stats.processes, stats.hits, stats.misses, stats.stored, hits

    with app.app_context():
        cache.clear()
    before = counts()
    assert before[0] == 1
    first, second = start(5), start(8)
    expected = (3, before[1] + 11, before[2] + 2, before[3] + 2, before[4] + 11)
    comes_to(expected, counts)
    with app.app_context():
        cache.clear()
    comes_to(expected, counts)
    second.kill()
    comes_to((2, before[1] + 4, before[2] + 1, before[3] + 1, before[4] + 4), counts)
    first.kill()
    comes_to(before, counts)


def test_what_counts_cost_is_not_counted(config: dict[str, Any]) -> None:
    app = make_app(config)
    with app.app_context():
        cache.clear()
        earlier = cache.stats()
        for _ in range(3):
            cache.stats(all_processes=True)
        cache.set("a", 1)
        delta = cache.stats().delta(earlier)
    assert delta.backend is not None
    counts = {name: latency.count for name, latency in delta.backend.latencies.items()}
    assert {name: count for name, count in counts.items() if count} == {"set": 1}
    assert delta.operations.hits == delta.operations.misses == 0


def test_a_child_leaves_counts_of_its_own(config: dict[str, Any]) -> None:
    app = make_app(config)
    app.test_client().get("/")

    def processes() -> int:
        with app.app_context():
            return cache.stats(all_processes=True).processes

    command = (
        "import json, os, sys, time, warnings\n"
        "warnings.simplefilter('ignore')\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from counting_app import make_app\n"
        "client = make_app(json.loads(sys.argv[1])).test_client()\n"
        "client.get('/')\n"
        "os.fork()\n"
        "sys.stdin.read()\n"
    )
    arguments = [sys.executable, "-c", command, json.dumps(config)]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE)
    try:
        comes_to(3, processes)
    finally:
        process.communicate()
    comes_to(1, processes)


def test_a_cache_of_one_process_is_asked_alone(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with app.app_context():
        assert cache.stats(all_processes=True) == cache.stats()
        assert len(cache.cache._entries()) == 0


@pytest.mark.parametrize("every", [1e-9, 1e15])
def test_no_interval_makes_a_busy_thread_or_none(
    app: Flask, tmp_path: Path, every: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path / "cache")}
    Cache(app, config={**config, "CACHE_STATS_SHARED": every})
    intervals: list[float] = []
    monkeypatch.setattr(
        _shared._publisher, "add", lambda share, interval: intervals.append(interval)
    )
    app.test_client().get("/")
    assert intervals == [0.1 if every < 1 else 86_400]


def test_nothing_is_left_where_that_is_off(config: dict[str, Any]) -> None:
    # Each in a process of its own, forked of one that has imported what it needs.
    script = (
        "import json, os, sys, threading\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from counting_app import make_app\n"
        "for config in json.loads(sys.argv[1]):\n"
        "    if (child := os.fork()) == 0:\n"
        "        make_app(config).test_client().get('/')\n"
        "        found = [t.name for t in threading.enumerate() if 'statistics' in t.name]\n"
        "        print(found, flush=True)\n"
        "        os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
    )
    configs = [{**config, "CACHE_STATS_SHARED": every} for every in (0, False, 60)]
    said = subprocess.run(
        [sys.executable, "-c", script, json.dumps(configs)], check=True, capture_output=True
    ).stdout.decode()
    assert said == "[]\n[]\n['flask-caching statistics']\n"


def test_what_is_handed_on_is_bounded() -> None:
    reasons = {f"{number} " + "x" * 190: 1 for number in range(20)}
    counts = FunctionCounts(hits=1, refusals=reasons)
    functions = {f"function {number}": replace(counts, hits=number) for number in range(1000)}
    stats = CacheStats(hits=499_500, functions=functions)
    text = _wire.written("name", stats)
    assert len(text) < 300_000
    found = _wire.read(text)
    assert found is not None
    assert found[1].hits == 499_500
    # Those that are called most.
    assert {f"function {number}" for number in range(960, 1000)} <= found[1].functions.keys()


def test_what_others_have_written_is_no_statistics() -> None:
    written = _wire.written("name", cache.stats())
    assert _wire.read(written) == ("name", cache.stats()) or cache.stats().last_refusals
    for other in (None, 7, "", "[]", "{}", b"\xff", '{"flask_caching_stats": 1}', "[" * 100_000):
        assert _wire.read(other) is None
    broken = json.loads(written)
    for name in ("functions", "operations", "backend"):
        assert _wire.read(json.dumps({**broken, name: 7})) is None
    assert _wire.read(json.dumps({**broken, "hits": "many"})) is not None
