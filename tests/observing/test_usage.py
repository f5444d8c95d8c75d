"""How much a backend holds, and the keys that it lists, beside what its servers say themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app
from flask_caching import Cache
from flask_caching.cli import cache as commands
from flask_caching.stats import BackendStats, _shared

REDIS = ["RedisCache", "RedisSentinelCache", "RedisClusterCache"]
LISTING = ["SimpleCache", "SharedCache", *REDIS, "MemcachedCache"]


def usage(cache: Cache, all_processes: bool = True) -> BackendStats:
    backend = cache.stats(all_processes=all_processes).backend
    assert backend is not None
    return backend


@pytest.mark.parametrize("name", [*LISTING, "FileSystemCache", "SASLMemcachedCache"])
def test_entries_and_bytes(cache_on: Callable[..., Cache], name: str) -> None:
    cache = cache_on(name, CACHE_MAX_BYTES=1 << 24) if name == "SimpleCache" else cache_on(name)
    before = usage(cache)
    for number in range(50):
        cache.set(f"k{number}", "x" * 2000, timeout=100)
    after = usage(cache)
    assert before.entries is not None
    assert after.entries is not None
    assert after.bytes is not None
    # Other tests have servers evict, and memcached clears late.
    assert after.entries - before.entries in (50, 51) or name.endswith("MemcachedCache")
    assert after.entries >= 50
    assert after.bytes >= 50 * 2000
    assert after.evictions is not None


def test_no_server_is_asked_for_what_one_process_counts(cache_on: Callable[..., Cache]) -> None:
    cache = cache_on("RedisCache")
    cache.set("a", 1)
    backend = usage(cache, all_processes=False)
    assert (backend.entries, backend.bytes, backend.evictions) == (None, None, None)


def test_a_server_that_does_not_tell_is_counted_without(
    cache_on: Callable[..., Cache], redis_server: Any
) -> None:
    admin = redis_server.admin
    admin.execute_command("ACL", "SETUSER", "mute", "on", ">pw", "~*", "+@all", "-info", "-dbsize")
    try:
        cache = cache_on(
            "RedisCache", CACHE_REDIS_PASSWORD="pw", CACHE_OPTIONS={"username": "mute"}
        )
        cache.set("a", 1)
        backend = usage(cache)
    finally:
        admin.execute_command("ACL", "DELUSER", "mute")
    assert (backend.entries, backend.bytes, backend.evictions) == (None, None, None)
    assert backend.latencies["set"].count == 1


def test_evictions_of_files_are_those_of_each_process(
    cache_on: Callable[..., Cache], tmp_path: Path
) -> None:
    cache = cache_on("FileSystemCache", CACHE_THRESHOLD=10)
    for number in range(25):
        cache.set(str(number), number)
    assert (usage(cache).entries, usage(cache).evictions) == (10, 15)
    assert usage(cache, all_processes=False).entries == 10
    script = (
        "import os, sys\n"
        "from flask_caching.backends import FileSystemCache\n"
        "cache = FileSystemCache(sys.argv[1], threshold=10)\n"
        "cache.set('one', 1), cache.set('two', 2)\n"
        "assert cache._usage()[2] == 2\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    cache.set('three', 3)\n"
        "    os._exit(cache._usage()[2])\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "cache"], check=True, capture_output=True
    ).stdout
    assert said == b"1\n"


def test_evictions_of_memcached(cache_on: Callable[..., Cache], memcached_server: Any) -> None:
    cache = cache_on("MemcachedCache")
    told = memcached_server.stats()
    backend = usage(cache)
    assert backend.evictions == int(told["evictions"])


def test_evictions_of_all_processes_are_not_added_up(
    cache_on: Callable[..., Cache],
) -> None:
    cache = cache_on("SharedCache", CACHE_THRESHOLD=10)
    for number in range(25):
        cache.set(str(number), number)
    evicted = usage(cache).evictions
    assert evicted
    # As another process does, which shares it.
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    _shared._Share(cache, app).write(60)
    stats = cache.stats(all_processes=True)
    assert stats.processes == 2
    assert stats.backend is not None
    assert evicted <= stats.backend.evictions <= evicted + 2


@pytest.mark.parametrize("name", LISTING)
def test_keys_are_listed_by_what_they_begin_with(
    app: Flask, cache_on: Callable[..., Cache], name: str
) -> None:
    cache = cache_on(name)
    odd = ["a*b", "a[x]", "a?", "a\\b", "ä", "a^-", "plain", "a b" if name[:3] != "Mem" else "a_b"]
    for key in odd:
        cache.set(key, 1)
    every = app.test_cli_runner().invoke(commands, ["keys"]).output.splitlines()
    assert [key for key in every if "stats" not in key] == sorted(odd)
    for prefix in ("a*", "a[", "a?", "a\\", "ä", "a^", "p", "nothing"):
        said = app.test_cli_runner().invoke(commands, ["keys", "--prefix", prefix]).output
        assert said.splitlines() == [key for key in sorted(odd) if key.startswith(prefix)]


@pytest.mark.parametrize("name", LISTING)
def test_no_more_keys_are_listed_than_wanted(
    app: Flask, cache_on: Callable[..., Cache], name: str
) -> None:
    cache = cache_on(name)
    for number in range(40):
        cache.set(f"k{number:02}", 1)
    said = app.test_cli_runner().invoke(commands, ["keys", "--prefix", "k", "--most", "7"]).output
    assert said.count("k") == 7
    assert "--most is 7" in said
    # The connection is good for another question, though not all keys were read.
    assert cache.get("k39") == 1


@pytest.mark.parametrize("name", ["FileSystemCache", "SASLMemcachedCache", "NullCache"])
def test_who_lists_no_keys_says_why(app: Flask, cache_on: Callable[..., Cache], name: str) -> None:
    cache_on(name).set("a", 1)
    result = app.test_cli_runner().invoke(commands, ["keys"])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {name} cannot list its keys")
    if name == "FileSystemCache":
        assert "1 entries are in files that are named by a digest" in result.output


@pytest.mark.parametrize("decodes", [False, True])
def test_keys_and_usage_by_a_client_object(app: Flask, redis_server: Any, decodes: bool) -> None:
    redis = pytest.importorskip("redis")
    client = redis.Redis(port=redis_server.port, decode_responses=decodes)
    cache = Cache(
        app,
        config={
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_HOST": client,
            "CACHE_KEY_PREFIX": "by_a_client[",
        },
    )
    with app.app_context():
        cache.clear()
        cache.set("a*", 1), cache.set("b", 2)
        said = app.test_cli_runner().invoke(commands, ["keys"]).output
        backend = usage(cache)
    assert said == "a*\nb\n"
    assert backend.entries == client.dbsize()
    assert backend.bytes is not None
    client.close()
