"""What does FileSystemCache cost, with a cache that is full?"""

from __future__ import annotations

import atexit
import tempfile
from itertools import count

from flask_caching import Cache
from question import Question, Statement, make

THRESHOLD = 500


def full_cache() -> Cache:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    _, cache = make(CACHE_TYPE="FileSystemCache", CACHE_DIR=folder.name, CACHE_THRESHOLD=THRESHOLD)
    for number in range(THRESHOLD):
        cache.set(f"entry {number}", "a value")
    return cache


def get(value: str | bytes = "a value") -> Statement:
    cache = full_cache()
    cache.set("key", value)
    return Statement("cache.get('key')", {"cache": cache})


def set_() -> Statement:
    code = "cache.set(f'key {next(numbers)}', 'a value')"
    return Statement(code, {"cache": full_cache(), "numbers": count()})


def miss() -> Statement:
    @full_cache().memoize(timeout=300)
    def double(number: int) -> int:
        return number + number

    return Statement("double(next(numbers))", {"double": double, "numbers": count()})


QUESTIONS = [
    Question("FileSystemCache get", get, ratio=2),
    Question("FileSystemCache get of 1 MB of text", lambda: get("x" * 1_000_000)),
    Question("FileSystemCache get of 1 MB of bytes", lambda: get(b"x" * 1_000_000)),
    Question("FileSystemCache set, cache full", set_, ratio=10),
    Question("FileSystemCache memoize miss, cache full", miss, ratio=100),
]
