"""MemcachedCache on real servers: what every backend does, and what memcached adds."""

from __future__ import annotations

import copy
import enum
import gc
import pickle
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cachelib.serializers import JSONSerializer
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.memcache import MemcachedCache, SASLMemcachedCache
from flask_caching.errors import CacheBackendError, CacheConfigError
from flask_caching.testing import BackendContract
from markupsafe import Markup
from memcached_servers import MemcachedServer, SaslServer, UnixServer
from servers import PATIENCE


class Contract(BackendContract):
    """The contract, on a server whose entries can be aged."""

    server: MemcachedServer

    @pytest.fixture(autouse=True)
    def _server(self, memcached_server: MemcachedServer) -> None:
        self.server = memcached_server

    def pass_time(self, seconds: float) -> None:
        self.server.pass_time(seconds)


class TestTcp(Contract):
    def make_backend(self) -> MemcachedCache:
        return MemcachedCache(
            [self.server.address], key_prefix="contract_", pool_size=4, operation_timeout=PATIENCE
        )


class TestOneConnection(Contract):
    def make_backend(self) -> MemcachedCache:
        return MemcachedCache([self.server.address], operation_timeout=PATIENCE)


class TestBinaryProtocol(Contract):
    def make_backend(self) -> MemcachedCache:
        return SASLMemcachedCache(
            [self.server.address], key_prefix="contract_", operation_timeout=PATIENCE
        )


class TestSigned(Contract):
    def make_backend(self) -> MemcachedCache:
        backend = MemcachedCache([self.server.address], pool_size=4, operation_timeout=PATIENCE)
        backend.signing_keys = "a key"
        return backend


class TestUnixSocket(Contract):
    @pytest.fixture(autouse=True)
    def _server(self, memcached_unix: UnixServer) -> None:  # type: ignore[override]
        self.server = memcached_unix

    def make_backend(self) -> MemcachedCache:
        return MemcachedCache([self.server.address], operation_timeout=PATIENCE)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
class TestClientObject(Contract):
    # It is read and written; nothing is as atomic as that, and a None it has is one it has not.
    atomic = False

    @pytest.fixture(autouse=True)
    def _sockets(self) -> Iterator[None]:
        yield
        # python-memcached leaves those of threads that have ended to the garbage collector.
        gc.collect()

    def make_backend(self) -> MemcachedCache:
        import memcache

        return MemcachedCache(memcache.Client([self.server.address]))

    def test_a_stored_none_is_there(self) -> None:
        assert self.cache.set("key", None)
        assert self.cache.get("key") is None

    def test_inc_keeps_the_lifetime(self) -> None:
        pytest.skip("a client object is not asked for lifetimes")


class DictClient(dict[str, Any]):
    """A client object of an application, which can be copied."""

    def get(self, key: str) -> Any:  # type: ignore[override]
        return super().get(key)

    def set(self, key: str, value: Any, *_: Any) -> bool:
        self[key] = value
        return True


def test_a_cache_over_a_client_object_is_copied_with_it() -> None:
    cache = MemcachedCache(DictClient())
    cache.set("key", 1)
    for copied in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert copied.get("key") == 1
        copied.set("key", 2)
    assert cache.get("key") == 1
    with pytest.raises(AttributeError):
        copy.copy(cache._store).no_method()  # type: ignore[attr-defined]


@pytest.fixture
def server(memcached_server: MemcachedServer) -> MemcachedServer:
    memcached_server.ask(b"flush_all\r\n")
    return memcached_server


@pytest.fixture
def cache(server: MemcachedServer) -> MemcachedCache:
    return MemcachedCache([server.address], key_prefix="p_", pool_size=4)


class Color(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (0, (b"0", 4)),
        (-7, (b"-7", 4)),
        (10**30, (b"%d" % 10**30, 4)),
        (True, (b"1", 2)),
        (False, (b"0", 2)),
        ("é", ("é".encode(), 16)),
        ("", (b"", 16)),
        (b"\x00\xff", (b"\x00\xff", 0)),
        (None, (pickle.dumps(None, 5), 1)),
        (1.5, (pickle.dumps(1.5, 5), 1)),
        ([1, "a"], (pickle.dumps([1, "a"], 5), 1)),
    ],
)
def test_values_are_stored_as_pylibmc_stores_them(
    cache: MemcachedCache, server: MemcachedServer, value: object, raw: tuple[bytes, int]
) -> None:
    assert cache.set("k", value)
    assert server.raw(b"p_k") == raw
    found = cache.get("k")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "value", [Markup("<b>"), Color.RED, "\ud800"], ids=["markup", "enum", "surrogate"]
)
def test_what_only_looks_plain_comes_back_as_it_was(cache: MemcachedCache, value: Any) -> None:
    assert cache.set("k", value)
    found = cache.get("k")
    assert found == value
    assert type(found) is type(value)


