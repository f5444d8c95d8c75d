"""What do plain reads and writes cost, through `Cache` and on the backend?"""

from __future__ import annotations

from typing import Any

from question import Question, Statement, make


def cache_statement(code: str) -> Statement:
    _, cache = make()
    cache.set_many({f"key{i}": f"value {i}" for i in range(10)})
    return Statement(code, {"cache": cache, "keys": [f"key{i}" for i in range(10)]})


def backend_statement(code: str) -> Statement:
    _, cache = make()
    cache.set("key1", "value 1")
    return Statement(code, {"backend": cache.cache})


def cachetools_statement(code: str) -> Statement:
    import cachetools

    store: Any = cachetools.TTLCache(maxsize=500, ttl=300)
    store["key1"] = "value 1"
    return Statement(code, {"store": store})


def cachebox_statement(code: str) -> Statement:
    import cachebox

    store = cachebox.TTLCache[str, str](500, 300)
    store["key1"] = "value 1"
    return Statement(code, {"store": store})


QUESTIONS = [
    Question("cache.get of a str", lambda: cache_statement("cache.get('key1')"), 9, 0.25),
    Question(
        "cache.set of a str", lambda: cache_statement("cache.set('key1', 'another value')"), 7, 0.4
    ),
    Question(
        "backend get of a str",
        lambda: backend_statement("backend.get('key1')"),
        ratio=6,
        micros=0.10,
        peers={
            "cachebox": lambda: cachebox_statement("store.get('key1')"),
            "cachetools": lambda: cachetools_statement("store.get('key1')"),
        },
    ),
    Question(
        "backend set of a str",
        lambda: backend_statement("backend.set('key1', 'another value')"),
        ratio=6,
        micros=0.13,
        peers={
            "cachebox": lambda: cachebox_statement("store['key1'] = 'another value'"),
            "cachetools": lambda: cachetools_statement("store['key1'] = 'another value'"),
        },
    ),
    Question("cache.delete", lambda: cache_statement("cache.delete('no key')")),
    Question("get_many of 10", lambda: cache_statement("cache.get_many(*keys)"), 14, 0.5),
]
