"""OpenTelemetry is told of counts, and of each operation that goes to a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.metrics import opentelemetry
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode


class Watched:
    def __init__(self, cache: Cache) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        opentelemetry(cache, MeterProvider([self.reader]), self.provider)
        self.tracer = self.provider.get_tracer("test")

    def spans(self) -> list[Any]:
        spans = [one for one in self.exporter.get_finished_spans() if one.name != "request"]
        self.exporter.clear()
        return spans

    def metrics(self) -> dict[str, Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        of_all = [scope.metrics for one in data.resource_metrics for scope in one.scope_metrics]
        every = [metric for metrics in of_all for metric in metrics]
        # With a unit of 1, exporters call a number a ratio.
        assert all(metric.unit in ("s", "By") or metric.unit[0] == "{" for metric in every)
        return {metric.name: metric.data.data_points for metric in every}


def operation_of(span: Any) -> Any:
    return span.attributes["db.operation.name"]


#: What the servers of a backend are called, and the operations of `test_spans` on them.
SYSTEMS = {
    "RedisCache": ("redis", ["SET", "GET", "MGET", "UNLINK"]),
    "RedisSentinelCache": ("redis", ["SET", "GET", "MGET", "UNLINK"]),
    "RedisClusterCache": ("redis", ["SET", "GET", "MGET", "UNLINK"]),
    "MemcachedCache": ("memcached", ["set", "get", "get", "delete"]),
    "SASLMemcachedCache": ("memcached", ["set", "get", "get", "delete"]),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_spans(cache_on: Callable[..., Cache], name: str) -> None:
    cache = cache_on(name)
    cache.get("found-out")
    ports = {int(one.server.rpartition(":")[2]) for one in cache.health().servers}
    system, operations = SYSTEMS[name]
    watched = Watched(cache)
    with watched.tracer.start_as_current_span("request") as request:
        cache.set("secret-key", "secret-value")
        assert cache.get_many("a", "b") == [None, None]
        cache.get("secret-key")
        cache.delete("secret-key")
    spans = watched.spans()
    operations[1], operations[2] = operations[2], operations[1]
    assert [span.attributes["db.operation.name"] for span in spans] == operations
    for span in spans:
        assert span.kind is SpanKind.CLIENT
        assert span.parent is not None
        assert span.parent.span_id == request.get_span_context().span_id
        assert span.attributes["db.system.name"] == system
        assert span.attributes.get("db.namespace") == ("0" if system == "redis" else None)
        assert "db.operation.batch.size" not in span.attributes
        assert "secret" not in span.to_json()
        where, port = (span.attributes.get(f"server.{part}") for part in ("address", "port"))
        if operation_of(span) == "MGET" and name == "RedisClusterCache":
            # Two keys are on two servers.
            assert where is None
        else:
            assert where == "127.0.0.1"
            assert port in ports
        target = f" {where}:{port}" if where else ""
        assert span.name == span.attributes["db.operation.name"] + target
    durations = watched.metrics()["db.client.operation.duration"]
    assert sum(point.count for point in durations) == 4
    for point in durations:
        assert point.attributes["db.system.name"] == system


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        ("RedisCache", [("PIPELINE SET", 3), ("PIPELINE SET", None), ("UNLINK", None)]),
        ("MemcachedCache", [("set", 3), ("set", None), ("delete", 2)]),
    ],
)
def test_batches(
    cache_on: Callable[..., Cache], name: str, operations: list[tuple[str, int | None]]
) -> None:
    cache = cache_on(name)
    watched = Watched(cache)
    cache.set_many({"a": 1, "b": 2, "c": 3}), cache.set_many({"a": 1}), cache.delete_many("a", "b")
    found = [
        (span.attributes["db.operation.name"], span.attributes.get("db.operation.batch.size"))
        for span in watched.spans()
    ]
    assert found == operations


def test_a_cache_that_is_set_up_later(app: Flask, config_of: Callable[[str], Any]) -> None:
    cache = Cache()
    watched = Watched(cache)
    cache.init_app(app, config_of("RedisCache"))
    with app.app_context():
        cache.get("a")
    assert [span.attributes["db.operation.name"] for span in watched.spans()] == ["GET"]


@pytest.mark.parametrize("name", ["RedisCache", "MemcachedCache"])
def test_spans_of_coroutines_are_children(
    app: Flask, cache_on: Callable[..., Cache], name: str
) -> None:
    cache = cache_on(name)
    watched = Watched(cache)

    @cache.memoize()
    async def function(a: int) -> int:
        return a

    async def main() -> None:
        with watched.tracer.start_as_current_span("request") as request:
            await function(1)
            parents = {span.parent.span_id for span in watched.spans()}
            assert parents == {request.get_span_context().span_id}

    watched.spans()
    asyncio.run(main())


def test_a_failure_is_in_its_span(app: Flask) -> None:
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": 1, "CACHE_REDIS_PASSWORD": "hunter2"}
    cache = Cache(app, config={**config, "CACHE_REDIS_HOST": "127.0.0.1"})
    watched = Watched(cache)
    with app.app_context(), pytest.raises(Exception, match="get"):
        cache.get("a")
    (span,) = watched.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"].endswith("Error")
    assert "hunter2" not in span.to_json()


def test_counts(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    watched = Watched(cache)

    @cache.memoize()
    def function(a: int) -> int:
        return a

    with app.app_context():
        function(1), function(1), function(1)
    points = watched.metrics()["flask_caching.calls"]
    counts = {
        point.attributes["result"]: point.value
        for point in points
        if point.attributes["function"] == function.__qualname__
    }
    assert counts == {"hit": 2, "miss": 1}
    assert watched.spans() == []


@pytest.mark.parametrize(
    ("name", "operation"), [("RedisCache", "SCAN"), ("MemcachedCache", "lru_crawler")]
)
def test_a_list_of_keys_has_a_span(
    cache_on: Callable[..., Cache], name: str, operation: str
) -> None:
    cache = cache_on(name)
    watched = Watched(cache)
    backend: Any = cache.cache
    backend._list_keys("", 10)
    assert [operation_of(span) for span in watched.spans()] == [operation]


def test_what_no_request_asks_for_has_none(app: Flask, config_of: Callable[[str], Any]) -> None:
    cache = Cache(app, config={**config_of("RedisCache"), "CACHE_STATS_SHARED": 0.1})
    watched = Watched(cache)
    app.add_url_rule("/", view_func=lambda: "page")
    with app.app_context():
        cache.clear()
        app.test_client().get("/")
        end = time.monotonic() + 60
        keys: list[str] = []
        while not keys and time.monotonic() < end:
            keys = cache.cache._list_keys("flask_caching_stats/", 10)  # type: ignore[attr-defined]
    assert keys
    assert {operation_of(span) for span in watched.spans()} == {"UNLINK", "SCAN"}
