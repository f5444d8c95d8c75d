"""What a memcached cache of either package does; run in a process with one of them."""

from __future__ import annotations

import decimal
from typing import Any

from flask import Flask, Response
from flask_caching import Cache

VALUES: dict[str, Any] = {
    "str": "text é",
    "empty": "",
    "bytes": b"\0bytes",
    "no bytes": b"",
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
VALUES = {key.replace(" ", "_"): value for key, value in VALUES.items()}


def open_cache(servers: list[str], kind: str, **options: Any) -> tuple[Flask, Cache]:
    app = Flask("memcached_programs")
    app.config.update(
        CACHE_TYPE=kind,
        CACHE_MEMCACHED_SERVERS=servers,
        CACHE_MEMCACHED_USERNAME=None,
        CACHE_MEMCACHED_PASSWORD=None,
        CACHE_OPTIONS=options,
    )
    return app, Cache(app)


def write(servers: list[str], kind: str) -> None:
    app, cache = open_cache(servers, kind)
    with app.app_context():
        for key, value in VALUES.items():
            cache.set(key, value, timeout=300)
        cache.set("response", Response("body", 201, {"X-Test": "yes"}))
        cache.cache.inc("counted", 5)


def read(servers: list[str], kind: str) -> dict[str, str]:
    """What is read, by what should have been: empty where all is right."""
    app, cache = open_cache(servers, kind)
    wrong = {}
    with app.app_context():
        for key, value in VALUES.items():
            # In 2.5.1 "!" makes a key one that is never read, and a bool comes back as an int.
            found = cache.get(key)
            if found != value:
                wrong[key] = repr(found)
        response = cache.get("response")
        if (response.data, response.status_code, response.headers["X-Test"]) != (
            b"body",
            201,
            "yes",
        ):
            wrong["response"] = repr(response)
        if kind == "MemcachedCache" and cache.cache.inc("counted") != 6:
            wrong["counted"] = "not counted on"
    return wrong


def serve(servers: list[str], kind: str) -> tuple[list[str], list[str]]:
    """The answers of cached views and memoized functions, and which of them were computed."""
    app, cache = open_cache(servers, kind)
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


def spread_write(servers: list[str], value: Any) -> None:
    app, cache = open_cache(servers, "SpreadSASLMemcachedCache")
    with app.app_context():
        cache.set("large", value)


def spread_read(servers: list[str]) -> Any:
    app, cache = open_cache(servers, "SpreadSASLMemcachedCache")
    with app.app_context():
        return cache.get("large")


def spread_delete(servers: list[str]) -> None:
    app, cache = open_cache(servers, "SpreadSASLMemcachedCache")
    with app.app_context():
        cache.delete("large")
