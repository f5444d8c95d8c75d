"""OpenTelemetry is told of counts, and of each operation that goes to a server."""

from __future__ import annotations

import asyncio
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
        return {metric.name: metric.data.data_points for metrics in of_all for metric in metrics}


@pytest.fixture(params=["redis", "memcached"])
def system(request: pytest.FixtureRequest) -> tuple[str, int, dict[str, Any]]:
    server = request.getfixturevalue(f"{request.param}_server")
    if request.param == "redis":
        config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": "127.0.0.1"}
        return "redis", server.port, {**config, "CACHE_REDIS_PORT": server.port}
    servers = {"CACHE_MEMCACHED_SERVERS": [f"127.0.0.1:{server.port}"]}
    return "memcached", server.port, {"CACHE_TYPE": "MemcachedCache", **servers}


def test_spans(app: Flask, system: tuple[str, int, dict[str, Any]]) -> None:
    name, port, config = system
    cache = Cache(app, config=config)
    watched = Watched(cache)
    with app.app_context(), watched.tracer.start_as_current_span("request") as request:
        cache.set("secret-key", "secret-value")
        assert cache.get("secret-key") == "secret-value"
        assert cache.get_many("a", "b") == [None, None]
        cache.delete("secret-key")
    spans = watched.spans()
    where = f"127.0.0.1:{port}"
    assert [span.name for span in spans] == [
        f"{op} {where}" for op in ["SET", "GET", "MGET", "DELETE"]
    ]
    for span in spans:
        assert span.kind is SpanKind.CLIENT
        assert span.parent is not None
        assert span.parent.span_id == request.get_span_context().span_id
        assert span.attributes["db.system.name"] == name
        assert span.attributes["server.address"] == "127.0.0.1"
        assert span.attributes["server.port"] == port
        assert span.attributes.get("db.namespace") == ("0" if name == "redis" else None)
        assert "secret" not in span.to_json()
    assert spans[2].attributes["db.operation.batch.size"] == 2
    durations = watched.metrics()["db.client.operation.duration"]
    assert sum(point.count for point in durations) == 4


def test_spans_of_coroutines_are_children(
    app: Flask, system: tuple[str, int, dict[str, Any]]
) -> None:
    cache = Cache(app, config=system[2])
    watched = Watched(cache)

    @cache.memoize()
    async def function(a: int) -> int:
        return a

    async def main() -> None:
        with watched.tracer.start_as_current_span("request") as request:
            await function(1)
            parents = {span.parent.span_id for span in watched.spans()}
            assert parents == {request.get_span_context().span_id}

    with app.app_context():
        cache.clear()
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
