"""No user name, password or key stands in a message, whatever is wrong with its setting."""

import logging
import os
import random
import string
from urllib.parse import quote

import pytest
import redis
from flask import Flask
from flask_caching import Cache
from flask_caching.backends import MemcachedCache, RedisCache, SASLMemcachedCache
from flask_caching.errors import CacheBackendError, CacheError
from redis_servers import RedisServer

SEED = int(os.environ.get("COMPAT_SEED", "20260"))

#: What a password may hold that means something in a URL or in an encoding.
SIGNS = (*":/?#[]@%&=+;, \\'\"\t\n", "%41", "://", "\u2100", "\u00e9", "\ud800", "12", "=1&")


class Secret:
    """A password of random letters with random signs in it; any run of its letters betrays it."""

    def __init__(self, rng):
        letters = ["".join(rng.choices(string.ascii_lowercase, k=9)) for _ in range(3)]
        signs = [rng.choice(SIGNS) if rng.random() < 0.8 else "" for _ in range(4)]
        self.letters = letters
        self.text = "".join(sign + run for sign, run in zip(signs, [*letters, ""], strict=True))

    @property
    def bytes(self):
        return self.text.encode("utf-8", "surrogatepass")

    def stands_in(self, text):
        return any(run in text.lower() for run in self.letters)


def url_of(rng, secret):
    """A URL with the secret somewhere, encoded or not."""
    quoted = quote(secret.bytes, safe="") if rng.random() < 0.3 else secret.text
    place = rng.choice(["127.0.0.1:1", "127.0.0.1:1/0", "127.0.0.1:1/x", "localhost:p", "[::1]:1"])
    return rng.choice(
        [
            f"redis://:{quoted}@{place}",
            f"rediss://user:{quoted}@{place}",
            f"redis://{quoted}:password@{place}",
            f"redis://{quoted}@{place}",
            f"redis://:{quoted}@{place}?colour=red",
            f"redis://:{quoted}@{place}?db=one&socket_timeout=0.1",
            f"redis://127.0.0.1:1/0?password={quoted}",
            f"redis://127.0.0.1:1/0?username={quoted}&ssl=perhaps",
            f"redis://127.0.0.1:1?protocol=5&password={quoted}&db=2",
            f"unix://:{quoted}@/nowhere.sock",
            f"unix://user:{quoted}@/nowhere.sock?db=1",
            f"http://:{quoted}@{place}",
        ]
    )


