"""Deletions that a server is owed: all of them, and nothing else, however many there are."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask_caching.backends.memcache import MemcachedCache
from flask_caching.backends.rediscache import RedisCache
from flask_caching.errors import CacheBackendError
from memcached_servers import MemcachedServer
from redis_servers import RedisServer

#: Long enough, on a busy machine, for what is done with thousands of keys at once.
DEADLINE = 1.5
MANY = 10_001


class Outage:
    """A server with a cache on it, and an entry of somebody else's."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        options: dict[str, Any] = {"operation_timeout": DEADLINE, "breaker_reset": 0.1}
        if kind == "redis":
            self.server: Any = RedisServer(folder)
            self.cache: Any = RedisCache("127.0.0.1", self.server.port, **options)
        else:
            self.server = MemcachedServer(folder)
            self.cache = MemcachedCache([self.server.address], **options)

    def put_theirs(self) -> None:
        if self.kind == "redis":
            self.server.admin.set("theirs", b"1")
        else:
            self.server.put(b"theirs", b"1")

    def has_theirs(self) -> bool:
        if self.kind == "redis":
            return bool(self.server.admin.exists("theirs"))
        return self.server.raw(b"theirs") is not None

    def end(self, key: str) -> Any:
        """Let the server go on; the first answer for ``key``."""
        self.server.resume()
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.cache.get(key)
            except CacheBackendError:
                assert time.monotonic() < deadline
                time.sleep(0.02)


@pytest.fixture(params=["redis", "memcached"])
def outage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Outage]:
    outage = Outage(request.param, tmp_path / request.param)
    outage.server.start()
    yield outage
    outage.server.kill()


def test_ten_thousand_deletions_clear_nothing(outage: Outage) -> None:
    keys = [f"key{number}" for number in range(MANY)]
    outage.put_theirs()
    assert len(outage.cache.set_many({**dict.fromkeys(keys, "old"), "kept": "kept"})) == MANY + 1
    outage.server.pause()
    with pytest.raises(CacheBackendError):
        outage.cache.delete_many(*keys)
    assert outage.end(keys[-1]) is None
    assert outage.cache.get_many(*keys) == [None] * MANY
    assert outage.cache.get("kept") == "kept"
    assert outage.has_theirs()


def test_what_was_deleted_is_delivered_though_nobody_asks_for_it(outage: Outage) -> None:
    keys = [f"key{number}" for number in range(MANY)]
    outage.cache.set_many(dict.fromkeys(keys, "old"))
    outage.server.pause()
    with pytest.raises(CacheBackendError):
        outage.cache.delete_many(*keys)
    assert outage.end("another") is None
    deadline = time.monotonic() + 60
    while outage.cache._store.owes():
        assert time.monotonic() < deadline
        outage.cache.get("another")
    if outage.kind == "redis":
        assert outage.server.admin.dbsize() == 0
    else:
        assert outage.server.raw(b"key0") is None


def test_a_value_stored_after_the_outage_stays(outage: Outage) -> None:
    outage.cache.set("k", "old")
    outage.server.pause()
    with pytest.raises(CacheBackendError):
        outage.cache.delete("k")
    outage.end("another")
    assert outage.cache.set("k", "new")
    assert outage.cache.get("k") == "new"


def test_what_one_of_many_prefixes_owes_is_not_forgotten(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    server.start()
    prefix = ["first_"]
    cache = RedisCache(
        "127.0.0.1", server.port, key_prefix=lambda: prefix[0], operation_timeout=DEADLINE
    )
    try:
        cache.set("k", "old")
        server.pause()
        with pytest.raises(CacheBackendError):
            cache.delete("k")
        server.resume()
        # More than there are stores kept for.
        for number in range(1100):
            prefix[0] = f"{number}_"
            _ = cache._store
        prefix[0] = "first_"
        server.resume()
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(CacheBackendError):
                assert cache.get("k") is None
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        server.kill()


def test_a_deletion_that_cannot_be_remembered_says_so(tmp_path: Path) -> None:
    outage = Outage("redis", tmp_path / "redis")
    outage.server.start()
    try:
        outage.put_theirs()
        outage.cache.set("kept", 1)
        outage.server.pause()
        # Keys of 1 MB: there is room for 67 of them in the 64 MiB that may be owed.
        long = [f"{number:04d}" + "x" * 1_000_000 for number in range(100)]
        with pytest.raises(CacheBackendError, match="33 deletions are not remembered"):
            outage.cache.delete_many(*long)
        outage.end("kept")
        assert outage.cache.get("kept") == 1
        assert outage.has_theirs()
    finally:
        outage.server.kill()
