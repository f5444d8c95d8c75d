"""Metrics and spans for OpenTelemetry, by its API; the names are those of its conventions."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import SpanKind, Status, StatusCode

from .._engine import contacted_begin, contacted_end
from ..backends._observed.traced import BATCHES, Traced, command_of
from ._families import COUNTS, Family

if TYPE_CHECKING:
    from ..cache import Cache

__all__ = ["watch"]

_NAME = "flask_caching"

#: As OpenTelemetry advises for databases, in seconds.
_BOUNDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]


def watch(cache: Cache, meter_provider: Any, tracer_provider: Any) -> None:
    """See :func:`flask_caching.metrics.opentelemetry`."""
    meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
    for family in COUNTS:
        name = family.name.replace("flask_caching_", "flask_caching.")
        make = (
            meter.create_observable_counter
            if family.kind == "counter"
            else meter.create_observable_gauge
        )
        make(name, [_reader(weakref.ref(cache), family)], family.unit, family.doc)
    duration = _histogram(meter)
    tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)

    def look_at(backend: Any) -> None:
        if getattr(backend, "_is_remote", False):
            backend._trace = _Spans(tracer, duration, backend)

    # Also at those of applications that it is set up for later.
    cache._look_at_backend = look_at
    for state in cache._states:
        app = state.app()
        look_at(None if app is None else app.extensions["cache"].get(cache))


def _histogram(meter: Any) -> Any:
    name, unit = "db.client.operation.duration", "s"
    doc = "Duration of database client operations."
    try:
        return meter.create_histogram(name, unit, doc, explicit_bucket_boundaries_advisory=_BOUNDS)
    except TypeError:
        # Of an older API.
        return meter.create_histogram(name, unit, doc)


def _reader(
    cache: weakref.ref[Cache], family: Family
) -> Callable[[CallbackOptions], Iterator[Observation]]:
    def read(_: CallbackOptions) -> Iterator[Observation]:
        known = cache()
        if known is not None:
            for labels, value in family.read(known.stats()):
                yield Observation(value, dict(zip(family.labels, labels, strict=True)))

    return read


class _Spans:
    """Makes spans of what a backend's store does."""

    def __init__(self, tracer: Any, duration: Any, backend: Any) -> None:
        self._tracer, self._duration = tracer, duration
        self._system = backend._db_system
        self._has_prefix = bool(getattr(backend, "key_prefix", ""))
        self._attributes = _attributes(backend)
        self._target = _target(self._attributes)

    def __call__(self, store: Any) -> Any:
        return Traced(store, self._done)

    def _done(
        self, method: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        operation = command_of(self._system, name)
        if operation == "FLUSHDB" and self._has_prefix:
            operation = "UNLINK"
        attributes = {**self._attributes, "db.operation.name": operation}
        with self._tracer.start_as_current_span(
            f"{operation}{self._target}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            if name in BATCHES.get(self._system, ()) and len(args[0]) > 1:
                span.set_attribute("db.operation.batch.size", len(args[0]))
            start = perf_counter()
            if not self._target:
                contacted_begin()
            try:
                return method(*args, **kwargs)
            except Exception as error:
                attributes["error.type"] = type(error).__qualname__
                span.set_attribute("error.type", attributes["error.type"])
                span.set_status(Status(StatusCode.ERROR, str(error)))
                raise
            finally:
                if not self._target:
                    server = _server(contacted_end() or "")
                    attributes.update(server)
                    span.set_attributes(server)
                    span.update_name(f"{operation}{_target(server)}")
                self._duration.record(perf_counter() - start, attributes)


def _attributes(backend: Any) -> dict[str, Any]:
    """What is known of the servers, without a secret."""
    attributes: dict[str, Any] = {"db.system.name": backend._db_system}
    where = backend._whereabouts()
    database = getattr(backend, "_database", None)
    if database is not None:
        attributes["db.namespace"] = str(database)
        where = where.removesuffix(f"/{database}")
    if "," in where or " " in where:
        # Of several, each operation says which one it went to.
        return attributes
    return {**attributes, **_server(where)}


def _server(where: str) -> dict[str, Any]:
    """A server, by its address."""
    host, colon, port = where.rpartition(":")
    if colon and port.isdigit():
        return {"server.address": host.strip("[]"), "server.port": int(port)}
    return {"server.address": where} if where else {}


def _target(attributes: dict[str, Any]) -> str:
    """How the names of spans end: with a server, where it is known."""
    where, port = attributes.get("server.address"), attributes.get("server.port")
    return "" if where is None else f" {where}" if port is None else f" {where}:{port}"
