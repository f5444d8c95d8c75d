"""What does the cache cost on memcached, over loopback, beside pylibmc?"""

from __future__ import annotations

import os
from itertools import count

from flask_caching import Cache
from question import Question, Statement, make

PORT = "FLASK_CACHING_BENCH_MEMCACHED_PORT"


def memcached() -> Cache:
    return make(
        CACHE_TYPE="MemcachedCache",
        CACHE_MEMCACHED_SERVERS=[f"127.0.0.1:{os.environ[PORT]}"],
        CACHE_KEY_PREFIX=f"bench{os.getpid()}_",
    )[1]


def hit() -> Statement:
    @memcached().memoize(timeout=300)
    def add(a: int, b: int) -> int:
        return a + b

    return Statement("add(3, 4)", {"add": add})


def miss() -> Statement:
    @memcached().memoize(timeout=300)
    def double(number: int) -> int:
        return number + number

    return Statement("double(next(numbers))", {"double": double, "numbers": count()})


def get() -> Statement:
    cache = memcached()
    cache.set("key", "a value")
    return Statement("cache.get('key')", {"cache": cache})


def get_large() -> Statement:
    cache = memcached()
    cache.set("key", b"x" * 100_000)
    return Statement("cache.get('key')", {"cache": cache})


def set_() -> Statement:
    return Statement("cache.set('key', 'a value')", {"cache": memcached()})


def get_many() -> Statement:
    cache = memcached()
    keys = [f"key{number}" for number in range(100)]
    cache.set_many(dict.fromkeys(keys, "a value"))
    return Statement("cache.get_many(*keys)", {"cache": cache, "keys": keys})


QUESTIONS = [
    Question("Memcached memoize hit", hit, ratio=1, needs=PORT),
    Question("Memcached memoize miss", miss, ratio=1, needs=PORT),
    Question("Memcached get of a str", get, ratio=1, needs=PORT),
    Question("Memcached get of 100 kB", get_large, ratio=1, needs=PORT),
    Question("Memcached set of a str", set_, ratio=1, needs=PORT),
    Question("Memcached get_many of 100", get_many, ratio=1, needs=PORT),
]
