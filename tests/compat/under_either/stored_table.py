"""Values, memoized results and views that one package stores and the other reads.

Run by ``worker.py`` in both interpreters on one store.
"""

from __future__ import annotations

import datetime
import decimal
import importlib.util
import uuid
from collections import OrderedDict
from typing import Any

from flask import Flask, Response, abort, make_response
from flask_caching import Cache, CachedResponse
from markupsafe import Markup

VALUES: dict[str, Any] = {
    "str": "text", "empty": "", "unicode": "é日本\U0001f600", "nul": "a\x00b", "digits": "123",
    "like-pickle": "!\x80\x04K\x01.", "bytes": b"\x00\xff", "empty-bytes": b"", "bang": b"!x",
    "digit-bytes": b"42", "int": 42, "zero": 0, "negative": -7, "big": 2**70, "true": True,
    "false": False, "float": 0.1, "inf": float("inf"), "none": None, "tuple": (1, ("a", None)),
    "list": [1, [2.5, b"x"]], "dict": {"a": {"b": [1]}, 2: None}, "set": {1, 2},
    "frozenset": frozenset({"x"}), "complex": 1 + 2j, "decimal": decimal.Decimal("1.10"),
    "date": datetime.datetime(2024, 2, 29, 12, 30), "uuid": uuid.UUID(int=7),
    "ordered": OrderedDict(b=1, a=2), "markup": Markup("<b>"), "large": "x" * 200_000,
    "bytearray": bytearray(b"ab"), "range": range(5),
}  # fmt: skip


class Shop:
    """Memoized methods, equal in both processes by their representation."""

    def __repr__(self) -> str:
        return "Shop(1)"


def _world(
    config: dict[str, Any], **options: Any
) -> tuple[Flask, Cache, list[str], dict[str, Any]]:
    """An application on the store, and memoized functions that note when they run.

    :param options: of the decorators, which 2.5.1 has not.
    """
    app = Flask(__name__)
    cache = Cache(app, config=config)
    ran: list[str] = []

    @cache.memoize(timeout=300, **options)
    def function(a: Any, b: Any = 1) -> Any:
        ran.append("function")
        return {"a": a, "b": b}

    def method(self: Shop, a: Any) -> Any:
        ran.append("method")
        return [a]

    method.__qualname__ = "Shop.method"
    Shop.method = cache.memoize(timeout=300, **options)(method)  # type: ignore[attr-defined]

    def view(kind: str) -> Any:
        ran.append(f"view {kind}")
        if kind == "response":
            return make_response("body é", 202, {"X-Kind": "response"})
        if kind == "timed":
            return CachedResponse(Response("timed", mimetype="text/csv"), timeout=60)
        if kind == "missing":
            abort(404, description="gone")
        answers = {"json": {"a": [1]}, "tuple": ("t", 201, {"X-Kind": "t"}), "bytes": b"\x00b"}
        return answers.get(kind, f"text {kind}")

    view.__name__ = "view"
    app.add_url_rule("/view/<kind>", "view", cache.cached(timeout=300, **options)(view))
    view.__name__ = "queried"
    cached = cache.cached(timeout=300, query_string=True, **options)(view)
    app.add_url_rule("/queried/<kind>", "queried", cached)
    return app, cache, ran, {"function": function}


URLS = [
    "/view/text", "/view/json", "/view/tuple", "/view/bytes", "/view/response", "/view/timed",
    "/view/missing", "/queried/text?b=2&a=1", "/queried/é?x=%C3%A9",
]  # fmt: skip


def _ask(app: Flask, url: str) -> tuple[int, bytes, str | None, str | None]:
    answer = app.test_client().get(url)
    return answer.status_code, answer.data, answer.content_type, answer.headers.get("X-Kind")


def _use(app: Flask, functions: dict[str, Any]) -> list[Any]:
    with app.app_context():
        results = [functions["function"](a, b=2) for a in ("x", 1, (1, "é"), {"k": [1]})]
        results += [Shop().method(a) for a in ("x", None)]  # type: ignore[attr-defined]
    return results + [_ask(app, url) for url in URLS]


def write(config: dict[str, Any], **options: Any) -> list[Any]:
    """Store everything; returns what the functions and views answered.

    :param options: of the decorators; ``tags`` also of the values.
    """
    app, cache, ran, functions = _world(config, **options)
    tags = {"tags": options["tags"]} if "tags" in options else {}
    with app.app_context():
        cache.clear()
        for name, value in VALUES.items():
            assert cache.set(f"value-{name}", value, timeout=300, **tags), name
        cache.set_many({"many-one": 1, "many-two": [2]}, timeout=300, **tags)
        cache.add("added", ("a", 1), timeout=0, **tags)
        cache.set("never", "expires", timeout=0, **tags)
    answers = _use(app, functions)
    assert len(ran) == len(answers)
    return answers


def write_with_metadata(config: dict[str, Any]) -> list[Any]:
    """The same with tags, and old values that are kept."""
    kept = {"stale_while_revalidate": 600, "stale_if_error": 600}
    return write(config, tags=("user:5", "all"), **kept)


def read(config: dict[str, Any]) -> tuple[dict[str, Any], list[Any], list[str]]:
    """What the store holds, what the functions and views answer, and which of them ran."""
    app, cache, ran, functions = _world(config)
    with app.app_context():
        names = [f"value-{name}" for name in VALUES]
        values = dict(zip(VALUES, cache.get_many(*names), strict=True))
        single = {name: cache.get(f"value-{name}") for name in VALUES}
        assert repr(single) == repr(values)
        assert cache.get_many("many-one", "many-two", "absent") == [1, [2], None]
        assert cache.get("added") == ("a", 1)
        assert cache.get("never") == "expires"
        assert cache.add("never", "other") is False
        assert cache.has("value-none")
    return values, _use(app, functions), ran


def forget(config: dict[str, Any]) -> None:
    """Forget the memoized function as a whole, one call of the method, one view, one value."""
    app, cache, _, functions = _world(config)
    with app.test_request_context():
        cache.delete_memoized(functions["function"])
        cache.delete_memoized(Shop().method, "x")  # type: ignore[attr-defined]
        cache.delete("view//view/text")
        cache.delete("value-str")
        cache.delete_many("value-int", "many-one")


def ran_after_forgetting(config: dict[str, Any]) -> tuple[list[str], list[Any]]:
    """Which functions and views run again, and the values that are gone."""
    app, cache, ran, functions = _world(config)
    _use(app, functions)
    with app.app_context():
        return ran, cache.get_many("value-str", "value-int", "many-one", "many-two")


def has_pylibmc() -> bool:
    """Whether the Memcached backend of 2.5.1 can work here."""
    return importlib.util.find_spec("pylibmc") is not None


def clear(config: dict[str, Any]) -> None:
    """Remove everything that this cache may hold."""
    app, cache, _, _ = _world(config)
    with app.app_context():
        cache.clear()


def count(config: dict[str, Any], delta: int) -> int:
    """Increment a counter that both packages share."""
    app, cache, _, _ = _world(config)
    with app.app_context():
        value: int = cache.cache.inc("counter", delta)
        return value
