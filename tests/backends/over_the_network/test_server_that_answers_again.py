"""A server that hung and answers again is used at once, however long it is left alone otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask_caching.backends.memcache import MemcachedCache
from flask_caching.backends.rediscache import RedisCache
from flask_caching.errors import CacheBackendError
from memcached_servers import MemcachedServer
from redis_servers import RedisServer
from servers import wait_until

#: Longer than any test waits: no call would find out.
NEVER = 3600.0
OPTIONS: dict[str, Any] = {"operation_timeout": 0.2, "breaker_reset": NEVER}


@pytest.mark.parametrize("kind", ["redis", "memcached"])
def test_calls_go_to_it_again(tmp_path: Path, kind: str) -> None:
    server: Any
    cache: Any
    if kind == "redis":
        server = RedisServer(tmp_path / "redis")
        cache = RedisCache("127.0.0.1", server.port, **OPTIONS)
    else:
        server = MemcachedServer(tmp_path / "memcached")
        cache = MemcachedCache([server.address], **OPTIONS)
    server.start()
    try:
        for value in range(2):
            cache.set("key", value)
            server.pause()
            for _ in range(3):
                with pytest.raises(CacheBackendError):
                    cache.get("key")
            server.resume()

            def is_found(value: int = value) -> bool:
                try:
                    return bool(cache.get("key") == value)
                except CacheBackendError:
                    return False

            wait_until(is_found, "calls to go to the server again")
    finally:
        server.kill()
