"""Every backend on which processes share a store, and the settings by which they do."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from memcached_servers import MemcachedServer

Settings = Callable[[pytest.FixtureRequest], dict[str, Any]]


def _redis(request: pytest.FixtureRequest) -> dict[str, Any]:
    server = request.getfixturevalue("redis_server")
    return {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": server.port}


def _redis_client(request: pytest.FixtureRequest) -> dict[str, Any]:
    redis = pytest.importorskip("redis")
    server = request.getfixturevalue("redis_server")
    return {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": redis.Redis(port=server.port)}


def _sentinel(request: pytest.FixtureRequest) -> dict[str, Any]:
    servers = request.getfixturevalue("watched")
    return {
        "CACHE_TYPE": "RedisSentinelCache",
        "CACHE_REDIS_SENTINELS": [("127.0.0.1", servers.sentinel.port)],
        "CACHE_REDIS_SENTINEL_MASTER": servers.name,
    }


def _cluster(request: pytest.FixtureRequest) -> dict[str, Any]:
    nodes = request.getfixturevalue("cluster")
    return {"CACHE_TYPE": "RedisClusterCache", "CACHE_REDIS_CLUSTER": nodes.addresses}


def _memcached(kind: str) -> Settings:
    def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
        server: MemcachedServer = request.getfixturevalue("memcached_server")
        return {"CACHE_TYPE": kind, "CACHE_MEMCACHED_SERVERS": [f"127.0.0.1:{server.port}"]}

    return settings


def _folder(kind: str) -> Settings:
    def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
        folder = request.getfixturevalue("tmp_path") / "cache"
        return {"CACHE_TYPE": kind, "CACHE_DIR": str(folder)}

    return settings


def _bucket(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {
        "CACHE_TYPE": "flask_caching.contrib.googlecloudstoragecache.GoogleCloudStorageCache",
        "CACHE_GCS_BUCKET": request.getfixturevalue("bucket"),
        "CACHE_OPTIONS": {"anonymous": True},
    }


WORLDS: dict[str, Settings] = {
    "redis": _redis,
    "a redis-py client": _redis_client,
    "sentinel": _sentinel,
    "cluster": _cluster,
    "memcached": _memcached("MemcachedCache"),
    "memcached binary": _memcached("SASLMemcachedCache"),
    "memcached spread": _memcached("SpreadSASLMemcachedCache"),
    "files": _folder("FileSystemCache"),
    "shared": _folder("SharedCache"),
    "bucket": _bucket,
}


class World:
    """Caches of one store, as processes have them."""

    def __init__(self, request: pytest.FixtureRequest, name: str) -> None:
        self._request = request
        self._settings = WORLDS[name](request)
        if name not in ("files", "shared"):
            self._settings["CACHE_KEY_PREFIX"] = uuid.uuid4().hex
        self._is_replicated = name == "sentinel"

    def process(self, **more: Any) -> Cache:
        """A cache of its own, whose application is active until the test ends."""
        app = Flask("tested")
        return Cache(app, config={**self._settings, **more})

    def settle(self) -> None:
        """Wait until replicas, which are read from, have what was written."""
        if self._is_replicated:
            self._request.getfixturevalue("watched").replicate()
