"""SpreadSASLMemcachedCache on real servers: values larger than an item, whole or not at all."""

from __future__ import annotations

import os
import pickle
import random
import threading
import time
from typing import Any, ClassVar

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.memcache import SpreadSASLMemcachedCache
from flask_caching.errors import CacheConfigError
from flask_caching.testing import BackendContract
from memcached_servers import MemcachedServer, SaslServer
from servers import PATIENCE

#: Seconds that two writers and an evictor try to tear values.
STRESS_SECONDS = float(os.environ.get("SPREAD_STRESS_SECONDS", "1.5"))


class Contract(BackendContract):
    """The contract, on a server whose entries can be aged."""

    server: MemcachedServer
    options: ClassVar[dict[str, Any]]

    @pytest.fixture(autouse=True)
    def _server(self, memcached_server: MemcachedServer) -> None:
        self.server = memcached_server

    def pass_time(self, seconds: float) -> None:
        self.server.pass_time(seconds)

    def make_backend(self) -> SpreadSASLMemcachedCache:
        options = {"pool_size": 4, "operation_timeout": PATIENCE, **self.options}
        return SpreadSASLMemcachedCache([self.server.address], **options)


class TestDefaults(Contract):
    options: ClassVar[dict[str, Any]] = {"key_prefix": "contract_"}


class TestSigned(Contract):
    options: ClassVar[dict[str, Any]] = {"chunksize": 64, "maxchunk": 4000}

    def make_backend(self) -> SpreadSASLMemcachedCache:
        backend = super().make_backend()
        backend.signing_keys = "a key"
        return backend


class TestSmallPieces(Contract):
    options: ClassVar[dict[str, Any]] = {"chunksize": 16, "maxchunk": 4000}


@pytest.fixture
def server(memcached_server: MemcachedServer) -> MemcachedServer:
    memcached_server.ask(b"flush_all\r\n")
    return memcached_server


@pytest.fixture
def cache(server: MemcachedServer) -> SpreadSASLMemcachedCache:
    return SpreadSASLMemcachedCache([server.address], key_prefix="p_", pool_size=4)


LARGE = os.urandom(2_500_000).hex().encode()


def stored(server: MemcachedServer, prefix: str = "flask_cache_") -> set[bytes]:
    """The keys on a server, but for what applications of other tests may have left there."""
    keys = server.keys()
    return {key for key in keys if key.startswith(prefix.encode())}


def test_a_large_value_is_spread_and_every_operation_agrees(
    cache: SpreadSASLMemcachedCache, server: MemcachedServer
) -> None:
    assert cache.add("k", LARGE)
    assert not cache.add("k", "other")
    assert cache.has("k")
    assert cache.get("k") == LARGE
    assert stored(server, "p_") == {f"p_k.{piece}".encode() for piece in range(5)}
    assert cache.set_many({"a": LARGE[:3_000_000], "b": "small"}) == ["a", "b"]
    assert cache.get_many("a", "none", "b", "k") == [LARGE[:3_000_000], None, "small", LARGE]
    assert cache.delete_many("a", "none") == ["a", "none"]
    assert cache.delete("k")
    assert not cache.delete("k")
    assert cache.get_many("a", "k", "b") == [None, None, "small"]
    assert stored(server, "p_") == {b"p_b.0"}


def test_a_shorter_value_over_a_longer_one(cache: SpreadSASLMemcachedCache) -> None:
    cache.set("k", LARGE)
    cache.set("k", "short")
    assert cache.get("k") == "short"
    cache.set("k", LARGE[:1_500_000])
    assert cache.get("k") == LARGE[:1_500_000]


@pytest.mark.parametrize("missing", [0, 1, 4])
def test_an_evicted_piece_makes_it_a_miss(
    cache: SpreadSASLMemcachedCache, server: MemcachedServer, missing: int
) -> None:
    cache.set("k", LARGE)
    server.ask(b"delete p_k.%d\r\n" % missing)
    assert not cache.has("k")
    assert cache.get_many("k") == [None]
    assert cache.get("k") is None
    assert cache.add("k", "new")
    assert cache.get("k") == "new"


def test_pieces_of_two_values_are_a_miss(
    cache: SpreadSASLMemcachedCache, server: MemcachedServer
) -> None:
    cache.set("k", b"a" * 3_000_000)
    piece = server.raw(b"p_k.1")
    assert piece is not None
    cache.set("k", b"b" * 3_000_000)
    server.put(b"p_k.1", *piece)
    assert cache.get("k") is None
    assert not cache.has("k")
    assert cache.inc("k") == 1


