"""Metrics for Prometheus, by prometheus_client."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from flask import request_started
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from prometheus_client.values import ValueClass

from .._engine import MemoryBackend, clock_wall
from ._families import BOUNDS, COUNTS, EVICTIONS, LATENCY, per_bound

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from ..cache import Cache
    from ..stats import CacheStats

__all__ = ["watch"]

#: Seconds between two times that a process writes its counts for others.
_INTERVAL = 1.0
_LES = [*map(floatToGoString, BOUNDS), "+Inf"]


def watch(cache: Cache, registry: CollectorRegistry | None) -> Collector:
    """See :func:`flask_caching.metrics.prometheus`."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        writer = _MultiprocessWriter(cache)
        writer.start_with_first_request()
        return writer
    collector = _Collector(cache)
    (REGISTRY if registry is None else registry).register(collector)
    return collector


class _Collector(Collector):
    """Reads the counts of this process when it is asked."""

    def __init__(self, cache: Cache) -> None:
        self._cache = weakref.ref(cache)

    def describe(self) -> list[Metric]:
        # So that registering it asks no cache.
        return []

    def collect(self) -> Iterator[Metric]:
        cache = self._cache()
        if cache is None:
            return
        stats = cache.stats()
        for family in COUNTS:
            kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = kind(family.name, family.doc, labels=family.labels)
            for labels, value in family.read(stats):
                metric.add_metric(labels, value)
            yield metric
        name, doc, label_names = LATENCY
        histogram = HistogramMetricFamily(name, doc, labels=label_names)
        if stats.backend is not None:
            for operation, latency in stats.backend.latencies.items():
                counts = accumulate(per_bound(latency))
                buckets: Any = list(zip(_LES, counts, strict=True))
                histogram.add_metric((stats.backend.name, operation), buckets, latency.seconds)
        yield histogram


class _MultiprocessWriter(Collector):
    """Writes the counts of each process where prometheus_client looks for those of all."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._begin()
        os.register_at_fork(after_in_child=self._begin_in_child)
        atexit.register(self._write)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        # `MultiProcessCollector` reads what was written.
        return iter(())

    def start_with_first_request(self) -> None:
        """Begin to write when this process has a request: before, it may still be forked."""
        request_started.connect(self._start)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._written: dict[tuple[str, ...], float] = {}
        self._values: dict[tuple[str, ...], Any] = {}

    def _begin_in_child(self) -> None:
        self._begin()
        self.start_with_first_request()

    def _start(self, sender: Any, **_: Any) -> None:
        request_started.disconnect(self._start)
        threading.Thread(target=self._run, name="flask-caching metrics", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(_INTERVAL):
            self._write()

    def _write(self) -> None:
        with self._lock:
            stats = self._cache.stats()
            for family in COUNTS:
                name = family.name if family.kind == "gauge" else f"{family.name}_total"
                for labels, value in family.read(stats):
                    typ = (family.kind, family.name, name, family.doc)
                    if family.name == EVICTIONS and self._evicts_for_all():
                        # What each process says of all of them is not added up.
                        typ = ("gauge", name, name, family.doc)
                    self._note(typ, family.labels, labels, value)
            self._write_latencies(stats)

    def _write_latencies(self, stats: CacheStats) -> None:
        if stats.backend is None:
            return
        name, doc, label_names = LATENCY
        for operation, latency in stats.backend.latencies.items():
            labels = (stats.backend.name, operation)
            total = ("histogram", name, f"{name}_sum", doc)
            self._note(total, label_names, labels, latency.seconds)
            for le, count in zip(_LES, per_bound(latency), strict=True):
                bucket = ("histogram", name, f"{name}_bucket", doc)
                self._note(bucket, (*label_names, "le"), (*labels, le), count)

    def _evicts_for_all(self) -> bool:
        return getattr(self._cache._place()[1], "_evicts_for_all", False)

    def _mode(self) -> str:
        """How what several processes hold is put together."""
        is_own = isinstance(self._cache._place()[1], MemoryBackend)
        # Of one cache that they share, what was said last.
        return "livesum" if is_own else "livemostrecent"

    def _note(
        self,
        typ: tuple[str, str, str, str],
        label_names: tuple[str, ...],
        labels: tuple[str, ...],
        value: float,
    ) -> None:
        kind, metric, name, doc = typ
        key = (name, *labels)
        if self._written.get(key) == value:
            return
        known = self._values.get(key)
        if known is None:
            mode = self._mode() if kind == "gauge" else ""
            make: Any = ValueClass
            known = make(kind, metric, name, label_names, labels, doc, mode)
            self._values[key] = known
        if kind == "gauge":
            known.set(value, timestamp=clock_wall())
        else:
            # A process of the same number may have written before.
            known.inc(max(value - self._written.get(key, 0.0), 0.0))
        self._written[key] = value