def settings_of(rng, secret):
    """The configuration of a cache with the secret somewhere, and something wrong."""
    value = rng.choice([secret.text, secret.bytes, [secret.text], {secret.text}, secret.bytes[:-2]])
    login = f"user:{secret.text}@127.0.0.1:1"
    url = url_of(rng, secret)
    redis = rng.choice(
        [
            {"CACHE_REDIS_URL": url},
            {"CACHE_REDIS_URL": rng.choice([url.encode("utf-8", "surrogatepass"), [url]])},
            {"CACHE_REDIS_HOST": rng.choice([url, login])},
            {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": rng.choice([login, url])},
            {"CACHE_REDIS_PASSWORD": value, "CACHE_REDIS_PORT": 1},
            {"CACHE_OPTIONS": {rng.choice(["password", "username"]): value}, "CACHE_REDIS_PORT": 1},
            {"CACHE_OPTIONS": rng.choice([url, [url], login])},
            {"CACHE_ARGS": rng.choice([url, {url}])},
            {"CACHE_OPTIONS": {"ssl": True, "ssl_keyfile": f"-----BEGIN\n{secret.text}"}},
        ]
    )
    several = rng.choice([url, [url], [login], login, f"127.0.0.1:1,{login}", [(login, 1)]])
    memcached = {
        "CACHE_MEMCACHED_SERVERS": rng.choice(
            [["127.0.0.1:1"], [url], [login], url, [login.encode("utf-8", "surrogatepass")]]
        ),
        "CACHE_MEMCACHED_USERNAME": rng.choice(["user", value]),
        "CACHE_MEMCACHED_PASSWORD": value,
    }
    return rng.choice(
        [
            {"CACHE_TYPE": "RedisCache", **redis},
            {"CACHE_TYPE": "RedisClusterCache", "CACHE_REDIS_CLUSTER": several},
            {"CACHE_TYPE": "RedisClusterCache", "CACHE_REDIS_URL": url},
            {
                "CACHE_TYPE": "RedisSentinelCache",
                "CACHE_REDIS_SENTINELS": several,
                "CACHE_REDIS_SENTINEL_PASSWORD": value,
            },
            {"CACHE_TYPE": "MemcachedCache", **memcached},
            {"CACHE_TYPE": "SASLMemcachedCache", **memcached},
            {"CACHE_TYPE": "SpreadSASLMemcachedCache", **memcached},
            {"CACHE_TYPE": url},
            {"CACHE_TYPE": "SimpleCache", "CACHE_SIGNING_KEY": rng.choice([value, [value, 5]])},
        ]
    )


def chain(error):
    """The exception, and all that it leads to."""
    found, waiting = [], [error]
    while waiting:
        error = waiting.pop()
        if error is not None and error not in found:
            found.append(error)
            waiting += [error.__cause__, error.__context__]
    return found


def said(action, caplog):
    """All that ``action`` says: exceptions, how they look, and log lines."""
    caplog.clear()
    lines = []
    try:
        action()
    except Exception as error:
        for each in chain(error):
            lines += [str(each), repr(each), *map(str, getattr(each, "__notes__", ()))]
    return [*lines, *(record.getMessage() for record in caplog.records)]


def use(**settings):
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_KEY_PREFIX": "p", "CACHE_OPERATION_TIMEOUT": 0.2, **settings})
    with app.app_context():
        cache.set("key", "value")
        cache.get("key")


@pytest.mark.parametrize("part", range(8))
def test_nothing_that_is_said_holds_a_secret(part, caplog):
    caplog.set_level(logging.DEBUG)
    for number in range(100):
        seed = f"{SEED}-{part}-{number}"
        rng = random.Random(seed)
        secret = Secret(rng)
        settings = settings_of(rng, secret)
        for line in said(lambda settings=settings: use(**settings), caplog):
            assert not secret.stands_in(line), f"{seed}: {settings!r} says {line!r}"


@pytest.mark.parametrize("part", range(2))
def test_nor_what_constructors_say(part, caplog):
    caplog.set_level(logging.DEBUG)
    for number in range(100):
        seed = f"{SEED}-constructors-{part}-{number}"
        rng = random.Random(seed)
        secret = Secret(rng)
        value = rng.choice([secret.text, secret.bytes, [secret.text]])
        url = url_of(rng, secret)
        action = rng.choice(
            [
                lambda value=value: RedisCache("127.0.0.1", 1, value).get("key"),
                lambda s=secret: RedisCache(f"user:{s.text}@127.0.0.1", 1).get("key"),
                lambda url=url: RedisCache(redis_url=url).get("key"),
                lambda value=value: SASLMemcachedCache(
                    ["127.0.0.1:1"], username="user", password=value
                ).get("key"),
                lambda s=secret: MemcachedCache([f"user:{s.text}@127.0.0.1"]).get("key"),
            ]
        )
        for line in said(action, caplog):
            assert not secret.stands_in(line), f"{seed} says {line!r}"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pass/word@127.0.0.1:1/0",
        "redis://:12/word@127.0.0.1:1/0",
        "redis://:1?word@127.0.0.1:1/0",
        "redis://:pa@ss/word@127.0.0.1:1/0",
        "redis://:pa@ss?word=1@127.0.0.1:1/0",
        "redis://me:12#word@127.0.0.1:1/0",
        "redis://:[word@127.0.0.1:1/0",
        "unix://me:1/word@/run/redis.sock",
        "unix:///word@/run/redis.sock",
        "redis://127.0.0.1:1/?db=0&password=a#b&word=1@x",
    ],
)
def test_what_is_a_torn_password_is_refused_and_told_how_to_be_written(url):
    with pytest.raises(CacheError, match="percent-encoded") as raised:
        RedisCache(redis_url=url)
    assert len(chain(raised.value)) == 1
    assert "word@" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:p%40ss%2Fword@127.0.0.1:1/0",
        "redis://:p@ss@127.0.0.1:1/0",
        "redis://127.0.0.1:1/0?password=p@ss",
        "redis://127.0.0.1:1/0#primary",
        "unix:///run/redis@cache/redis.sock",
        "unix://:p%40ss@/run/redis.sock?client_name=me@here",
    ],
)
def test_what_can_be_read_without_doubt_is_read(url):
    with pytest.raises(CacheBackendError, match="connect"):
        RedisCache(redis_url=url).get("key")


class ServerWithoutLogin(RedisServer):
    """A server whose administrator gave the commands that log in other names."""

    def __init__(self, folder):
        super().__init__(folder, "--rename-command", "AUTH", "", "--rename-command", "HELLO", "")

    @property
    def admin(self):
        return redis.Redis(port=self.port, protocol=2, socket_timeout=5)


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_server_that_repeats_a_login_is_not_repeated(protocol, tmp_path, caplog):
    server = ServerWithoutLogin(tmp_path)
    server.start()
    try:
        for password in ("hunter22", "hunter22" + "x" * 200):
            cache = RedisCache(
                "127.0.0.1", server.port, password, username="somebody", protocol=protocol
            )
            lines = said(lambda cache=cache: cache.get("key"), caplog)
            assert "unknown command" in lines[0]
            assert not any("hunter22" in line or "somebody" in line for line in lines)
    finally:
        server.kill()
