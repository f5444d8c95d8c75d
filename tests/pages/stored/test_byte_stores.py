"""Pages on stores of bytes: what is stored is no pickle, and costs one round trip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Response, make_response
from flask_caching.backends.rediscache import RedisCache
from memcached_servers import MemcachedServer
from paged import Paged
from redis_servers import RedisServer


class CountingStore:
    """Counts the calls of a store: each is one round trip on one server."""

    def __init__(self, store: Any, calls: list[str]) -> None:
        self._counted = store
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        self._calls.append(name)
        return getattr(self._counted, name)


class CountingCache(RedisCache):
    calls: list[str]

    @property
    def _store(self) -> Any:
        return CountingStore(super()._store, self.__dict__.setdefault("calls", []))


def view(run: int) -> Response:
    response = make_response(f"{run} \u00e9\0".encode())
    response.headers["X-Latin"] = "caf\u00e9"
    return response


@pytest.fixture(params=["files", "redis", "memcached", "signed"])
def settings(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    redis_server: RedisServer,
    memcached_server: MemcachedServer,
) -> dict[str, Any]:
    redis = {
        "CACHE_TYPE": CountingCache,
        "CACHE_REDIS_PORT": redis_server.port,
        "CACHE_KEY_PREFIX": f"{tmp_path.name}_",
    }
    return {
        "files": {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)},
        "redis": redis,
        "memcached": {
            "CACHE_TYPE": "MemcachedCache",
            "CACHE_MEMCACHED_SERVERS": [f"127.0.0.1:{memcached_server.port}"],
            "CACHE_KEY_PREFIX": tmp_path.name,
        },
        "signed": {**redis, "CACHE_SIGNING_KEY": "secret"},
    }[request.param]


@pytest.mark.parametrize("in_front", [True, False])
def test_a_page_comes_back_as_it_was(settings: dict[str, Any], in_front: bool) -> None:
    paged = Paged(view, {**settings, "CACHE_PAGES_IN_FRONT": True}, in_front=in_front)
    first, *others = [paged.get() for _ in range(4)]
    for other in others:
        assert (other.data, other.status) == (first.data, first.status)
        assert other.headers["X-Latin"] == first.headers["X-Latin"]
        assert other.headers["ETag"] == first.headers["ETag"]
    assert paged.runs == 1
    paged.cache.delete_page("/page")
    assert paged.get().data != first.data


@pytest.mark.parametrize("in_front", [True, False])
def test_a_hit_on_redis_is_one_round_trip(
    redis_server: RedisServer, tmp_path: Path, in_front: bool
) -> None:
    settings = {
        "CACHE_TYPE": CountingCache,
        "CACHE_REDIS_PORT": redis_server.port,
        "CACHE_KEY_PREFIX": f"{tmp_path.name}_",
        "CACHE_PAGES_IN_FRONT": True,
    }
    paged = Paged(view, settings, in_front=in_front)
    paged.get()
    backend: Any = paged.cache.cache
    del backend.calls[:]
    paged.get()
    assert (backend.calls, paged.runs) == (["get_many"], 1)


def test_what_is_stored_is_no_pickle(redis_server: RedisServer, tmp_path: Path) -> None:
    settings = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_PORT": redis_server.port,
        "CACHE_KEY_PREFIX": f"{tmp_path.name}_",
    }
    paged = Paged(view, settings)
    paged.get()
    client: Any = paged.cache.cache._write_client  # type: ignore[attr-defined]
    keys = [key for key in client.keys(f"{tmp_path.name}_page:*") if not key.endswith(b"memver")]
    assert [client.get(key)[:7] for key in keys] == [b"\xf0FCpage"]
    # A pickle in its place is not a page, and bytes that are cut are none.
    client.set(keys[0], client.get(keys[0])[:-1])
    assert paged.get().data.startswith(b"2")


def test_headers_of_a_connection_are_left_out() -> None:
    def connected(run: int) -> Response:
        response = make_response("x")
        for name, value in (
            ("Connection", "X-Hop"),
            ("X-Hop", "1"),
            ("Keep-Alive", "5"),
            ("X", "2"),
        ):
            response.headers[name] = value
        return response

    paged = Paged(connected)
    paged.get()
    names = {name for name, _ in paged.get().headers}
    assert "X" in names
    assert not names & {"Connection", "X-Hop", "Keep-Alive"}
