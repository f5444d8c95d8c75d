"""Leases on any backend: its configurations, and processes that share it.

Another process is another ``Cache`` here, with a backend of its own: they share nothing but the
server or the directory.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cachelib.serializers import JSONSerializer
from flask import Flask
from flask_caching import Cache
from flask_caching._engine import SealedValue
from flask_caching.backends.base import BaseCache
from memcached_servers import MemcachedServer
from redis_servers import RedisServer

__all__ = ["KINDS", "LONG", "Failing", "Plain", "Process", "check_leases", "configured", "lease_of"]

LONG = 30.0


class Plain(BaseCache):
    """An application's own backend, which all caches of a test share."""

    entries: ClassVar[dict[str, Any]] = {}
    lock = threading.Lock()

    @classmethod
    def factory(cls, app: Any, config: Any, args: Any, kwargs: Any) -> Plain:
        return cls()

    def get(self, key: str) -> Any:
        return pickle.loads(self.entries.get(key, pickle.dumps(None)))

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.entries[key] = pickle.dumps(value)
        return True

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        with self.lock:
            return key not in self.entries and self.set(key, value)

    def has(self, key: str) -> bool:
        return key in self.entries

    def delete(self, key: str) -> bool:
        return self.entries.pop(key, None) is not None

    def clear(self) -> bool:
        self.entries.clear()
        return True


class Failing(Plain):
    """The same, while its server is away."""

    fails = False

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        if self.fails:
            raise OSError("it is away")
        return super().add(key, value)


SIGNED = {"CACHE_SIGNING_KEY": "secret", "CACHE_COMPRESSION": "zstd", "CACHE_COMPRESSION_MIN": 0}
KINDS: dict[str, dict[str, Any]] = {
    "files": {"CACHE_TYPE": "FileSystemCache"},
    "shared": {"CACHE_TYPE": "SharedCache"},
    "redis": {"CACHE_TYPE": "RedisCache"},
    "signed": {"CACHE_TYPE": "RedisCache", **SIGNED, "CACHE_SERIALIZER": JSONSerializer},
    "memcached": {"CACHE_TYPE": "MemcachedCache"},
    "spread": {"CACHE_TYPE": "SpreadSASLMemcachedCache"},
    "own": {"CACHE_TYPE": "leased.Plain"},
}


def configured(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The configuration of caches under leases, on an empty backend of this kind."""
    config: dict[str, Any] = {"CACHE_LEASE": True, "CACHE_WAIT": LONG, "CACHE_LEASE_TTL": LONG}
    config |= KINDS[kind]
    type_ = config["CACHE_TYPE"]
    Plain.entries.clear()
    if type_ in ("FileSystemCache", "SharedCache"):
        config["CACHE_DIR"] = str(tmp_path)
    if type_ == "RedisCache":
        redis: RedisServer = request.getfixturevalue("redis_server")
        redis.admin.flushall()
        config |= {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": redis.port}
    if type_.endswith("MemcachedCache"):
        memcached: MemcachedServer = request.getfixturevalue("memcached_server")
        config["CACHE_MEMCACHED_SERVERS"] = [f"127.0.0.1:{memcached.port}"]
        config["CACHE_KEY_PREFIX"] = f"{tmp_path}_"
    return config


class Process:
    """An application with a cache, which computes when it is let."""

    def __init__(self, name: str, config: dict[str, Any], **changed: Any) -> None:
        self.app = Flask(name)
        self.cache = Cache(self.app, config={**config, **changed})
        self.name, self.runs = name, 0
        self.entered, self.opened = threading.Event(), threading.Event()
        self.answers: list[Any] = []

        @self.cache.cached(key_prefix="key")
        def view() -> list[str]:
            return self.compute()

        self.view: Callable[[], Any] = view

    def compute(self) -> list[str]:
        self.runs += 1
        self.entered.set()
        assert self.opened.wait(LONG)
        return [self.name]

    def start(self, call: Callable[[], Any] | None = None) -> threading.Thread:
        def run() -> None:
            with self.app.app_context():
                try:
                    self.answers.append((call or self.view)())
                except Exception as error:
                    self.answers.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def get(self, key: str = "key") -> Any:
        with self.app.app_context():
            return self.cache.get(key)

    def lease(self) -> str | None:
        """What the lease of the key says."""
        with self.app.app_context():
            backend: Any = self.cache.cache
            if isinstance(backend, Plain):
                token = backend.get("key_lease")
                return "held" if token not in (None, "refused") else token
            return lease_of(backend, "key")


def lease_of(backend: Any, key: str) -> str | None:
    """What the lease of a key of one of our backends says."""
    found = backend._find(key)
    return found.metadata.lease if type(found) is SealedValue else None


def check_leases(backend: Any, is_atomic: bool = True) -> None:
    """Calls hold leases while they compute, and what is deleted meanwhile is not found.

    :param is_atomic: whether the server exchanges entries in one step, as those of an emulator may
        not: a lease that is renewed at that moment comes back then.
    """
    app = Flask("leased")
    cache = Cache(app, config={"CACHE_TYPE": lambda app, config, args, kwargs: backend})
    held: list[str | None] = []
    deletes = False

    def compute() -> list[int]:
        held.append(lease_of(backend, "leased"))
        if deletes:
            # As another process does it, of which this one does not hear.
            backend.delete("leased")
        return [len(held)]

    view = cache.cached(key_prefix="leased", lease=True, timeout=60)(compute)
    with app.app_context():
        backend.delete("leased")
        assert [view(), view()] == [[1], [1]]
        assert lease_of(backend, "leased") is None
        if not is_atomic:
            return
        backend.delete("leased")
        deletes = True
        assert view() == [2]
        assert backend.get("leased") is None
        assert view() == [3]
    assert held == ["held"] * 3