def test_an_integer_of_more_digits_than_python_prints(cache: MemcachedCache) -> None:
    assert cache.set("k", 10**5000)
    assert cache.get("k") == 10**5000


def test_a_compressed_value_is_read(cache: MemcachedCache, server: MemcachedServer) -> None:
    import zlib

    server.put(b"p_k", zlib.compress(b"text"), 16 | 8)
    assert cache.get("k") == "text"


@pytest.mark.parametrize(
    ("data", "flags"),
    [
        (b"garbage", 1),
        (b"x", 4),
        (b"\xff", 16),
        (b"x", 8),
        (b"x", 5),
        (b"\x80\x05cno.such\nname\n.", 1),
    ],
)
def test_a_foreign_entry_is_a_miss_that_is_removed(
    cache: MemcachedCache,
    server: MemcachedServer,
    caplog: pytest.LogCaptureFixture,
    data: bytes,
    flags: int,
) -> None:
    server.put(b"p_bad", data, flags)
    cache.set("good", 1)
    assert cache.get_many("good", "bad") == [1, None]
    assert server.raw(b"p_bad") is None
    assert "'bad'" in caplog.text


def test_a_serializer_of_the_application_serializes_all_but_integers(
    cache: MemcachedCache, server: MemcachedServer
) -> None:
    cache.serializer = JSONSerializer()
    assert cache.set_many({"text": "a", "number": 1, "list": [1]}) == ["text", "number", "list"]
    assert server.raw(b"p_text") == (b'"a"', 1)
    assert server.raw(b"p_number") == (b"1", 4)
    assert cache.get_many("text", "number", "list") == ["a", 1, [1]]


def test_legal_keys_go_over_the_wire_as_they_are(
    cache: MemcachedCache, server: MemcachedServer
) -> None:
    keys = ["view//path", "bang!", "é", "\x7f", "x" * 248]
    cache.set_many(dict.fromkeys(keys, 1))
    assert set(server.keys()) == {f"p_{key}".encode() for key in keys}


@pytest.mark.parametrize("binary", [False, True])
def test_a_value_over_the_limit_is_refused_and_leaves_no_old_value(
    server: MemcachedServer, caplog: pytest.LogCaptureFixture, binary: bool
) -> None:
    cache = (SASLMemcachedCache if binary else MemcachedCache)([server.address])
    cache.set("k", "old")
    assert cache.set("k", "x" * 2_000_000) is False
    assert cache.get("k") is None
    assert not cache.add("other", "x" * 2_000_000)
    assert cache.set_many({"a": 1, "k": b"x" * 2_000_000, "b": 2}) == ["a", "b"]
    assert cache.get_many("a", "k", "b") == [1, None, 2]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert all("2000000 bytes" in line for line in lines)


@pytest.mark.parametrize("days", [31, 365 * 15, 365 * 40])
def test_a_timeout_of_more_than_30_days(
    cache: MemcachedCache, server: MemcachedServer, days: int
) -> None:
    assert cache.set("k", 1, timeout=timedelta(days=days))
    assert cache.get("k") == 1
    left = server.remaining(b"p_k")
    latest = 2**31 - 1 - time.time()
    assert left == pytest.approx(min(days * 86400, latest), abs=3)


def test_inc_keeps_flags_and_lifetime_below_zero(
    cache: MemcachedCache, server: MemcachedServer
) -> None:
    cache.set("k", 5, timeout=50)
    assert cache.inc("k") == 6
    assert cache.dec("k", 10) == -4
    assert cache.inc("k", 1) == -3
    assert server.raw(b"p_k") == (b"-3", 4)
    assert server.remaining(b"p_k") in (49, 50)


def test_inc_counts_what_is_no_64_bit_integer(cache: MemcachedCache) -> None:
    cache.set_many({"float": 1.5, "large": 2**70, "bool": True, "text": "12"})
    assert cache.inc("float") == 2.5
    assert cache.inc("large") == 2**70 + 1
    assert cache.inc("bool") == 2
    assert cache.dec("new", 2**70) == -(2**70)
    with pytest.raises(TypeError):
        cache.inc("text")
    assert cache.get("text") == "12"


