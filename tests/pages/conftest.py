"""The stores that pages are kept in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from memcached_servers import MemcachedServer
from redis_servers import RedisServer


@pytest.fixture(params=["SimpleCache", "SharedCache", "FileSystemCache", "redis", "memcached"])
def store(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    redis_server: RedisServer,
    memcached_server: MemcachedServer,
) -> dict[str, Any]:
    """The settings of an application with each store, which allow pages in front."""
    in_files = {"CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path / "store")}
    settings = {
        "redis": {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": redis_server.port},
        "memcached": {
            "CACHE_TYPE": "MemcachedCache",
            "CACHE_MEMCACHED_SERVERS": [f"127.0.0.1:{memcached_server.port}"],
        },
    }.get(request.param, in_files)
    return {**settings, "CACHE_KEY_PREFIX": tmp_path.name, "CACHE_PAGES_IN_FRONT": True}
