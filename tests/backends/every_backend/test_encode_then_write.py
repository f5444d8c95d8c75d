"""Of the two steps of a write, only the first runs code of the application."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask_caching.backends import FileSystemCache, MemcachedCache, RedisCache
from flask_caching.backends._bytes.backend import ByteBackend
from flask_caching.errors import UnstorableValueError


class Application:
    """Code of an application that a write runs, until it is told that it must not."""

    allowed = True

    def __call__(self) -> str:
        assert self.allowed, "code of the application ran in the second step"
        return "prefix_"

    def __getstate__(self) -> dict[str, Any]:
        self()
        return {}


@pytest.fixture(params=["redis", "memcached", "files"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Any], ByteBackend]:
    def make(prefix: Any) -> ByteBackend:
        if request.param == "redis":
            port = request.getfixturevalue("redis_server").port
            return RedisCache("127.0.0.1", port, key_prefix=prefix)
        if request.param == "memcached":
            address = request.getfixturevalue("memcached_server").address
            return MemcachedCache([address], key_prefix=prefix)

        class Files(FileSystemCache):
            def _encode_key(self, key: str) -> bytes:
                return super()._encode_key(prefix() + key)

        return Files(str(tmp_path / "cache"))

    return make


@pytest.mark.parametrize("value", [Application, lambda: "x" * 100_000, lambda: b"x" * 100_000, int])
def test_the_second_step_runs_none_of_it(backend: Any, value: Callable[[], Any]) -> None:
    application = Application()
    cache = backend(application)
    cache.clear()
    cache.set("version", "1", timeout=50)
    stored = value()
    encoded = cache._encode("key", stored, ["version", "none"])
    assert cache.get("key") is None, "nothing is written yet"
    application.allowed = False
    if isinstance(stored, Application):
        stored.allowed = False
    assert cache._write(encoded, 100)
    assert cache._write_extending(encoded, 100) == (True, [True, False])
    cache._take_back(encoded)
    application.allowed = True
    assert cache.get("key") is None
    application.allowed = False
    assert cache._write(encoded, 100)
    application.allowed = True
    assert type(cache.get("key")) is type(stored)
    assert cache._set("key", "other")
    assert cache.get("key") == "other"


def test_what_cannot_be_encoded_is_not_written(backend: Any) -> None:
    cache = backend(lambda: "unstorable_")
    cache.set("key", "old")
    with pytest.raises(UnstorableValueError, match="cannot be serialized"):
        cache._encode("key", threading.Lock())
    assert cache.get("key") == "old"
    cache._discard("key")
    assert cache.get("key") is None


def test_what_a_subclass_makes_of_keys_and_values_holds_in_both_steps(tmp_path: Path) -> None:
    class Shouting(FileSystemCache):
        def _encode_key(self, key: str) -> bytes:
            return super()._encode_key(key.upper())

        def _dump(self, key: str, value: Any) -> tuple[bytes, int]:
            return pickle.dumps([key, value]), 0

        def _load(self, key: str, data: bytes, flags: int) -> Any:
            name, value = pickle.loads(data)
            assert name == key
            return value

    cache = Shouting(str(tmp_path / "cache"))
    assert cache._write(cache._encode("key", 1))
    assert cache.get("key") == 1
    assert FileSystemCache(str(tmp_path / "cache")).get("KEY") == ["key", 1]