def test_a_counter_the_server_padded_is_read(
    cache: MemcachedCache, server: MemcachedServer
) -> None:
    server.put(b"p_k", b"10", 4)
    server.ask(b"decr p_k 1\r\n")
    assert cache.get("k") == 9
    assert cache.dec("k", 10) == -1


def test_several_servers_hold_the_keys_where_pylibmc_looks_for_them(tmp_path: Path) -> None:
    pylibmc = pytest.importorskip("pylibmc")
    servers = [MemcachedServer(tmp_path / str(number)) for number in range(3)]
    try:
        for server in servers:
            server.start()
        addresses = [server.address for server in servers]
        keys = [f"key{number}" for number in range(60)]
        for behaviors in (
            {},
            {"ketama": True},
            {"ketama_weighted": True},
            {"hash": "md5"},
            {"hash": "fnv1a_32", "ketama": True},
            {"hash": "murmur", "distribution": "consistent"},
        ):
            cache = MemcachedCache(addresses, behaviors=behaviors)
            cache.clear()
            client = pylibmc.Client(addresses, behaviors=behaviors)
            cache.set_many({key: f"ours {key}" for key in keys})
            assert client.get_multi(keys) == {key: f"ours {key}" for key in keys}, behaviors
            client.set_multi({key: f"theirs {key}" for key in keys})
            assert cache.get_many(*keys) == [f"theirs {key}" for key in keys], behaviors
            assert sum(len(server.keys()) for server in servers) == len(keys)
            assert behaviors or all(server.keys() for server in servers)
            assert cache.delete_many(*keys) == keys
            assert not any(server.keys() for server in servers)
    finally:
        for server in servers:
            server.kill()


def test_ipv6(tmp_path: Path) -> None:
    server = MemcachedServer(tmp_path, host="::1")
    server.start()
    try:
        cache = MemcachedCache([server.address])
        assert cache.set("k", 1)
        assert cache.get("k") == 1
    finally:
        server.kill()


