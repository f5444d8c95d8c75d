"""GoogleCloudStorageCache on an emulator of Google Cloud Storage."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, Response
from flask_caching import Cache
from flask_caching.contrib.googlecloudstoragecache import GoogleCloudStorageCache
from flask_caching.errors import CacheBackendError, CacheConfigError
from flask_caching.metrics import opentelemetry
from flask_caching.testing import BackendContract
from leased import check_leases
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from servers import free_port


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    pytest.importorskip("google.cloud.storage")
    server = pytest.importorskip("gcp_storage_emulator.server")
    port = free_port()
    running = server.create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
    running.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        yield "bucket"
    running.stop()


class TestContract(BackendContract):
    engine_clock = True
    # Nothing is atomic in the emulator.
    atomic = False

    @pytest.fixture(autouse=True)
    def _emulator(self, emulator: str) -> None:
        self.bucket = emulator

    def make_backend(self) -> GoogleCloudStorageCache:
        return GoogleCloudStorageCache(self.bucket, key_prefix="c/", anonymous=True)


@pytest.fixture
def cache(emulator: str) -> Any:
    cache = GoogleCloudStorageCache(emulator, key_prefix="p/", anonymous=True)
    cache.clear()
    return cache


@pytest.mark.parametrize(
    ("value", "data", "kind"),
    [
        ({"a": [1, None]}, b'{"a": [1, null]}', "application/json"),
        ("text", b'"text"', "application/json"),
        (b"\0bytes", b"\0bytes", "application/octet-stream"),
    ],
)
def test_what_2_5_1_can_store_is_stored_alike(
    cache: Any, value: object, data: bytes, kind: str
) -> None:
    assert cache.set("k", value)
    blob = cache.bucket.get_blob("p/k")
    assert (blob.download_as_bytes(), blob.content_type) == (data, kind)
    assert cache.get("k") == value


def test_other_objects_come_back_as_they_were(cache: Any) -> None:
    assert cache.set_many({"tuple": (1, 2), "response": Response("body", 201)})
    assert cache.get("tuple") == (1, 2)
    assert cache.get("response").status_code == 201


@pytest.mark.parametrize("remove", [False, True])
def test_expiry(emulator: str, remove: bool) -> None:
    cache: Any = GoogleCloudStorageCache(
        emulator, key_prefix="e/", anonymous=True, delete_expired_objects_on_read=remove
    )
    cache.clear()
    for seconds, there in ((60, True), (-60, False)):
        blob = cache.bucket.blob("e/k")
        blob.custom_time = datetime.now(UTC) + timedelta(seconds=seconds)
        blob.upload_from_string(json.dumps("value"), content_type="application/json")
        assert cache.has("k") is there
        assert cache.get("k") == ("value" if there else None)
    assert (cache.bucket.get_blob("e/k") is None) is remove
    assert cache.add("k", "new")
    assert cache.get("k") == "new"


def test_clear_leaves_what_others_have(cache: Any) -> None:
    cache.bucket.blob("other").upload_from_string(b"x")
    cache.set("k", 1)
    assert cache.clear()
    assert not cache.has("k")
    assert cache.bucket.get_blob("other") is not None


def test_settings(emulator: str) -> None:
    app = Flask(__name__)
    config = {
        "CACHE_TYPE": "GoogleCloudStorageCache",
        "CACHE_GCS_BUCKET": emulator,
        "CACHE_OPTIONS": {"anonymous": True},
    }
    cache = Cache(app, config=config)
    with app.app_context():
        assert cache.set("k", 1)
        assert cache.cache.bucket.get_blob("flask_cache_k") is not None
    del config["CACHE_GCS_BUCKET"]
    with pytest.raises(CacheConfigError, match="CACHE_GCS_BUCKET"):
        Cache(Flask(__name__), config=config)


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.storage", None)
    monkeypatch.setitem(sys.modules, "google.auth.credentials", None)
    with pytest.raises(CacheBackendError, match="google-cloud-storage"):
        GoogleCloudStorageCache("bucket")


def test_calls_have_leases(cache: Any) -> None:
    check_leases(cache, is_atomic=TestContract.atomic)


def test_latencies(emulator: str) -> None:
    options = {"CACHE_GCS_BUCKET": emulator, "CACHE_OPTIONS": {"anonymous": True}}
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "GoogleCloudStorageCache", **options})
    with app.app_context():
        cache.set("k", 1), cache.get("k"), cache.get("k"), cache.delete("k")
        backend = cache.stats().backend
    assert backend is not None
    counts = {name: latency.count for name, latency in backend.latencies.items()}
    assert counts == {"set": 1, "get": 2, "delete": 1}
    assert backend.latencies["get"].seconds > 0


def test_spans_say_which_bucket(emulator: str) -> None:
    app = Flask(__name__)
    options = {"CACHE_GCS_BUCKET": emulator, "CACHE_OPTIONS": {"anonymous": True}}
    cache = Cache(app, config={"CACHE_TYPE": "GoogleCloudStorageCache", **options})
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    opentelemetry(cache, MeterProvider(), provider)
    with app.app_context():
        cache.set("k", 1), cache.get("k")
    spans = exporter.get_finished_spans()
    assert [span.attributes["db.operation.name"] for span in spans] == ["set", "get"]
    for span in spans:
        assert span.attributes["db.namespace"] == emulator
        assert span.attributes["server.address"] == "127.0.0.1"
    assert repr(cache.cache).endswith(f"/{emulator} prefix='flask_cache_'>")
