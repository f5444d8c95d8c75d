"""``CACHE_COMPRESSION``: smaller entries, in files and on servers."""

import gc
import pickle

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching._engine import COMPRESSED
from flask_caching.errors import CacheConfigError

LONG = {"words": ["the same again"] * 2000}
BACKENDS = [
    "FileSystemCache",
    "RedisCache",
    "redis.Redis",
    "MemcachedCache",
    "memcache.Client",
    "SASLMemcachedCache",
    "SpreadSASLMemcachedCache",
]


@pytest.fixture(params=BACKENDS)
def config(request, tmp_path):
    """The configuration of an empty cache of a kind."""
    kind = request.param
    if kind == "FileSystemCache":
        yield {"CACHE_TYPE": kind, "CACHE_DIR": str(tmp_path)}
        return
    if "edis" in kind:
        import redis

        server = request.getfixturevalue("redis_server")
        server.admin.flushall()
        host = redis.Redis(port=server.port) if kind == "redis.Redis" else "127.0.0.1"
        yield {
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_HOST": host,
            "CACHE_REDIS_PORT": server.port,
        }
        if kind == "redis.Redis":
            host.close()
        return
    server = request.getfixturevalue("memcached_server")
    server.ask(b"flush_all\r\n")
    if kind != "memcache.Client":
        yield {"CACHE_TYPE": kind, "CACHE_MEMCACHED_SERVERS": [server.address]}
        return
    import memcache

    client = memcache.Client([server.address])
    yield {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": client}
    client.disconnect_all()
    gc.collect()


def backend_of(config, codec=None, minimum=None, **more):
    options = {"CACHE_COMPRESSION": codec, **more}
    if minimum is not None:
        options["CACHE_COMPRESSION_MIN"] = minimum
    app = Flask(__name__)
    cache = Cache(app, config={**config, **options})
    with app.app_context():
        return cache.cache


def stored(backend, key):
    """The bytes that are stored under ``key``; a client object may have made something of them."""
    return backend._store.get(backend._encode_key(key))[0]


VALUES = {
    "long": LONG,
    "text": "tea, " * 5000,
    "bytes": b"tea, " * 5000,
    "short": "tea",
    "number": 7,
    "none": None,
    "noise": bytes(range(256)) * 4,
    "mark": COMPRESSED + b"z and what looks compressed",
    "list": [1, "two", 3.0],
}


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_values_come_back_and_are_smaller(config, codec):
    cache = backend_of(config, codec)
    for key, value in VALUES.items():
        assert cache.set(key, value)
        assert cache.get(key) == value
    assert cache.get_many(*VALUES) == list(VALUES.values())
    assert cache.add("added", LONG)
    assert cache.get("added") == LONG
    assert cache.set_many({"many": LONG}) == ["many"]
    for key in ("long", "text", "bytes", "added", "many"):
        assert stored(cache, key).startswith(COMPRESSED)
        assert len(stored(cache, key)) < 2000


def test_entries_of_any_codec_and_of_none_are_read_by_all(config):
    caches = {codec: backend_of(config, codec) for codec in (None, "zstd", "lz4")}
    for codec, writer in caches.items():
        for key, value in VALUES.items():
            assert writer.set(f"{key} {codec}", value)
    for reader in caches.values():
        for codec in caches:
            for key, value in VALUES.items():
                if codec and reader is caches[None] and "Client" in repr(reader):
                    # The client makes bytes of values itself where nothing is compressed.
                    continue
                assert reader.get(f"{key} {codec}") == value, (key, codec)


def test_counters_count(config):
    cache = backend_of(config, "zstd", minimum=0)
    assert cache.inc("n") == 1
    assert cache.set("n", 10)
    assert cache.inc("n", 5) == 15
    assert cache.dec("n", 20 if "emcache" not in repr(cache) else 3) in (-5, 12)


def test_what_is_shorter_than_the_minimum_is_left_alone(config):
    cache = backend_of(config, "lz4", minimum=100_000)
    cache.set("long", LONG)
    plain = backend_of(config)
    plain.set("plain", LONG)
    assert not stored(cache, "long").startswith(COMPRESSED)
    if "Client" not in repr(plain):
        assert stored(cache, "long") == stored(plain, "plain")


def test_without_it_bytes_are_what_they_were(config):
    cache = backend_of(config)
    cache.set("long", LONG)
    data = stored(cache, "long")
    assert data == LONG or pickle.loads(data.removeprefix(b"!")) == LONG


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_damaged_entries_are_misses(config, codec, caplog):
    cache = backend_of(config, codec)
    cache.set("key", LONG)
    data = stored(cache, "key")
    huge = data[:6] + b"\xff\xff\xff\xff" + data[10:]
    for number, damaged in enumerate(
        [
            data[:-1],
            data[:5],
            data[:20] + bytes([data[20] ^ 1]) + data[21:],
            huge,
            COMPRESSED + b"?" + data[6:],
        ]
    ):
        wire_key = cache._encode_key(f"key{number}")
        cache._store.set(wire_key, damaged, 1 if "emcached" in repr(cache) else 0, timeout=60)
        assert cache.get(f"key{number}") is None
        assert not cache.has(f"key{number}")
    assert "cannot be used and is removed" in caplog.text


def test_signed_after_it_is_compressed(config):
    cache = backend_of(config, "zstd", CACHE_SIGNING_KEY="secret")
    cache.set("key", LONG)
    data = stored(cache, "key")
    assert data.startswith(b"!\xfcsig1")
    assert COMPRESSED in data[:50]
    assert len(data) < 2000
    assert cache.get("key") == LONG
    assert backend_of(config, "lz4", CACHE_SIGNING_KEY="secret").get("key") == LONG
    assert backend_of(config, "zstd", CACHE_SIGNING_KEY="other").get("key") is None


def test_memoized_results_are_compressed_and_forgotten(config):
    app = Flask(__name__)
    cache = Cache(app, config={**config, "CACHE_COMPRESSION": "zstd", "CACHE_COMPRESSION_MIN": 0})
    calls = []

    @cache.memoize()
    def compute(text):
        calls.append(text)
        return [text] * 2000

    with app.app_context():
        assert compute("a") == compute("a") == ["a"] * 2000
        cache.delete_memoized(compute, "a")
        compute("a")
        cache.delete_memoized(compute)
        compute("a")
    assert len(calls) == 3


@pytest.mark.parametrize("value", ["gzip", 3, True, ["zstd"]])
def test_what_is_no_codec(value, tmp_path):
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}
    with pytest.raises(CacheConfigError, match="CACHE_COMPRESSION must be 'zstd', 'lz4' or None"):
        backend_of(config, value)


