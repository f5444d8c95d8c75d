"""``cache.health()``: what is known of the servers, without asking them."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask_caching import Cache, CacheBackendError
from network import KINDS, Kind
from redis_servers import Watched
from servers import wait_until


def _works(cache: Cache) -> bool:
    try:
        cache.get("k")
    except CacheBackendError:
        return False
    return True


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def test_a_server_that_fails_is_known_to_fail_until_it_answers(kind: Kind, tmp_path: Path) -> None:
    server = kind.server(tmp_path)
    server.start()
    options = {"CACHE_OPTIONS": {"breaker_failures": 1, "breaker_reset": 0.01}}
    cache = Cache(Flask("tested"), config=kind.config(kind.address(server), **options))
    try:
        cache.set("k", 1)
        [well] = cache.health().servers
        assert kind.address(server) in well.server
        assert (well.is_left_alone, well.failing_for, well.last_error) == (False, None, None)
        assert cache.health().is_well

        server.kill()
        with pytest.raises(CacheBackendError):
            cache.delete("k")
        failing = cache.health()
        assert failing.owes
        assert not failing.is_well
        [known] = failing.servers
        assert known.failures >= 1
        assert known.failing_for is not None
        assert known.last_error is not None
        assert kind.address(server) in known.last_error

        server.start()
        wait_until(lambda: _works(cache) and cache.health().is_well, "the server to be well")
        [again] = cache.health().servers
        assert again.failing_for is None
        assert again.failures == 0
        # For those who look later.
        assert again.last_error == known.last_error
        assert again.last_error_age is not None
    finally:
        server.kill()


def test_behind_a_sentinel_it_is_master_and_sentinel(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.start()
    config = {
        "CACHE_TYPE": "RedisSentinelCache",
        "CACHE_REDIS_SENTINELS": [("127.0.0.1", watched.sentinel.port)],
        "CACHE_REDIS_SENTINEL_MASTER": watched.name,
    }
    cache = Cache(Flask("tested"), config=config)
    try:
        cache.set("k", 1)
        known = cache.health().servers
    finally:
        watched.kill()

    # The replica as well, from when on the sentinel is content with it.
    ports = {watched.master.port, watched.sentinel.port}
    assert ports <= {int(server.server.rpartition(":")[2]) for server in known}
    assert all(server.failing_for is None for server in known)


def test_a_cache_without_a_server_is_well(cache: Cache) -> None:
    health = cache.health()

    assert (health.backend, health.servers, health.owes) == ("SimpleCache", (), False)
    assert health.is_well
    assert health.as_dict()["servers"] == ()


def test_a_backend_of_the_applications_own_is_well_as_far_as_is_known(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "cachelib.SimpleCache"})

    assert cache.health().servers == ()


def test_no_password_is_in_it(redis_password: object) -> None:
    url = f"redis://:s3%20cret%40%2F@127.0.0.1:{redis_password.port}/0"  # type: ignore[attr-defined]
    cache = Cache(Flask("tested"), config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url})
    cache.set("k", 1)

    assert "cret" not in str(cache.health().as_dict())
