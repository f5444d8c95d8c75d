"""What a cache does, for the tools that watch an application: Prometheus and OpenTelemetry.

Neither is imported before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..mistakes import check_cache

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from ..cache import Cache

__all__ = ["opentelemetry", "prometheus"]


def prometheus(cache: Cache, registry: CollectorRegistry | None = None) -> Any:
    """Let Prometheus know what a cache does: the counts of ``cache.stats()``, in this process.

    Where ``PROMETHEUS_MULTIPROC_DIR`` is set, each process writes its counts there, every second
    from its first request on and when it ends; prometheus_client's ``MultiProcessCollector`` adds
    them up.

    :param cache: the cache.
    :param registry: where it is registered; None: prometheus_client's own. Not used where
        ``PROMETHEUS_MULTIPROC_DIR`` is set.
    :return: the collector, which a registry can be asked to forget.
    :raises CacheConfigError: ``cache`` is no Cache.
    :raises ImportError: prometheus_client is not installed.
    """
    check_cache(cache, "prometheus(cache)")
    try:
        from . import _prometheus
    except ImportError as error:
        raise _not_installed("prometheus_client", "prometheus", error) from error
    return _prometheus.watch(cache, registry)


def opentelemetry(
    cache: Cache, meter_provider: Any | None = None, tracer_provider: Any | None = None
) -> None:
    """Let OpenTelemetry know what a cache does: its counts, and a span for each operation that goes
    to a server, with how long it takes. No span has a key or a value.

    :param cache: the cache; its applications may be set up later.
    :param meter_provider: what makes the meter; None: the global one.
    :param tracer_provider: what makes the tracer; None: the global one.
    :raises CacheConfigError: ``cache`` is no Cache.
    :raises ImportError: opentelemetry-api is not installed.
    """
    check_cache(cache, "opentelemetry(cache)")
    try:
        from . import _opentelemetry
    except ImportError as error:
        raise _not_installed("opentelemetry-api", "opentelemetry", error) from error
    _opentelemetry.watch(cache, meter_provider, tracer_provider)


def _not_installed(package: str, extra: str, error: ImportError) -> ImportError:
    return ImportError(
        f"flask_caching.metrics.{extra}() needs {package}: pip install "
        f"'flask-caching-rs[{extra}]' ({error})"
    )