@pytest.mark.parametrize("value", ["many", -1, 1.5])
def test_what_is_no_minimum(value, tmp_path):
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}
    with pytest.raises(CacheConfigError, match="CACHE_COMPRESSION_MIN"):
        backend_of(config, "zstd", minimum=value)


@pytest.mark.parametrize("value", [None, "", False])
def test_no_compression(value, tmp_path):
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}
    assert backend_of(config, value).compression is None
    assert backend_of(config, " ZSTD ", minimum="2048").compression == ("zstd", 2048)


def test_a_backend_that_keeps_objects_has_nothing_to_compress():
    assert backend_of({"CACHE_TYPE": "SimpleCache"}, "zstd").set("key", LONG)


@pytest.mark.parametrize("kind", ["FileSystemCache", "SharedCache"])
def test_a_copy_compresses_too(tmp_path, kind):
    config = {"CACHE_TYPE": kind, "CACHE_DIR": str(tmp_path)}
    copy = pickle.loads(pickle.dumps(backend_of(config, "zstd")))
    copy.set("key", LONG)
    assert stored(copy, "key").startswith(COMPRESSED)


def test_long_text_of_files_is_compressed(tmp_path):
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}
    cache = backend_of(config, "zstd")
    cache.set("key", "x" * 1_000_000)
    assert cache.get("key") == "x" * 1_000_000
    assert len(stored(cache, "key")) < 1000
