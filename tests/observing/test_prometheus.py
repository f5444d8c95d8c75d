"""Prometheus is told what a test counted itself, of one process and of gunicorn's."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.metrics import _families, prometheus
from flask_caching.stats import Latency
from gunicorn_server import Gunicorn, serving
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from servers import wait_until

GRAFANA = Path(__file__).parents[2] / "examples" / "grafana" / "flask-caching.json"


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: dict[Any, float], name: str, **labels: str) -> float:
    return sum(
        value
        for (its_name, its_labels), value in found.items()
        if its_name == name and labels.items() <= dict(its_labels).items()
    )


def scrape(server: Gunicorn) -> str:
    """What all processes have counted."""
    for _ in range(20):
        try:
            return server.ask("/metrics")
        except AssertionError as error:
            # prometheus_client cannot read a file that another process has made just now.
            if "struct.error" not in str(error):
                raise
            time.sleep(0.05)
    return server.ask("/metrics")


def test_counts_of_one_process(app: Flask, redis_server: Any) -> None:
    config = {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": redis_server.port}
    cache = Cache(app, config={"CACHE_TYPE": "RedisCache", **config})
    registry = CollectorRegistry()
    prometheus(cache, registry)

    @cache.memoize(response_filter=lambda value: value != 2)
    def function(a: int) -> int:
        return a

    with app.app_context():
        cache.clear()
        for _ in range(3):
            function(1), function(2)
        found = samples(generate_latest(registry).decode())
        stats = cache.stats()
    name = {"function": function.__qualname__, "kind": "function"}
    assert of(found, "flask_caching_calls_total", result="hit", **name) == 2
    assert of(found, "flask_caching_calls_total", result="miss", **name) == 4
    assert of(found, "flask_caching_results_total", outcome="refused", **name) == 3
    assert of(found, "flask_caching_refusals_total") == 3
    assert of(found, "flask_caching_operations_total", operation="clears") == 1
    assert stats.backend is not None
    operations = sum(latency.count for latency in stats.backend.latencies.values())
    assert of(found, "flask_caching_backend_seconds_count") == operations
    assert of(found, "flask_caching_backend_seconds_bucket", le="+Inf") == operations
    assert of(found, "flask_caching_backend_seconds_sum") > 0


def test_buckets_are_those_of_the_statistics() -> None:
    pairs = tuple((2**power / 1e9, 1) for power in range(10, 40))
    counts = _families.per_bound(Latency(30, 0, 1.0, pairs))
    assert (counts[0], counts[-1], sum(counts)) == (6, 5, 30)


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    known = {family.name + "_total" for family in _families.COUNTS if family.kind == "counter"}
    known |= {family.name for family in _families.COUNTS if family.kind == "gauge"}
    known |= {f"{_families.LATENCY[0]}_{part}" for part in ("bucket", "sum", "count")}
    labels = {label for family in (*_families.COUNTS,) for label in family.labels} | {
        "le",
        "operation",
    }
    panels = json.loads(GRAFANA.read_text())["panels"]
    assert len(panels) >= 8
    for panel in panels:
        for target in panel["targets"]:
            asked = set(re.findall(r"flask_caching_\w+", target["expr"]))
            assert asked
            assert asked <= known
            assert set(re.findall(r"(\w+)=\"", target["expr"])) <= labels
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels


APPLICATION = """
import os
from flask import Flask
from flask_caching import Cache
from flask_caching.metrics import prometheus
from prometheus_client import CollectorRegistry, generate_latest, multiprocess

app = Flask(__name__)
cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
prometheus(cache)


@cache.memoize()
def function(a):
    return a


@app.route("/pid")
def pid():
    return str(os.getpid()) + " up"


@app.route("/")
def view():
    return str(function(1))


@app.route("/metrics")
def metrics():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry)
"""


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["", "preload"])
def test_counts_of_gunicorns_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    application = tmp_path / "measured.py"
    application.write_text(APPLICATION)
    directory = tmp_path / "prometheus"
    directory.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(directory))
    requests = 60
    with serving(tmp_path, application, "--workers", "3", *options) as server:
        for _ in range(requests):
            server.ask("/")
        end = time.monotonic() + 60
        while True:
            found = samples(scrape(server))
            calls = of(found, "flask_caching_calls_total", function="function")
            if calls == requests or time.monotonic() > end:
                break
            time.sleep(0.1)
    assert calls == requests
    misses = of(found, "flask_caching_calls_total", function="function", result="miss")
    assert 1 <= misses <= 3


def test_counts_of_workers_that_were_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = tmp_path / "measured.py"
    application.write_text(APPLICATION)
    (tmp_path / "gunicorn.conf.py").write_text(
        "from prometheus_client import multiprocess\n"
        "def child_exit(server, worker):\n"
        "    multiprocess.mark_process_dead(worker.pid)\n"
    )
    directory = tmp_path / "prometheus"
    directory.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(directory))

    with serving(tmp_path, application, "--workers", "2") as server:

        def counts() -> tuple[float, float]:
            found = samples(scrape(server))
            calls = of(found, "flask_caching_calls_total", function="function")
            return calls, of(found, "flask_caching_entries", backend="SimpleCache")

        calls = 0
        for _ in range(3):
            for _ in range(20):
                server.ask("/")
            calls += 20
            # What a process has not written when it is killed is lost.
            wait_until(lambda calls=calls: counts()[0] == calls, "all calls to be counted")
            pid = int(server.ask("/pid").split()[0])
            os.kill(pid, signal.SIGKILL)
            wait_until(
                lambda pid=pid: not Path(f"/proc/{pid}").exists(), "the worker to be replaced"
            )
        # The dead have no entries any more: of two processes, each has one and its versions.
        wait_until(lambda: counts()[1] <= 4, "entries of the living")
        assert counts()[0] == calls


def test_nothing_is_imported_that_was_not_asked_for() -> None:
    script = (
        "import sys, flask_caching, flask_caching.metrics\n"
        "for name in ('prometheus_client', 'opentelemetry'):\n"
        "    assert name not in sys.modules\n"
        "    sys.modules[name] = None\n"
        "for ask in (flask_caching.metrics.prometheus, flask_caching.metrics.opentelemetry):\n"
        "    try:\n"
        "        ask(flask_caching.Cache())\n"
        "    except ImportError as error:\n"
        "        print(str(error).partition(' (')[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    said = done.stdout.decode().splitlines()
    assert said[0].endswith("pip install 'flask-caching-rs[prometheus]'")
    assert said[1].endswith("pip install 'flask-caching-rs[opentelemetry]'")
