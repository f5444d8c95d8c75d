"""Compressed entries on every backend that stores bytes, and what is made to look like one."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from flask_caching._engine import COMPRESSED, Compressor
from flask_caching.backends import FileSystemCache, MemcachedCache
from memcached_servers import MemcachedServer
from worlds import World

LONG = ["the same again"] * 2000
CODECS = [None, "zstd", "lz4"]


def framed(letter: bytes, length: int, checksum: bytes, packed: bytes) -> bytes:
    """An entry as ``compression.rs`` describes it."""
    return COMPRESSED + letter + length.to_bytes(4, "little") + checksum + packed


@functools.cache
def attacks() -> dict[str, bytes]:
    """Bytes that are no entry of anybody's, though they begin like one."""
    value = pickle.dumps(LONG)
    found: dict[str, bytes] = {
        "mark alone": COMPRESSED,
        "mark and noise": COMPRESSED + b"\xff" * 40,
    }
    bodies = {}
    for codec, letter in (("zstd", b"z"), ("lz4", b"4")):
        whole = Compressor(codec, 0).compress(value)
        length, checksum, packed = len(value), whole[10:14], whole[14:]
        bodies[letter] = packed
        for at in (6, 10, 14, 15, len(whole) // 2, len(whole) - 1):
            found[f"{codec} cut at {at}"] = whole[:at]
        for wrong in (0, 1, length - 1, length + 1, 1 << 28, (1 << 32) - 1):
            found[f"{codec} of length {wrong}"] = framed(letter, wrong, checksum, packed)
        found[f"{codec} twice"] = Compressor(codec, 0).compress(whole + bytes(100))
        found[f"{codec} of another checksum"] = framed(letter, length, b"\0\0\0\0", packed)
        found[f"{codec} as it is"] = framed(b"0", length, checksum, packed)
        found[f"{codec} and more"] = whole + whole
        zeros = Compressor(codec, 0).compress(bytes(1 << 20))[14:]
        # Which say that they are many, or that they are few.
        found[f"{codec} bomb"] = framed(letter, 17 << 20, checksum, zeros)
        found[f"{codec} bomb of length 1000"] = framed(letter, 1000, checksum, zeros)
    length, checksum = len(value), Compressor("zstd", 0).compress(value)[10:14]
    found["lz4 as zstd"] = framed(b"z", length, checksum, bodies[b"4"])
    found["zstd as lz4"] = framed(b"4", length, checksum, bodies[b"z"])
    found["unknown codec"] = framed(b"g", length, checksum, bodies[b"z"])
    return found


def test_what_looks_like_one_is_none(tmp_path: Path) -> None:
    cache = FileSystemCache(str(tmp_path))
    for name, data in attacks().items():
        try:
            value = cache._load("key", cache._unwrap(b"key", data, 0), 0)
        except Exception:
            continue
        raise AssertionError(f"{name}: {type(value)}")


def test_every_codec_reads_what_every_other_has_written(world: World) -> None:
    values = {"long": LONG, "text": "tea, " * 5000, "bytes": b"tea, " * 5000, "number": 7}
    values |= {"none": None, "noise": bytes(range(256)), "mark": COMPRESSED + b"z like one"}
    for codec in CODECS:
        writer = world.process(CACHE_COMPRESSION=codec, CACHE_COMPRESSION_MIN=1)
        with writer.app.app_context():
            for key, value in values.items():
                assert writer.set(f"{key} {codec}", value), key
            data = writer.cache._store.get(writer.cache._encode_key(f"long {codec}"))[0]
            assert data.startswith(COMPRESSED) == (codec is not None)
    world.settle()
    for codec in CODECS:
        reader = world.process(CACHE_COMPRESSION=codec)
        with reader.app.app_context():
            for other in CODECS:
                keys = [f"{key} {other}" for key in values]
                assert reader.get_many(*keys) == list(values.values())
                # What cannot be changed may be answered from a copy of what was read.
                for key in ("text", "text", "long"):
                    assert reader.get(f"{key} {other}") == values[key]
                assert reader.has(f"long {other}")


def test_what_looks_like_one_is_a_miss(world: World, caplog: pytest.LogCaptureFixture) -> None:
    cache = world.process(CACHE_COMPRESSION="zstd")
    names = ["mark alone", "zstd bomb", "lz4 bomb of length 1000", "zstd as lz4", "lz4 twice"]
    with cache.app.app_context():
        backend = cache.cache
        for name in names:
            for how in ("get", "many", "has"):
                key = backend._encode_key(f"{how} {name}")
                backend._store.set(key, attacks()[name], _pickle_flag(backend), 60)
        world.settle()
        assert [cache.get(f"get {name}") for name in names] == [None] * 5
        assert cache.get_many(*(f"many {name}" for name in names)) == [None] * 5
        assert not any(cache.has(f"has {name}") for name in names)
        assert all("cannot be used and is removed" in text for text in caplog.messages)
        world.settle()
        # They are gone, and their place is free.
        assert all(cache.add(f"{how} {n}", 1) for n in names for how in ("get", "many", "has"))


def _pickle_flag(backend: Any) -> int:
    return int(isinstance(backend, MemcachedCache))


def test_signed_entries_are_checked_before_anything_is_unpacked(world: World) -> None:
    signed = {"CACHE_SIGNING_KEY": "secret", "CACHE_COMPRESSION": "zstd"}
    writer, reader = world.process(**signed), world.process(**{**signed, "CACHE_COMPRESSION": None})
    other = world.process(**{**signed, "CACHE_SIGNING_KEY": "other"})
    with writer.app.app_context():
        backend = writer.cache
        assert writer.set("key", LONG)
        data, flags = backend._store.get(backend._encode_key("key"))
        assert data.startswith(b"!\xfcsig1")
        assert COMPRESSED in data[:60]
        # One that was compressed after it was signed is not one of ours.
        inside = Compressor("zstd", 0).compress(data + bytes(100))
        assert inside.startswith(COMPRESSED)
        backend._store.set(backend._encode_key("inside out"), inside, flags, 60)
        bomb = Compressor("zstd", 0).compress(bytes(12 << 20))
        backend._store.set(backend._encode_key("unsigned"), bomb, flags, 60)
        world.settle()
    with other.app.app_context():
        assert other.get_many("inside out", "unsigned") == [None, None]
    with reader.app.app_context():
        assert reader.get_many("inside out", "unsigned") == [None, None]
        assert reader.get("key") == LONG
    with other.app.app_context():
        assert other.get("key") is None


def test_the_minimum_is_the_shortest_that_is_compressed(tmp_path: Path) -> None:
    cache = FileSystemCache(str(tmp_path))
    for minimum in (0, 1, 1023, 1024, 2**70):
        cache.compression = ("zstd", minimum)
        for length in (0, 1, 1022, 1023, 1024, 5000):
            stored = cache._wrap(b"key", bytes(length), 0)
            shorter = length >= minimum and length > 40
            assert stored.startswith(COMPRESSED) == shorter, (minimum, length)
            assert cache._unwrap(b"key", stored, 0) == bytes(length)


def test_what_zlib_made_for_memcached_fills_no_memory(memcached_server: MemcachedServer) -> None:
    """pylibmc's own compression, which is read whoever wrote it."""
    cache = MemcachedCache([memcached_server.address])
    zipped = 1 << 3
    text = b"tea, " * 5000
    bomb = zlib.compress(bytes(64 << 20), 9)
    stored = {"text": zlib.compress(text), "bomb": bomb, "cut": zlib.compress(text)[:-3]}
    stored |= {"noise": b"\xff" * 100, "none": b""}
    for key, data in stored.items():
        cache._store.set(cache._encode_key(key), data, zipped, 60)
    assert cache.get("text") == text
    assert cache.get_many("bomb", "cut", "noise", "none") == [None] * 4
    assert not cache.has("bomb")


def test_a_value_for_which_there_is_no_memory_is_a_miss(tmp_path: Path) -> None:
    """Where it can be believed: what follows it is passed over by zstd."""
    program = """
import resource, sys
from flask_caching._engine import Compressor
from flask_caching.backends import FileSystemCache
cache = FileSystemCache(sys.argv[1])
whole = Compressor("zstd", 0).compress(bytes(8 << 20))
# Frames one behind the other are one value: 25 times 8 MiB.
passed_over = b"\\x50\\x2a\\x4d\\x18" + (300_000).to_bytes(4, "little") + bytes(300_000)
packed = whole[14:] * 25 + passed_over
length = (200 << 20).to_bytes(4, "little")
cache._store.set(b"key", whole[:6] + length + whole[10:14] + packed, 0, 60)
cache.set("other", "tea")
limit = 150 << 20
with open("/proc/self/statm") as statm:
    limit += int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(cache.get("key"), cache.get("other"))
"""
    command = [sys.executable, "-c", program, str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "None tea\n", done
    assert "larger than a compressed value may be" in done.stderr
