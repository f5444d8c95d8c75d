"""Memcached servers of which one is down or full; see test_network_faults.py for other faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask_caching.backends.memcache import MemcachedCache
from flask_caching.errors import CacheBackendError
from memcached_servers import MemcachedServer
from network import DEADLINE, RESET, back_again


def make(*addresses: str, operation_timeout: float = DEADLINE) -> MemcachedCache:
    options = {"operation_timeout": operation_timeout, "breaker_reset": RESET}
    return MemcachedCache(list(addresses), key_prefix="f_", **options)


def test_one_server_of_three_is_down(tmp_path: Path) -> None:
    servers = [MemcachedServer(tmp_path / str(number)) for number in range(3)]
    for server in servers:
        server.start()
    try:
        cache = make(*(server.address for server in servers))
        keys = [f"key{number}" for number in range(30)]
        cache.set_many(dict.fromkeys(keys, 1))
        servers[1].kill()
        answers, failures = {}, []
        for key in keys:
            try:
                answers[key] = cache.get(key)
            except CacheBackendError as error:
                failures.append(str(error))
        assert set(answers.values()) == {1}
        assert all(servers[1].address in failure for failure in failures)
        assert 10 < len(answers) < 30
        with pytest.raises(CacheBackendError, match=servers[1].address):
            cache.get_many(*keys)
        # The others did what they were asked.
        with pytest.raises(CacheBackendError):
            cache.delete_many(*keys)
        assert cache.get_many(*answers) == [None] * len(answers)
        servers[1].start()
        (missing, *_) = set(keys) - set(answers)
        back_again(cache, missing)
        assert cache.set_many(dict.fromkeys(keys, 2)) == keys
        assert cache.get_many(*keys) == [2] * 30
    finally:
        for server in servers:
            server.kill()


def test_a_full_server_refuses_and_keeps_no_old_value(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = MemcachedServer(tmp_path, "-M", "-m", "4", "-I", "512k")
    server.start()
    try:
        cache = make(server.address, operation_timeout=20)
        cache.set("old", "an old value")
        names = [f"filler{number}" for number in range(200)]
        stored = cache.set_many(dict.fromkeys(names, b"x" * 100_000))
        assert 0 < len(stored) < len(names)
        assert cache.set("old", b"x" * 100_000) is False
        assert cache.get("old") is None
        assert "out of memory" in caplog.text
        assert cache.get(stored[-1]) == b"x" * 100_000
        assert cache.clear()
        assert cache.set("old", "new")
    finally:
        server.kill()
