"""One Redis server, both packages: each reads, counts on and deletes what the other wrote."""

from __future__ import annotations

import pytest
from redis_servers import RedisServer


@pytest.fixture
def port(redis_server: RedisServer) -> int:
    redis_server.admin.flushall()
    return redis_server.port


def test_each_reads_what_the_other_wrote(reference, ours, redis_server, port):
    for writer, reader in ((reference, ours), (ours, reference)):
        redis_server.admin.flushall()
        writer.call("redis_programs", "write", port)
        assert reader.call("redis_programs", "read", port) == {}


def test_both_write_the_same_bytes(reference, ours, redis_server, port):
    written = []
    for writer in (reference, ours):
        redis_server.admin.flushall()
        writer.call("redis_programs", "write", port)
        admin = redis_server.admin
        written.append({key: (admin.get(key), admin.ttl(key) > 0) for key in admin.scan_iter()})
    by_reference, by_ours = written
    # Counters without a lifetime are the one difference: ours get the default.
    assert by_reference.pop(b"flask_cache_counted") == (b"5", False)
    assert by_ours.pop(b"flask_cache_counted") == (b"5", True)
    assert by_ours == by_reference


def test_views_and_functions_hit_each_others_entries(reference, ours, redis_server, port):
    for first, second in ((reference, ours), (ours, reference)):
        redis_server.admin.flushall()
        answers, computed = first.call("redis_programs", "serve", port)
        assert computed == ["view", "query", "function", "method"]
        assert second.call("redis_programs", "serve", port) == (answers, [])