class TestClient:
    """What applications reach for under ``_client``."""

    def test_behaviors_are_applied_as_the_documentation_shows(self, server: Any) -> None:
        app = Flask(__name__)
        cache = Cache()
        cache.init_app(
            app, {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": [server.address]}
        )
        with app.app_context():
            client = cache.cache._client
            client.behaviors({"tcp_nodelay": True})
            assert client.behaviors["tcp_nodelay"] is True
            client.behaviors = {"ketama": True, "hash": "md5"}
            client.behaviors["receive_timeout"] = 250_000
            assert client.behaviors["distribution"] == "consistent ketama"
            assert client.behaviors["hash"] == "md5"
            assert client.behaviors()["send_timeout"] == 250_000
            assert cache.set("k", 1)
            assert cache.get("k") == 1

    @pytest.mark.parametrize(
        ("behaviors", "words"),
        [
            ({"no_such": 1}, "Known: .*tcp_nodelay"),
            ({"auto_eject": True}, "auto_eject"),
            ({"num_replicas": 2}, "replicated"),
            ({"hash": "hsieh"}, "Known: default"),
            ({"distribution": "random"}, "Known: modula"),
            ({"connect_timeout": -1}, "positive"),
            ({"pickle_protocol": "x"}, "whole number"),
        ],
    )
    def test_a_behavior_that_cannot_be_is_refused(
        self, cache: MemcachedCache, behaviors: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(CacheConfigError, match=words):
            cache._client.behaviors(behaviors)
        with pytest.raises(CacheConfigError, match=words):
            MemcachedCache(["127.0.0.1"], behaviors=behaviors)

    def test_behaviors_that_change_nothing_are_accepted(self, cache: MemcachedCache) -> None:
        cache._client.behaviors(dict(cache._client.behaviors))
        cache._client.behaviors({"no_block": True, "cas": True, "auto_eject": False})

    def test_it_reads_and_writes_what_the_cache_does(self, cache: MemcachedCache) -> None:
        with cache._client_context() as client:
            assert client.set("p_k", {"a": 1})
            assert cache.get("k") == {"a": 1}
            assert client.get_multi(["p_k", "none"]) == {"p_k": {"a": 1}}
            assert client.set_multi({"x": 1, "y": 2}, key_prefix="p_") == []
            assert cache.get_many("x", "y") == [1, 2]
            assert client.incr("p_x", 5) == 6
            assert client.decr("p_x") == 5
            assert not client.add("p_x", 1)
            assert client.delete("p_x")
            assert client.delete_multi(["k", "y"], key_prefix="p_")
            assert client.get("p_k", "default") == "default"
            assert client.set("p_long", 1, int(time.time()) + 100)
            client.disconnect_all()
            assert client.flush_all()
        assert cache.get("long") is None

    def test_pickles_of_the_protocol_asked_for(
        self, cache: MemcachedCache, server: MemcachedServer
    ) -> None:
        cache._client.behaviors({"pickle_protocol": 2})
        assert cache.set("k", [1])
        assert server.raw(b"p_k") == (pickle.dumps([1], 2), 1)


@pytest.mark.parametrize("servers", [[], ["a b"], ["a:x"], [5], ["udp:a"], ["[::1"]])
def test_addresses_that_are_none_are_refused(servers: list[Any]) -> None:
    with pytest.raises(CacheConfigError):
        MemcachedCache(servers)


@pytest.mark.parametrize(
    "options",
    [{"pool_size": 0}, {"pool_size": "x"}, {"connect_timeout": 0}, {"breaker_failures": -1}],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(CacheConfigError, match=next(iter(options))):
        MemcachedCache(["127.0.0.1"], **options)


def test_unknown_cache_options_are_refused_with_the_known_ones() -> None:
    config = {"CACHE_TYPE": "MemcachedCache", "CACHE_OPTIONS": {"no_such": 1}}
    with pytest.raises(CacheConfigError, match="pool_blocking"):
        Cache(Flask(__name__), config=config)


@pytest.mark.parametrize("kind", ["MemcachedCache", "SASLMemcachedCache"])
def test_settings_reach_the_backend(kind: str) -> None:
    config = {
        "CACHE_TYPE": kind,
        "CACHE_MEMCACHED_SERVERS": ["10.0.0.1:5", ("::1", 6)],
        "CACHE_KEY_PREFIX": "shop_",
        "CACHE_OPERATION_TIMEOUT": 0.25,
        "CACHE_OPTIONS": {"pool_size": 7, "pool_blocking": False},
        "CACHE_MEMCACHED_USERNAME": "me",
        "CACHE_MEMCACHED_PASSWORD": "secret",
    }
    app = Flask(__name__)
    cache = Cache(app, config=config)
    with app.app_context():
        options = cache.cache._options
        assert options.servers == ["10.0.0.1:5", "[::1]:6"]
        assert (options.pool_size, options.pool_blocking) == (7, False)
        assert options.operation_timeout == 0.25
        assert options.username == ("me" if kind.startswith("SASL") else None)
        assert "secret" not in repr(options)
        assert cache.cache.key_prefix == "shop_"


class TestSasl:
    """User name and password."""

    def test_the_right_password(self, memcached_sasl: SaslServer) -> None:
        cache = SASLMemcachedCache(
            [memcached_sasl.address],
            username=memcached_sasl.username,
            password=memcached_sasl.password,
        )
        assert cache.set("k", {"a": 1})
        assert cache.get("k") == {"a": 1}
        assert cache.inc("n", 2) == 2
        assert cache.dec("n", 5) == -3
        assert cache.has("n")
        assert cache.clear()
        assert not cache.has("n")

    @pytest.mark.parametrize("username", ["me", "someone else"])
    def test_a_wrong_one_is_said_and_not_shown(
        self, memcached_sasl: SaslServer, caplog: pytest.LogCaptureFixture, username: str
    ) -> None:
        cache = SASLMemcachedCache(
            [memcached_sasl.address], username=username, password="wr0ng-secret"
        )
        for operation in (lambda: cache.get("k"), lambda: cache.set("k", 1)):
            with pytest.raises(CacheBackendError, match="password") as caught:
                operation()
            assert memcached_sasl.address in str(caught.value)
            assert "wr0ng-secret" not in str(caught.value) + caplog.text

    def test_none_where_one_is_asked_for(self, memcached_sasl: SaslServer) -> None:
        with pytest.raises(CacheBackendError, match="user name and password"):
            SASLMemcachedCache([memcached_sasl.address]).get("k")

    def test_one_where_none_is_asked_for(self, server: MemcachedServer) -> None:
        cache = SASLMemcachedCache([server.address], username="me", password="x")
        with pytest.raises(CacheBackendError, match="does not do SASL"):
            cache.get("k")
