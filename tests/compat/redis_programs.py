"""What a RedisCache of either package does; run in a process with one of them."""

from __future__ import annotations

import decimal
from typing import Any

from flask import Flask, Response
from flask_caching import Cache

VALUES: dict[str, Any] = {
    "str": "text",
    "empty": "",
    "bytes": b"\0bytes",
    "int": 7,
    "negative": -7,
    "big": 2**80,
    "true": True,
    "float": 1.5,
    "none": None,
    "list": [1, {"a": (None, {2})}],
    "decimal": decimal.Decimal("1.10"),
    "long": "x" * 100_000,
    "é \r\n\0": "odd key",
    "k" * 300: "long key",
}


def open_cache(port: int, **config: Any) -> tuple[Flask, Cache]:
    app = Flask("redis_programs")
    app.config.update(
        CACHE_TYPE="RedisCache", CACHE_REDIS_HOST="127.0.0.1", CACHE_REDIS_PORT=port, **config
    )
    return app, Cache(app)


def write(port: int) -> None:
    app, cache = open_cache(port)
    with app.app_context():
        for key, value in VALUES.items():
            assert cache.set(key, value, timeout=300)
        assert cache.set("response", Response("body", 201, {"X-Test": "yes"}))
        cache.cache.inc("counted", 5)


def read(port: int) -> dict[str, str]:
    """What is read, by what should have been: empty where all is right."""
    app, cache = open_cache(port)
    wrong = {}
    with app.app_context():
        for key, value in VALUES.items():
            found = cache.get(key)
            if found != value or type(found) is not type(value) or not cache.has(key):
                wrong[key] = repr(found)
        response = cache.get("response")
        if (response.data, response.status_code, response.headers["X-Test"]) != (
            b"body",
            201,
            "yes",
        ):
            wrong["response"] = repr(response)
        if cache.cache.inc("counted") != 6:
            wrong["counted"] = "not counted on"
    return wrong


def serve(port: int) -> tuple[list[str], list[str]]:
    """The answers of cached views and memoized functions, and which of them were computed."""
    app, cache = open_cache(port)
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
