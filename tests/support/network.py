"""Redis and memcached, as far as they are alike: for tests that ask both the same."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from busy import Stopwatch
from flask_caching.backends.memcache import MemcachedCache, SASLMemcachedCache
from flask_caching.backends.rediscache import RedisCache
from flask_caching.errors import CacheBackendError
from memcached_servers import MemcachedServer
from redis_servers import RedisServer

__all__ = ["DEADLINE", "KINDS", "RESET", "Kind", "back_again", "elapsed", "outage_lines"]

#: Seconds an operation may take, and a server is left alone: short, so that the tests are; long
#: enough for a busy machine.
DEADLINE = 0.4
RESET = 0.3


@dataclass(frozen=True)
class Kind:
    """A kind of server, and one of the backends that talk to it.

    :param name: of the kind, in the names of tests.
    :param server: makes a server that runs in a folder.
    :param shared: the fixture of a server that all tests share.
    :param type: the ``CACHE_TYPE`` of the backend.
    :param backend: makes a backend of ``host:port``, with a prefix and options.
    :param settings: the ``CACHE_*`` values that lead to ``host:port``.
    """

    name: str
    server: Callable[[Path], Any]
    shared: str
    type: str
    backend: Callable[..., Any]
    settings: Callable[[str], dict[str, Any]]

    def make(self, address: str, prefix: str, **options: Any) -> Any:
        """A backend with short deadlines."""
        chosen = {"operation_timeout": DEADLINE, "breaker_reset": RESET, **options}
        return self.backend(address, key_prefix=prefix, **chosen)

    def config(self, address: str, **more: Any) -> dict[str, Any]:
        """The configuration of an application."""
        return {"CACHE_TYPE": self.type, **self.settings(address), **more}

    def address(self, server: RedisServer | MemcachedServer) -> str:
        return f"127.0.0.1:{server.port}"


def _redis(address: str, **options: Any) -> RedisCache:
    host, port = address.split(":")
    return RedisCache(host, int(port), **options)


def _redis_settings(address: str) -> dict[str, Any]:
    host, port = address.split(":")
    return {"CACHE_REDIS_HOST": host, "CACHE_REDIS_PORT": int(port)}


def _memcached_settings(address: str) -> dict[str, Any]:
    return {"CACHE_MEMCACHED_SERVERS": [address]}


KINDS = {
    "redis": Kind("redis", RedisServer, "redis_server", "RedisCache", _redis, _redis_settings),
    "memcached": Kind(
        "memcached",
        MemcachedServer,
        "memcached_server",
        "MemcachedCache",
        lambda address, **options: MemcachedCache([address], **options),
        _memcached_settings,
    ),
    "memcached binary": Kind(
        "memcached binary",
        MemcachedServer,
        "memcached_server",
        "SASLMemcachedCache",
        lambda address, **options: SASLMemcachedCache([address], **options),
        _memcached_settings,
    ),
}


def outage_lines(caplog: pytest.LogCaptureFixture, address: str) -> list[str]:
    """What was logged of a server as a warning, or as worse.

    Caches of tests before may still be on their way to servers that have ended.
    """
    records = (record for record in caplog.records if record.levelno >= logging.WARNING)
    return [text for text in (record.getMessage() for record in records) if address in text]


def back_again(cache: Any, key: str = "k") -> None:
    """Wait until the breaker lets calls through."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            cache.has(key)
            return
        except CacheBackendError:
            time.sleep(0.02)
    raise AssertionError("the cache did not come back")


def elapsed(call: Callable[[], object]) -> float:
    """The seconds that a call takes to fail, on a machine that has nothing else to do."""
    watch = Stopwatch()
    with pytest.raises(CacheBackendError):
        call()
    return watch.seconds()
