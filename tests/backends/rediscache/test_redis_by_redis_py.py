"""Options that only redis-py knows have it do the work; credentials may change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from flask_caching import Cache
from flask_caching.backends import RedisCache
from flask_caching.errors import CacheBackendError, CacheConfigError
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis_servers import Cluster, RedisServer, Watched

SECRET = "tok3n-of-today"


def make(server: RedisServer, **options: Any) -> Cache:
    config = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_HOST": "127.0.0.1",
        "CACHE_REDIS_PORT": server.port,
        "CACHE_KEY_PREFIX": "by_",
        "CACHE_OPTIONS": options,
    }
    return Cache(Flask("x"), config=config)


@pytest.fixture
def empty(redis_server: RedisServer) -> RedisServer:
    redis_server.admin.flushall()
    return redis_server


@pytest.mark.parametrize(
    "options",
    [
        {"retry": Retry(NoBackoff(), 1)},
        {"retry_on_error": [redis.ConnectionError]},
        {"ssl_ciphers": "ALL", "socket_timeout": 2},
        {"connection_pool": "own"},
    ],
)
def test_redis_py_does_the_work(empty: RedisServer, options: dict[str, Any]) -> None:
    if "connection_pool" in options:
        options = {"connection_pool": redis.ConnectionPool(port=empty.port)}
    with pytest.warns(UserWarning, match="redis-py does the work") as warned:
        cache = make(empty, **options)
    (shown,) = (str(warning.message) for warning in warned)
    assert next(iter(options)) in shown
    assert repr(cache.cache) == "<RedisCache by redis-py prefix='by_'>"
    runs: list[int] = []

    @cache.memoize()
    def function(a: int) -> int:
        runs.append(a)
        return a

    cache.set("key", {"a": 1}, timeout=60)
    with cache.app.app_context():
        assert function(1) == function(1) == 1
    # What one client has stored, the other reads.
    own = make(empty)
    assert own.get("key") == {"a": 1}
    assert own.set("other", 5)
    assert cache.get("other") == 5
    assert runs == [1]
    assert isinstance(cache.cache._write_client, redis.Redis)


@pytest.mark.filterwarnings("ignore:.*lib_name:DeprecationWarning")
def test_an_option_in_a_url(empty: RedisServer) -> None:
    url = f"redis://127.0.0.1:{empty.port}/0?lib_name=shop"
    with pytest.warns(UserWarning, match="'lib_name', which only redis-py knows"):
        cache = RedisCache(redis_url=url, key_prefix="by_")
    assert cache.set("key", [1])
    torn = f"redis://:{SECRET}@127.0.0.1:{SECRET}/0?lib_name=shop"
    with pytest.raises(CacheConfigError, match="'lib_name', cannot be read") as raised:
        RedisCache(redis_url=torn)
    assert SECRET not in f"{raised.value} {raised.value.__cause__}"
    # Without TLS there is no such option.
    with pytest.raises(CacheConfigError, match=r"redis-py says: .*ssl_ciphers"):
        RedisCache(redis_url=url.replace("lib_name", "ssl_ciphers"))


def test_an_operation_of_redis_py_does_not_wait_for_ever(empty: RedisServer) -> None:
    with pytest.warns(UserWarning, match="'retry'"):
        cache = make(empty, retry=Retry(NoBackoff(), 0), operation_timeout=0.2)
    client = cache.cache._write_client
    assert client.connection_pool.connection_kwargs["socket_timeout"] == 0.2
    assert client.connection_pool.connection_kwargs["socket_connect_timeout"] == 1.0
    empty.pause()
    try:
        with pytest.raises(CacheBackendError, match="TimeoutError") as raised:
            cache.get("key")
    finally:
        empty.resume()
    assert isinstance(raised.value, redis.TimeoutError)


def test_where_redis_py_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    by_redis_py = sys.modules["flask_caching.backends._redis.by_redis_py"]
    monkeypatch.setattr(by_redis_py, "find_spec", lambda name: None)
    with pytest.raises(CacheConfigError, match=r"'retry' is an option of redis-py.*pip install"):
        RedisCache("127.0.0.1", 1, retry=Retry(NoBackoff(), 1))


def test_what_redis_py_will_not_have() -> None:
    with pytest.raises(CacheConfigError, match=r"redis-py says: .*timout"):
        RedisCache("127.0.0.1", 1, retry=Retry(NoBackoff(), 1), socket_timout=3)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    servers = Watched(tmp_path_factory.mktemp("watched"))
    try:
        servers.start()
        yield servers
    finally:
        servers.kill()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    servers = Cluster(tmp_path_factory.mktemp("nodes"), password=SECRET)
    try:
        servers.start()
        yield servers
    finally:
        servers.kill()


def test_redis_py_behind_sentinels(watched: Watched) -> None:
    config: dict[str, Any] = {
        "CACHE_TYPE": "RedisSentinelCache",
        "CACHE_REDIS_SENTINELS": [("127.0.0.1", watched.sentinel.port)],
        "CACHE_REDIS_SENTINEL_MASTER": watched.name,
        "CACHE_KEY_PREFIX": "by_",
        "CACHE_OPTIONS": {"retry_on_error": [redis.TimeoutError]},
    }
    with pytest.warns(UserWarning, match="'retry_on_error'"):
        cache = Cache(Flask("x"), config=config)
    assert cache.set("key", [1])
    assert watched.master.admin.get("by_key")
    assert cache.cache._write_client.get("by_key")


def test_redis_py_in_a_cluster(nodes: Cluster) -> None:
    config: dict[str, Any] = {
        "CACHE_TYPE": "RedisClusterCache",
        "CACHE_REDIS_CLUSTER": nodes.addresses,
        "CACHE_REDIS_PASSWORD": SECRET,
        "CACHE_KEY_PREFIX": "by_",
        "CACHE_OPTIONS": {"reinitialize_steps": 3},
    }
    with pytest.warns(UserWarning, match="'reinitialize_steps'"):
        cache = Cache(Flask("x"), config=config)
    assert cache.set("key", [1])
    assert cache.get("key") == [1]
    assert isinstance(cache.cache._read_client, redis.RedisCluster)


class Provider:
    """redis-py's ``CredentialProvider``, without being one."""

    def __init__(self, *credentials: Any) -> None:
        self.credentials: Any = credentials
        self.asked = 0

    def get_credentials(self) -> Any:
        self.asked += 1
        if isinstance(self.credentials, Exception):
            raise self.credentials
        return self.credentials


