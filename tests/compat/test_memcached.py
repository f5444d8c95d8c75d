"""Memcached servers, both packages: each reads, counts on and deletes what the other wrote."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from memcached_servers import MemcachedServer

KINDS = ["MemcachedCache", "SASLMemcachedCache", "SpreadSASLMemcachedCache"]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[MemcachedServer]]:
    servers = [MemcachedServer(tmp_path_factory.mktemp("memcached")) for _ in range(3)]
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.kill()


@pytest.fixture
def addresses(servers: list[MemcachedServer]) -> list[str]:
    flush(servers)
    return [server.address for server in servers]


def flush(servers: list[MemcachedServer]) -> None:
    for server in servers:
        server.ask(b"flush_all\r\n")


@pytest.mark.parametrize("kind", KINDS)
def test_each_reads_what_the_other_wrote(reference, ours, servers, addresses, kind):
    for writer, reader in ((reference, ours), (ours, reference)):
        flush(servers)
        writer.call("memcached_programs", "write", addresses, kind)
        assert reader.call("memcached_programs", "read", addresses, kind) == {}


@pytest.mark.parametrize("kind", ["MemcachedCache", "SASLMemcachedCache"])
def test_both_write_the_same_bytes_to_the_same_server(reference, ours, servers, addresses, kind):
    written = []
    for writer in (reference, ours):
        flush(servers)
        writer.call("memcached_programs", "write", addresses, kind)
        written.append(
            {
                (server.port, key): server.raw(key)
                for server in servers
                for key in list(server.keys())
            }
        )
    by_reference, by_ours = written
    assert by_ours == by_reference
    assert len(by_ours) > 15


@pytest.mark.parametrize("kind", KINDS)
def test_views_and_functions_hit_each_others_entries(reference, ours, servers, addresses, kind):
    for first, second in ((reference, ours), (ours, reference)):
        flush(servers)
        answers, computed = first.call("memcached_programs", "serve", addresses, kind)
        assert computed == ["view", "query", "function", "method"]
        found, computed = second.call("memcached_programs", "serve", addresses, kind)
        assert found == answers
        # 2.5.1 keeps the versions of functions where its own ``set`` does not write.
        spread = kind == "SpreadSASLMemcachedCache"
        assert computed == (["function", "method"] if spread else [])


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_spread_value_over_the_other_s(reference, ours, servers, addresses, size):
    other_size = 3_000_010 - size
    for first, second in ((reference, ours), (ours, reference)):
        flush(servers)
        first.call("memcached_programs", "spread_write", addresses, "a" * size)
        assert second.call("memcached_programs", "spread_read", addresses) == "a" * size
        second.call("memcached_programs", "spread_write", addresses, "b" * other_size)
        for reader in (first, second):
            assert reader.call("memcached_programs", "spread_read", addresses) == "b" * other_size
        second.call("memcached_programs", "spread_delete", addresses)
        for reader in (first, second):
            assert reader.call("memcached_programs", "spread_read", addresses) is None
