"""One application a backend, on real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from redis_servers import Cluster, Watched


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    nodes = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.kill()


@pytest.fixture(scope="session")
def redis_sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    servers = Watched(tmp_path_factory.mktemp("sentinel"))
    try:
        servers.start()
        yield servers
    finally:
        servers.kill()


@pytest.fixture
def config_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """The settings of a backend by its name; servers are started where it needs some."""

    def config_of(name: str) -> dict[str, Any]:
        config: dict[str, Any] = {"CACHE_TYPE": name, "CACHE_KEY_PREFIX": "seen:"}
        if name == "RedisSentinelCache":
            servers = request.getfixturevalue("redis_sentinels")
            config["CACHE_REDIS_SENTINELS"] = [("127.0.0.1", servers.sentinel.port)]
            config["CACHE_REDIS_SENTINEL_MASTER"] = servers.name
        elif name == "RedisClusterCache":
            config["CACHE_REDIS_CLUSTER"] = request.getfixturevalue("redis_cluster").addresses
        elif name == "RedisCache":
            config["CACHE_REDIS_PORT"] = request.getfixturevalue("redis_server").port
            config["CACHE_REDIS_HOST"] = "127.0.0.1"
        elif name == "MemcachedCache":
            address = request.getfixturevalue("memcached_server").address
            config["CACHE_MEMCACHED_SERVERS"] = [address]
        elif name == "SASLMemcachedCache":
            server = request.getfixturevalue("memcached_sasl")
            config["CACHE_MEMCACHED_SERVERS"] = [server.address]
            config["CACHE_MEMCACHED_USERNAME"] = server.username
            config["CACHE_MEMCACHED_PASSWORD"] = server.password
        elif name == "NullCache":
            config["CACHE_NO_NULL_WARNING"] = True
        else:
            config["CACHE_DIR"] = str(tmp_path / "cache")
        return config

    return config_of


@pytest.fixture
def cache_on(
    app: Flask, config_of: Callable[[str], dict[str, Any]]
) -> Iterator[Callable[..., Cache]]:
    """An empty cache of the active application on a backend of this name."""
    with app.app_context():

        def cache_on(name: str, **settings: Any) -> Cache:
            cache = Cache(app, config={**config_of(name), **settings})
            cache.clear()
            return cache

        yield cache_on
