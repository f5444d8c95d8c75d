"""What people get wrong in their first hour, and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache, CacheConfigError, metrics
from flask_caching.backends.rediscache import RedisCache
from flask_caching.dashboard import blueprint
from warned import caught_warnings

SIMPLE = {"CACHE_TYPE": "SimpleCache"}
REDIS = {"CACHE_TYPE": "RedisCache"}


def make(**config: Any) -> Cache:
    return Cache(Flask("x"), config={**SIMPLE, **config})


def messages(run: Callable[[], Any]) -> list[str]:
    with caught_warnings() as caught:
        run()
    return [str(warning.message) for warning in caught]


# The names of settings.


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("CACHE_DEFAULT_TIMOUT", "CACHE_DEFAULT_TIMEOUT"),
        ("CACHE_DEFAULTTIMEOUT", "CACHE_DEFAULT_TIMEOUT"),
        ("CACHE_DEFAULT_TIMEOUTS", "CACHE_DEFAULT_TIMEOUT"),
        ("CACHE_TIMEOUT", "CACHE_DEFAULT_TIMEOUT"),
        ("CACHE_TTL", "CACHE_DEFAULT_TIMEOUT"),
        ("CACHE_TPYE", "CACHE_TYPE"),
        ("CACHE_BACKEND", "CACHE_TYPE"),
        ("CACHE_THRESOLD", "CACHE_THRESHOLD"),
        ("CACHE_KEY_PREFFIX", "CACHE_KEY_PREFIX"),
        ("CACHE_PREFIX", "CACHE_KEY_PREFIX"),
        ("CACHE_DIRECTORY", "CACHE_DIR"),
        ("CACHE_OPTION", "CACHE_OPTIONS"),
        ("CACHE_REDIS_HOSTS", "CACHE_REDIS_HOST"),
        ("CACHE_REDIS_URI", "CACHE_REDIS_URL"),
        ("CACHE_REDIS_PASS", "CACHE_REDIS_PASSWORD"),
        ("CACHE_REDIS_PASSWROD", "CACHE_REDIS_PASSWORD"),
        ("CACHE_REDIS_SENTINEL", "CACHE_REDIS_SENTINELS"),
        ("CACHE_MEMCACHED_SERVER", "CACHE_MEMCACHED_SERVERS"),
        ("CACHE_IGNORE_ERROR", "CACHE_IGNORE_ERRORS"),
        ("CACHE_SOURCE_CHEK", "CACHE_SOURCE_CHECK"),
        ("CACHE_ENABLE_SIGNAL", "CACHE_ENABLE_SIGNALS"),
        ("CACHE_STORE_PRIVAT", "CACHE_STORE_PRIVATE"),
        ("CACHE_NO_NULL_WARNINGS", "CACHE_NO_NULL_WARNING"),
        ("cache_type", "CACHE_TYPE"),
        ("Cache_Default_Timeout", "CACHE_DEFAULT_TIMEOUT"),
    ],
)
@pytest.mark.parametrize("where", ["app", "argument"])
def test_a_name_that_is_nearly_one_of_a_setting(given: str, meant: str, where: str) -> None:
    app = Flask("x")
    config = {"SimpleCache": 1} if where == "app" else {given: "secret"}
    if where == "app":
        app.config[given] = "secret"
    (said,) = messages(lambda: Cache(app, config={**SIMPLE, **config}))
    assert said == f"{given} is no setting, and is not used: did you mean {meant}?"


@pytest.mark.parametrize(
    "name",
    [
        "CACHE_HEADERS",
        "CACHE_REDIS_DB2",
        "CACHE_BUSTER",
        "CACHED",
        "THRESHOLD",
        "CACHE_",
        "MY_CACHE",
    ],
)
def test_other_settings_are_the_applications_own(name: str) -> None:
    assert messages(lambda: make(**{name: 1})) == []


# CACHE_TYPE.


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("simplecache", "which is a module.*Did you mean 'SimpleCache'"),
        ("rediscache", "which is a module.*Did you mean 'RedisCache'"),
        ("nullcache", "which is a module.*Did you mean 'NullCache'"),
        ("SimpelCache", "no such backend. Did you mean 'SimpleCache'"),
        ("SIMPLECACHE", "no such backend. Did you mean 'SimpleCache'"),
        ("Redis", "no such backend. Did you mean 'RedisCache'"),
        ("FilesystemCache", "no such backend. Did you mean 'FileSystemCache'"),
        ("Memcached", "no such backend. Did you mean 'MemcachedCache'"),
        ("FileCache", "Did you mean 'FileSystemCache'"),
        ("file_based", "Did you mean 'FileSystemCache'"),
        ("memory", "Did you mean 'SimpleCache'"),
        ("django.core.cache.backends.locmem.LocMemCache", "mean 'SimpleCache'"),
        ("memcache", "Did you mean 'MemcachedCache'"),
        ("dummy", "Did you mean 'NullCache'"),
        ("gcs", "Did you mean 'GoogleCloudStorageCache'"),
        (" SimpleCache ", "Did you mean 'SimpleCache'"),
        ("unheard-of", "no such backend. Names: FileSystemCache"),
        ("flask_caching.backends", "which is a module: name the backend in it"),
        ("flask_caching.backends.rediscache", "which is a module.*Did you mean 'RedisCache'"),
        ("flask_caching.contrib.uwsgicache", "which is a module.*Did you mean 'UWSGICache'"),
        ("flask_caching.backends.simple.SimpleCache", "cannot be imported.*mean 'SimpleCache'"),
        ("flask_caching.backends.SimpleCash", "cannot be imported.*mean 'SimpleCache'"),
        ("flask_cache.backends.simple", "cannot be imported.*mean 'SimpleCache'"),
        ("werkzeug.contrib.cache.SimpleCache", "cannot be imported.*mean 'SimpleCache'"),
        ("no.such.thing", "cannot be imported"),
        ("os.path", "which is a module"),
        ("os.sep", "which is a str and makes no backend"),
        ("json.loads", r"makes no backend.*\(app, config, args, kwargs\)"),
        ("decimal.Decimal", r"makes no backend.*\(app, config, args, kwargs\)"),
        ("redis://localhost", "is a URL.*CACHE_REDIS_URL"),
        ("", "must be the name or import string"),
        (None, "must be the name or import string"),
        (5, "must be the name or import string"),
        (lambda app, config, args, kwargs: None, "made a NoneType and no backend"),
        (lambda app, args, kwargs: {}.keys(), "made a dict_keys and no backend"),
    ],
)
def test_a_type_that_is_none(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){said}") as failure:
        make(CACHE_TYPE=given)
    assert "CACHE_TYPE" in str(failure.value)


# Cache().


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Cache({"CACHE_TYPE": "x"}), r"not a dict.*Cache\(app, config=\{...\}\)"),
        (lambda: Cache("SimpleCache"), r"not a str.*Cache\(app\)"),
        (lambda: Cache(Flask), "the class Flask"),
        (lambda: Cache().init_app(None), r"not a NoneType.*cache.init_app\(app\)"),
        (lambda: Cache().init_app({"CACHE_TYPE": "x"}), "not a dict"),
        (lambda: Cache(Flask("x"), config="SimpleCache"), "`config` must be a dict"),
        (lambda: Cache().init_app(Flask("x"), ["CACHE_TYPE"]), "`config` must be a dict"),
    ],
)
def test_what_is_no_application(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        call()


@pytest.mark.parametrize(
    "call", [blueprint, metrics.prometheus, metrics.opentelemetry], ids=lambda call: call.__name__
)
def test_what_is_to_be_shown_and_is_no_cache(call: Any) -> None:
    cache = make()
    for given, kind in ((Flask("x"), "Flask"), (cache.cache, "SimpleCache")):
        with pytest.raises(CacheConfigError, match=rf"{call.__name__}\(cache.* not a {kind}"):
            call(given)


def test_settings_in_the_place_of_another_argument() -> None:
    app = Flask("x")
    app.config.update(SIMPLE)
    (said,) = messages(lambda: Cache(app, {"CACHE_DEFAULT_TIMEOUT": 5}))  # type: ignore[arg-type]
    assert "Cache(app, config={...})" in said


@pytest.mark.parametrize("timeout", [-1, "-1", -0.5])
def test_a_default_timeout_that_is_over_at_once(timeout: Any) -> None:
    (said,) = messages(lambda: make(CACHE_DEFAULT_TIMEOUT=timeout))
    assert said.startswith(f"CACHE_DEFAULT_TIMEOUT={float(timeout):g} is over at once")
    assert said.endswith("write 0 for what does not expire")


@pytest.mark.parametrize("decorator", [Cache.cached, Cache.memoize, Cache.page])
def test_a_decorator_that_is_called_on_the_class(decorator: Any) -> None:
    with pytest.raises(TypeError, match=rf"make a cache first.*@cache.{decorator.__name__}\(50\)"):
        decorator(50)


# Values.


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({**SIMPLE, "CACHE_DEFAULT_TIMEOUT": "1h"}, "CACHE_DEFAULT_TIMEOUT must be a number"),
        ({**SIMPLE, "CACHE_THRESHOLD": "many"}, "CACHE_THRESHOLD must be a whole number"),
        (
            {**SIMPLE, "CACHE_OPTIONS": {"thresold": 5}},
            "unknown 'thresold'. Did you mean 'threshold'",
        ),
        ({**SIMPLE, "CACHE_OPTIONS": "threshold=5"}, "CACHE_OPTIONS must be a dict"),
        ({**SIMPLE, "CACHE_HASH_METHOD": "md5"}, "CACHE_HASH_METHOD must be a hash constructor"),
        ({**SIMPLE, "CACHE_SOURCE_CHECK": "perhaps"}, "CACHE_SOURCE_CHECK must be True or False"),
        ({**SIMPLE, "CACHE_STORE_PRIVATE": "perhaps"}, "CACHE_STORE_PRIVATE must be True or False"),
        ({**SIMPLE, "CACHE_SERIALIZER": "json"}, "CACHE_SERIALIZER must be a subclass"),
        (
            {**REDIS, "CACHE_REDIS_HOST": "redis://localhost:6379"},
            "URL goes into CACHE_REDIS_URL",
        ),
        ({**REDIS, "CACHE_REDIS_HOST": "localhost:6379"}, "A port has a setting of its own"),
        ({**REDIS, "CACHE_REDIS_HOST": "user:secret@host"}, "so has a password"),
        ({**REDIS, "CACHE_REDIS_HOST": None}, "CACHE_REDIS_HOST must be a host name"),
        ({**REDIS, "CACHE_REDIS_HOST": ["secret"]}, "CACHE_REDIS_HOST must be a host name"),
        ({**REDIS, "CACHE_REDIS_PORT": "secret"}, "CACHE_REDIS_PORT must be a port number"),
        ({**REDIS, "CACHE_REDIS_PORT": 99999}, "CACHE_REDIS_PORT must be a port number"),
        ({**REDIS, "CACHE_REDIS_DB": "main"}, "CACHE_REDIS_DB must be a whole number"),
        ({**REDIS, "CACHE_REDIS_URL": "localhost:6379"}, "must start with redis://"),
        ({**REDIS, "CACHE_REDIS_URL": "http://localhost"}, "must start with redis://"),
        ({**REDIS, "CACHE_REDIS_URL": "redis://:a/secret@host"}, "percent-encoded"),
        ({"CACHE_TYPE": "RedisClusterCache"}, "CACHE_REDIS_CLUSTER.*host1:port1"),
        (
            {"CACHE_TYPE": "RedisClusterCache", "CACHE_REDIS_CLUSTER": "localhost"},
            "CACHE_REDIS_CLUSTER.*host1:port1",
        ),
        (
            {"CACHE_TYPE": "RedisClusterCache", "CACHE_REDIS_CLUSTER": ["localhost:7000"]},
            "CACHE_REDIS_CLUSTER must be a string",
        ),
        (
            {"CACHE_TYPE": "RedisSentinelCache", "CACHE_REDIS_SENTINELS": "localhost:26379"},
            "CACHE_REDIS_SENTINELS must be a list or tuple of server addresses",
        ),
        (
            {"CACHE_TYPE": "RedisSentinelCache", "CACHE_REDIS_SENTINELS": ["localhost"]},
            "CACHE_REDIS_SENTINELS",
        ),
        (
            {"CACHE_TYPE": "RedisSentinelCache", "CACHE_REDIS_SENTINEL_MASTER": None},
            "CACHE_REDIS_SENTINEL_MASTER is missing",
        ),
        (
            {"CACHE_TYPE": "RedisSentinelCache", "CACHE_REDIS_SENTINEL_MASTER": ""},
            "CACHE_REDIS_SENTINEL_MASTER is missing",
        ),
        (
            {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": "localhost:11211"},
            "CACHE_MEMCACHED_SERVERS must be a list or tuple",
        ),
        ({"CACHE_TYPE": "FileSystemCache"}, "CACHE_DIR must be the path of a directory"),
    ],
)
def test_a_value_that_cannot_be_meant(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){said}") as failure:
        Cache(Flask("x"), config=config)
    assert "secret" not in str(failure.value)


# Servers.


def test_nobody_listens() -> None:
    cache = Cache(Flask("x"), config={**REDIS, "CACHE_REDIS_PORT": 1})
    with pytest.raises(RuntimeError, match=r"on Redis at localhost:1 failed.*[Rr]efused"):
        cache.get("a")


@pytest.mark.parametrize("password", [None, "wr0ng-secret"])
def test_a_wrong_password_of_redis(redis_password: Any, password: str | None) -> None:
    backend = RedisCache("127.0.0.1", redis_password.port, password=password)
    with pytest.raises(RuntimeError, match="CACHE_REDIS_PASSWORD") as failure:
        backend.get("a")
    assert "wr0ng" not in str(failure.value)


def test_a_wrong_password_of_memcached(memcached_sasl: Any) -> None:
    config = {
        "CACHE_TYPE": "SASLMemcachedCache",
        "CACHE_MEMCACHED_SERVERS": [memcached_sasl.address],
        "CACHE_MEMCACHED_USERNAME": "username",
        "CACHE_MEMCACHED_PASSWORD": "wr0ng-secret",
    }
    cache = Cache(Flask("x"), config=config)
    with pytest.raises(RuntimeError, match="CACHE_MEMCACHED_PASSWORD") as failure:
        cache.get("a")
    assert "wr0ng" not in str(failure.value)