def test_chunksize_and_maxchunk(server: MemcachedServer, caplog: pytest.LogCaptureFixture) -> None:
    app = Flask(__name__)
    config = {
        "CACHE_TYPE": "SpreadSASLMemcachedCache",
        "CACHE_MEMCACHED_SERVERS": [server.address],
        "CACHE_OPTIONS": {"chunksize": 100, "maxchunk": 3},
    }
    cache = Cache(app, config=config)
    with app.app_context():
        assert cache.set("k", b"x" * 200)
        assert stored(server) == {b"flask_cache_k.%d" % piece for piece in range(3)}
        sizes = [len(server.raw(b"flask_cache_k.%d" % piece)[0]) for piece in range(2)]  # type: ignore[index]
        assert sizes == [100, 100]
        assert cache.get("k") == b"x" * 200
        assert cache.set("k", b"x" * 1000) is False
        assert cache.get("k") is None
        assert "maxchunk" in caplog.text
        assert cache.set_many({"a": 1, "b": b"x" * 1000}) == ["a"]


@pytest.mark.parametrize("options", [{"chunksize": 0}, {"maxchunk": 0}, {"chunksize": "x"}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(CacheConfigError, match=next(iter(options))):
        SpreadSASLMemcachedCache(["127.0.0.1"], **options)


def test_a_piece_that_the_server_refuses_leaves_nothing(
    server: MemcachedServer, caplog: pytest.LogCaptureFixture
) -> None:
    cache = SpreadSASLMemcachedCache([server.address], chunksize=2_000_000)
    cache.set("k", "old")
    assert cache.set("k", LARGE) is False
    assert cache.get("k") is None
    assert not stored(server)
    assert "refused by memcached" in caplog.text


def test_without_chunks(cache: SpreadSASLMemcachedCache, server: MemcachedServer) -> None:
    assert cache.set("k", "whole", chunk=False)
    assert server.raw(b"p_k") == (b"whole", 16)
    assert cache.get("k", chunk=False) == "whole"
    assert cache.get("k") is None


def test_what_2_5_1_wrote_is_read(cache: SpreadSASLMemcachedCache, server: MemcachedServer) -> None:
    data = pickle.dumps({"list": list(range(100))}, 2)
    for piece in range(3):
        server.put(b"p_k.%d" % piece, data[piece * 100 : (piece + 1) * 100])
    assert len(data) < 300
    assert cache.get("k") == {"list": list(range(100))}
    assert cache.has("k")
    assert not cache.add("k", 1)
    assert cache.set("k", "new")
    assert cache.get("k") == "new"


def test_keys_that_the_protocol_cannot_carry(cache: SpreadSASLMemcachedCache) -> None:
    for key in ("a b\r\nflush_all", "x" * 250, ""):
        assert cache.set(key, LARGE[:1_200_000])
        assert cache.get(key) == LARGE[:1_200_000]
        assert cache.delete(key)


def test_with_a_password(memcached_sasl: SaslServer) -> None:
    cache = SpreadSASLMemcachedCache(
        [memcached_sasl.address],
        username=memcached_sasl.username,
        password=memcached_sasl.password,
    )
    assert cache.set("k", LARGE)
    assert cache.get("k") == LARGE
    assert cache.inc("n", 2) == 2
    assert cache.dec("n", 5) == -3
    assert cache.clear()
    assert not cache.has("k")


def test_the_lifetime_of_a_counter_is_kept(
    cache: SpreadSASLMemcachedCache, server: MemcachedServer
) -> None:
    cache.set("k", 5, timeout=100)
    server.pass_time(60)
    assert cache.inc("k") == 6
    assert (server.remaining(b"p_k.0") or 0) <= 100


def test_no_value_is_torn_by_two_writers_and_evictions(server: MemcachedServer) -> None:
    """Every piece says who wrote it; ``SPREAD_STRESS_SECONDS`` prolongs it."""
    cache = SpreadSASLMemcachedCache([server.address], chunksize=300, maxchunk=40, pool_size=6)
    end = time.monotonic() + STRESS_SECONDS
    torn: list[Any] = []
    counts = {"hits": 0, "misses": 0}

    def write(writer: int) -> None:
        chance = random.Random(writer)
        number = 0
        while time.monotonic() < end:
            number += 1
            value = [(writer, number)] * chance.choice([1, 40, 400])
            if chance.random() < 0.1:
                cache.delete("k")
                cache.add("k", value)
            else:
                cache.set("k", value)

    def evict() -> None:
        chance = random.Random(99)
        with server.connect() as connection:
            while time.monotonic() < end:
                connection.sendall(b"delete k.%d\r\n" % chance.randrange(12))
                connection.recv(100)
                time.sleep(0.002)

    def read() -> None:
        while time.monotonic() < end:
            for value in (cache.get("k"), cache.get_many("k", "none")[0]):
                counts["misses" if value is None else "hits"] += 1
                if value is not None and len(set(value)) != 1:
                    torn.append(value)

    threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    threads += [threading.Thread(target=evict), *(threading.Thread(target=read) for _ in range(2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torn == []
    assert counts["hits"] > 20, counts
