"""What does memoize cost on Redis, over loopback?"""

from __future__ import annotations

import os
from itertools import count

from flask_caching import Cache
from question import Question, Statement, make

PORT = "FLASK_CACHING_BENCH_REDIS_PORT"


def redis_cache() -> Cache:
    return make(
        CACHE_TYPE="RedisCache",
        CACHE_REDIS_HOST="127.0.0.1",
        CACHE_REDIS_PORT=int(os.environ[PORT]),
        CACHE_KEY_PREFIX=f"bench{os.getpid()}_",
    )[1]


def hit() -> Statement:
    @redis_cache().memoize(timeout=300)
    def add(a: int, b: int) -> int:
        return a + b

    return Statement("add(3, 4)", {"add": add})


def miss() -> Statement:
    @redis_cache().memoize(timeout=300)
    def double(number: int) -> int:
        return number + number

    return Statement("double(next(numbers))", {"double": double, "numbers": count()})


def get() -> Statement:
    cache = redis_cache()
    cache.set("key", "a value")
    return Statement("cache.get('key')", {"cache": cache})


def set_() -> Statement:
    return Statement("cache.set('key', 'a value')", {"cache": redis_cache()})


QUESTIONS = [
    Question("Redis memoize hit", hit, ratio=4, needs=PORT),
    Question("Redis memoize miss", miss, ratio=3, needs=PORT),
    Question("Redis get of a str", get, ratio=2, needs=PORT),
    Question("Redis set of a str", set_, ratio=2, needs=PORT),
]