def drop_connections(server: RedisServer) -> None:
    server.admin.client_kill_filter(_type="normal", skipme=True)


def test_credentials_are_asked_for_by_each_connection(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, password="first")
    server.start()
    try:
        provider = Provider("first")
        cache = make(server, credential_provider=provider)
        assert provider.asked == 0
        assert cache.set("key", 1)
        assert cache.get("key") == 1
        assert provider.asked == 1
        # The token is rotated: connections that are logged in stay so.
        server.admin.config_set("requirepass", "second")
        server.password = "second"
        provider.credentials = ("default", "second")
        assert cache.get("key") == 1
        drop_connections(server)
        assert cache.get("key") == 1
        assert provider.asked == 2
        assert cache.cache._write_client.get("by_key")
    finally:
        server.kill()


@pytest.mark.parametrize(
    "credentials", ["text", (SECRET, SECRET, SECRET), (5,), None, OSError(SECRET)]
)
def test_credentials_that_are_none(
    redis_password: RedisServer, credentials: Any, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider()
    provider.credentials = credentials
    cache = make(redis_password, credential_provider=provider, breaker_failures=0)
    with pytest.raises(CacheBackendError, match="credential_provider gave no cred") as raised:
        cache.get("key")
    assert SECRET not in str(raised.value)
    assert isinstance(raised.value, redis.AuthenticationError)
    records = [record for record in caplog.records if "credential_provider" in record.message]
    assert records
    assert all(record.exc_info for record in records if record.name == "flask_caching")

    @cache.memoize()
    def function() -> int:
        return 1

    with cache.app.app_context():
        assert function() == 1


def test_credentials_that_are_wrong(redis_password: RedisServer) -> None:
    cache = make(redis_password, credential_provider=Provider("app", SECRET))
    with pytest.raises(CacheBackendError, match="WRONGPASS") as raised:
        cache.get("key")
    assert SECRET not in str(raised.value)
    cache = make(redis_password, credential_provider=Provider("app", "app:pw"))
    assert cache.set("key", 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"credential_provider": "token"}, "'credential_provider' must be an object with"),
        ({"credential_provider": Provider}, "leave out one"),
        ({"credential_provider": Provider(SECRET), "username": "me"}, "leave out one"),
        ({"credential_provider": Provider(SECRET), "password": SECRET}, "leave out one"),
    ],
)
def test_a_provider_that_cannot_be_one(options: dict[str, Any], message: str) -> None:
    given = {"password": "pw", **options} if options["credential_provider"] is Provider else options
    with pytest.raises(CacheConfigError, match=message) as raised:
        RedisCache("127.0.0.1", 1, **given)
    assert SECRET not in str(raised.value)


def test_credentials_in_a_cluster(nodes: Cluster) -> None:
    provider = Provider(SECRET)
    config: dict[str, Any] = {
        "CACHE_TYPE": "RedisClusterCache",
        "CACHE_REDIS_CLUSTER": nodes.addresses,
        "CACHE_OPTIONS": {"credential_provider": provider},
    }
    cache = Cache(Flask("x"), config=config)
    assert cache.set_many({f"key{n}": n for n in range(20)})
    assert cache.get_many(*(f"key{n}" for n in range(20))) == list(range(20))
    assert provider.asked >= 3
