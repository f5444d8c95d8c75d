"""Redis or memcached, both packages: each reads, counts on and deletes what the other wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask_caching.stats._shared import MARK
from memcached_servers import MemcachedServer
from redis_servers import RedisServer

MEMCACHED = ["MemcachedCache", "SASLMemcachedCache", "SpreadSASLMemcachedCache"]


class RedisStore:
    """One Redis."""

    def __init__(self, server: RedisServer) -> None:
        self.admin = server.admin
        self.config = {
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_HOST": "127.0.0.1",
            "CACHE_REDIS_PORT": server.port,
        }

    def flush(self) -> None:
        self.admin.flushall()

    def entries(self) -> dict[Any, Any]:
        """The bytes of every entry, and whether it expires."""
        admin = self.admin
        # Caches of other tests may leave what they have counted, still.
        keys = [key for key in admin.scan_iter() if MARK.encode() not in key]
        return {key: (admin.get(key), admin.ttl(key) > 0) for key in keys}


class MemcachedStore:
    """Three memcacheds, and one of the classes that use them."""

    def __init__(self, servers: list[MemcachedServer], kind: str) -> None:
        self.servers = servers
        self.config = {
            "CACHE_TYPE": kind,
            "CACHE_MEMCACHED_SERVERS": [server.address for server in servers],
            "CACHE_MEMCACHED_USERNAME": None,
            "CACHE_MEMCACHED_PASSWORD": None,
        }

    def flush(self) -> None:
        for server in self.servers:
            server.ask(b"flush_all\r\n")

    def entries(self) -> dict[Any, Any]:
        """The bytes and flags of every entry, by the server it is on."""
        return {
            (server.port, key): server.raw(key)
            for server in self.servers
            for key in list(server.keys())
        }


@pytest.fixture(scope="module")
def memcacheds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[MemcachedServer]]:
    servers = [MemcachedServer(tmp_path_factory.mktemp("memcached")) for _ in range(3)]
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.kill()


@pytest.fixture
def store(request: pytest.FixtureRequest) -> RedisStore | MemcachedStore:
    """The store of a kind: ``RedisCache``, or one of MEMCACHED."""
    if request.param == "RedisCache":
        return RedisStore(request.getfixturevalue("redis_server"))
    return MemcachedStore(request.getfixturevalue("memcacheds"), request.param)


@pytest.mark.parametrize("store", ["RedisCache", *MEMCACHED], indirect=True)
def test_each_reads_what_the_other_wrote(reference, ours, store):
    for writer, reader in ((reference, ours), (ours, reference)):
        store.flush()
        writer.call("network_programs", "write", store.config)
        assert reader.call("network_programs", "read", store.config) == {}


@pytest.mark.parametrize("store", ["RedisCache", *MEMCACHED[:2]], indirect=True)
def test_both_write_the_same_bytes_to_the_same_server(reference, ours, store):
    written = []
    for writer in (reference, ours):
        store.flush()
        writer.call("network_programs", "write", store.config)
        written.append(store.entries())
    by_reference, by_ours = written
    if isinstance(store, RedisStore):
        # Counters without a lifetime are the one difference: ours get the default.
        assert by_reference.pop(b"flask_cache_counted") == (b"5", False)
        assert by_ours.pop(b"flask_cache_counted") == (b"5", True)
    assert by_ours == by_reference
    assert len(by_ours) > 15


@pytest.mark.parametrize("store", ["RedisCache", *MEMCACHED], indirect=True)
def test_views_and_functions_hit_each_others_entries(reference, ours, store):
    for first, second in ((reference, ours), (ours, reference)):
        store.flush()
        answers, computed = first.call("network_programs", "serve", store.config)
        assert computed == ["view", "query", "function", "method"]
        found, computed = second.call("network_programs", "serve", store.config)
        assert found == answers
        # 2.5.1 keeps the versions of functions where its own ``set`` does not write.
        spread = store.config["CACHE_TYPE"] == "SpreadSASLMemcachedCache"
        assert computed == (["function", "method"] if spread else [])


@pytest.mark.parametrize("store", ["SpreadSASLMemcachedCache"], indirect=True)
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_spread_value_over_the_other_s(reference, ours, store, size):
    other_size = 3_000_010 - size
    for first, second in ((reference, ours), (ours, reference)):
        store.flush()
        first.call("network_programs", "spread_write", store.config, "a" * size)
        assert second.call("network_programs", "spread_read", store.config) == "a" * size
        second.call("network_programs", "spread_write", store.config, "b" * other_size)
        for reader in (first, second):
            assert reader.call("network_programs", "spread_read", store.config) == "b" * other_size
        second.call("network_programs", "spread_delete", store.config)
        for reader in (first, second):
            assert reader.call("network_programs", "spread_read", store.config) is None
