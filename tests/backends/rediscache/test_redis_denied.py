"""A user of a Redis server who may use the commands that Flask-Caching uses, and no more."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.rediscache import RedisCache
from flask_caching.stats._shared import MARK
from redis_servers import RedisServer

#: What Flask-Caching needs, for everything but what follows each of them in the tests.
USUAL = [f"+{name}" for name in ("get", "mget", "set", "setex", "exists", "del", "expire")]
USUAL += ["+incrby", "+keys", "+select", "+ping"]


def login(server: RedisServer, rules: list[str]) -> dict[str, Any]:
    """The options of a user to whom ``rules`` apply."""
    admin = server.admin
    admin.flushall()
    admin.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", *rules)
    return {"port": server.port, "username": "limited", "password": "pw", "key_prefix": "t_"}


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """What is logged; that the server refuses anything must not be."""
    with caplog.at_level(logging.WARNING):
        yield caplog.records


@pytest.mark.parametrize(
    "rules",
    [USUAL, [*USUAL, "+unlink", "+scan", "+pttl"], ["+@all", "-getrange"], ["+@all", "-eval"]],
    ids=["the usual", "no scripts and pieces", "no pieces", "no scripts"],
)
def test_a_backend_does_with_less(
    redis_server: RedisServer, rules: list[str], said: list[logging.LogRecord]
) -> None:
    cache = RedisCache("127.0.0.1", **login(redis_server, rules))
    for _ in range(2):
        assert cache.add("a", [1])
        assert not cache.add("a", 2)
        assert cache.get("a") == [1]
        assert cache.has("a")
        assert not cache.has("b")
        assert cache.set_many({"x": 1, "y": 2}) == ["x", "y"]
        assert cache.delete("x")
        assert not cache.delete("x")
        assert cache.delete_many("a", "y") == ["a", "y"]
        assert cache.inc("counter", 5) == 5
        assert cache.dec("counter", 2) == 3
        assert 0 < redis_server.admin.ttl("t_counter") <= 300
        redis_server.admin.set("of others", 1)
        assert cache.clear()
        # Caches of other tests may leave what they have counted, still.
        left = [key for key in redis_server.admin.scan_iter() if MARK.encode() not in key]
        assert left == [b"of others"]
    assert not said


@pytest.mark.parametrize(
    "rules",
    [USUAL, [*USUAL, "+pttl", "+persist"], ["+@all", "-eval"]],
    ids=["the usual", "the usual and lifetimes", "no scripts"],
)
@pytest.mark.parametrize("timeout", [60, 0])
def test_functions_are_memoized_and_forgotten(
    redis_server: RedisServer, rules: list[str], timeout: int, said: list[logging.LogRecord]
) -> None:
    options = login(redis_server, rules)
    config = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_KEY_PREFIX": options["key_prefix"],
        "CACHE_REDIS_PORT": options["port"],
        "CACHE_REDIS_PASSWORD": options["password"],
        "CACHE_OPTIONS": {"username": options["username"]},
    }
    cache = Cache(Flask("x"), config=config)
    runs = count()

    @cache.memoize(timeout)
    def function(a: int) -> int:
        return next(runs)

    assert [function(1), function(1), function(2), function(1)] == [0, 0, 1, 0]
    # The version lives as long as the longest entry.
    function.cache_timeout = 20
    assert function(3) == 2
    (version,) = redis_server.admin.keys("*_memver")
    left = redis_server.admin.ttl(version)
    assert rules is USUAL or (left == -1 if timeout == 0 else left > 20)
    cache.delete_memoized(function)
    assert function(1) == 3
    assert not said


def test_what_is_denied_is_not_asked_for_again(redis_server: RedisServer) -> None:
    cache = RedisCache("127.0.0.1", **login(redis_server, ["+@all", "-getrange"]))
    redis_server.admin.config_resetstat()
    cache.set("a", 1)
    assert not any(cache.add("a", 2) for _ in range(5))
    stats = redis_server.admin.info("commandstats")
    assert stats["cmdstat_getrange"]["rejected_calls"] == 2
    assert stats["cmdstat_get"]["calls"] == 5


def test_who_may_only_write_is_told_whether_it_did(redis_server: RedisServer) -> None:
    cache = RedisCache("127.0.0.1", **login(redis_server, ["+set", "+del"]))
    assert cache.add("a", 1)
    assert not cache.add("a", 2)
    assert not cache.add("a", 2)
    assert redis_server.admin.get("t_a") == b"1"
