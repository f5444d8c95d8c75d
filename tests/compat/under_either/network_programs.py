"""What a cache of either package does on Redis or memcached; run in a process with one of them."""

from __future__ import annotations

import decimal
from typing import Any

from flask import Flask, Response
from flask_caching import Cache

#: What is stored under keys that every server takes.
VALUES: dict[str, Any] = {
    "str": "text é",
    "empty": "",
    "bytes": b"\0bytes",
    "no_bytes": b"",
    "int": 7,
    "negative": -7,
    "big": 2**80,
    "true": True,
    "false": False,
    "float": 1.5,
    "none": None,
    "list": [1, {"a": (None, {2})}],
    "decimal": decimal.Decimal("1.10"),
    "long": "x" * 100_000,
    "é": "key outside ASCII",
    "bang~{}[]|\\^": "odd but legal key",
    "k" * 200: "long key",
}

#: Keys that only Redis takes from Flask-Caching.
REDIS_VALUES = {"é \r\n\0": "odd key", "k" * 300: "longer key"}


def is_redis(config: dict[str, Any]) -> bool:
    return bool(config["CACHE_TYPE"] == "RedisCache")


def values_for(config: dict[str, Any]) -> dict[str, Any]:
    return VALUES | (REDIS_VALUES if is_redis(config) else {})


def open_cache(config: dict[str, Any]) -> tuple[Flask, Cache]:
    app = Flask("network_programs")
    app.config.update(config)
    return app, Cache(app)


def write(config: dict[str, Any]) -> None:
    app, cache = open_cache(config)
    with app.app_context():
        for key, value in values_for(config).items():
            stored = cache.set(key, value, timeout=300)
            # Some Memcached backends of 2.5.1 do not say.
            assert stored or not is_redis(config)
        stored = cache.set("response", Response("body", 201, {"X-Test": "yes"}))
        assert stored or not is_redis(config)
        cache.cache.inc("counted", 5)


def read(config: dict[str, Any]) -> dict[str, str]:
    """What is read, by what should have been: empty where all is right."""
    app, cache = open_cache(config)
    wrong = {}
    with app.app_context():
        for key, value in values_for(config).items():
            found = cache.get(key)
            # On memcached, 2.5.1 reads a bool as an int, and has no None.
            exact = not is_redis(config) or (type(found) is type(value) and cache.has(key))
            if found != value or not exact:
                wrong[key] = repr(found)
        response = cache.get("response")
        if (response.data, response.status_code, response.headers["X-Test"]) != (
            b"body",
            201,
            "yes",
        ):
            wrong["response"] = repr(response)
        counts = config["CACHE_TYPE"] in ("RedisCache", "MemcachedCache")
        if counts and cache.cache.inc("counted") != 6:
            wrong["counted"] = "not counted on"
    return wrong


def serve(config: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The answers of cached views and memoized functions, and which of them were computed."""
    app, cache = open_cache(config)
    computed: list[str] = []

    class Shop:
        def __repr__(self) -> str:
            return "Shop"

        @cache.memoize()
        def price(self, item: str) -> str:
            computed.append("method")
            return f"price of {item}"

    @cache.memoize()
    def twice(number: int) -> int:
        computed.append("function")
        return 2 * number

    @app.get("/plain")
    @cache.cached()
    def plain() -> str:
        computed.append("view")
        return "plain"

    @app.get("/query")
    @cache.cached(query_string=True)
    def query() -> str:
        computed.append("query")
        return "query"

    client = app.test_client()
    answers = [client.get(path).text for path in ("/plain", "/query?b=2&a=1", "/query?a=1&b=2")]
    with app.app_context():
        answers += [str(twice(21)), Shop().price("tea")]
    return answers, computed


def spread_write(config: dict[str, Any], value: Any) -> None:
    app, cache = open_cache(config)
    with app.app_context():
        cache.set("large", value)


def spread_read(config: dict[str, Any]) -> Any:
    app, cache = open_cache(config)
    with app.app_context():
        return cache.get("large")


def spread_delete(config: dict[str, Any]) -> None:
    app, cache = open_cache(config)
    with app.app_context():
        cache.delete("large")
