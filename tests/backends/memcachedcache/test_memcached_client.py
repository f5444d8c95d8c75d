"""The client that applications reserve under ``_client`` does what pylibmc's does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask_caching.backends.memcache import (
    MemcachedCache,
    SASLMemcachedCache,
    SpreadSASLMemcachedCache,
)
from flask_caching.errors import CacheBackendError, CacheKeyError
from memcached_servers import MemcachedServer, SaslServer

pylibmc = pytest.importorskip("pylibmc")

Pair = tuple[Any, Any]


@pytest.fixture(params=["text", "binary", "sasl"])
def clients(
    request: pytest.FixtureRequest, memcached_server: MemcachedServer, memcached_sasl: SaslServer
) -> Iterator[Pair]:
    """Ours and pylibmc's, on one server; the tests give them keys of their own."""
    how = request.param
    if how != "text" and pylibmc.libmemcached_version < "1.1":
        pytest.skip("the libmemcached in pylibmc's wheel finds no SASL, and answers otherwise")
    server = memcached_sasl if how == "sasl" else memcached_server
    login = (
        {"username": server.username, "password": server.password}
        if isinstance(server, SaslServer)
        else {}
    )
    ours: MemcachedCache = (
        MemcachedCache([server.address])
        if how == "text"
        else SASLMemcachedCache([server.address], **login)
    )
    theirs = pylibmc.Client(
        [server.address], binary=how != "text", behaviors={"cas": True}, **login
    )
    with ours._client_context() as client:
        yield client, theirs
    theirs.disconnect_all()


def outcome(operate: Callable[[Any], Any], client: Any) -> Any:
    """What an operation returns, or which error it is."""
    try:
        return operate(client)
    except pylibmc.Error as error:
        return pylibmc.NotFound if isinstance(error, pylibmc.NotFound) else pylibmc.Error
    except Exception as error:
        return type(error)


def left_by(client: Any) -> Any:
    return client.get_multi(["k", "m", "pk", "pm"])


#: What is done to ``k``, which is missing, then a text, then a number, then a list.
OPERATIONS: list[Callable[[Any], Any]] = [
    lambda client: client.append("k", "x"),
    lambda client: client.prepend("k", b"x"),
    lambda client: client.touch("k", 10),
    lambda client: client.get("k", "default"),
    lambda client: client.incr("k"),
    lambda client: client.decr("k", 3),
    lambda client: client.incr_multi(["k"]),
    lambda client: client.incr_multi(["k", "m"], key_prefix="p", delta=3),
    lambda client: client.gets("k")[0],
    lambda client: client.cas("k", "new", client.gets("k")[1]),
    lambda client: client.cas("k", "new", 1),
    lambda client: client.cas("k", "new", client.gets("k")[1], 60),
    lambda client: "k" in client,
    lambda client: client["k"],
    lambda client: client.__setitem__("k", 5) or client.get("k"),
    lambda client: client.__delitem__("k"),
    lambda client: client.add_multi({"k": 1, "m": 2}),
    lambda client: client.add_multi({"k": 1, "m": 2}, key_prefix="p"),
    lambda client: client.set_multi({"k": 1, "m": 2}, time=10, key_prefix="p"),
    lambda client: client.get_multi(("k", "m")),
    lambda client: client.get_multi(["k", "m"], key_prefix="p"),
    lambda client: client.delete_multi(("k", "m")),
    lambda client: client.incr("k", -1),
    lambda client: client.decr("k", 1000),
    lambda client: client.serialize(["k"]),
    lambda client: client.deserialize(*client.serialize("ä")),
    lambda client: client.hash("k"),
    lambda client: client.set("k", "long" * 500, min_compress_len=100) and client.get("k"),
    lambda client: client.set("k", "short", time=0, min_compress_len=100, compress_level=9),
    lambda client: client.set_behaviors({"tcp_nodelay": True}),
    lambda client: client.clone().get("k"),
]


@pytest.mark.parametrize("before", [None, "text", 7, [1, {"a": 2}]], ids=str)
@pytest.mark.parametrize("operate", OPERATIONS, ids=inspect.getsource)
def test_an_operation_does_what_pylibmc_does(
    clients: Pair, before: Any, operate: Callable[[Any], Any]
) -> None:
    left = []
    for client in clients:
        client.delete_multi(["k", "m", "pk", "pm"])
        if before is not None:
            client.set("k", before)
        left.append((outcome(operate, client), outcome(left_by, client)))
    assert left[0] == left[1]


def test_each_reads_what_the_other_wrote(clients: Pair) -> None:
    ours, theirs = clients
    for value in ("text", b"bytes", 5, True, [1], "long" * 1000):
        assert ours.set("k", value, min_compress_len=1000)
        assert theirs.get("k") == value
        assert theirs.set("k", value, min_compress_len=1000)
        assert ours.get("k") == value


def test_a_value_is_replaced_where_there_is_one(clients: Pair) -> None:
    # pylibmc's answers False in text, and raises NotFound in binary.
    ours, theirs = clients
    ours.delete("k")
    assert not ours.replace("k", 1)
    assert ours.get("k") is None
    ours.set("k", 1)
    assert ours.replace("k", [2], time=100)
    assert theirs.get("k") == [2]


def test_what_is_appended_keeps_its_lifetime(memcached_server: MemcachedServer) -> None:
    with MemcachedCache([memcached_server.address])._client_context() as client:
        client.set("k", "a", time=100)
        assert client.append("k", "b")
        assert client.prepend("k", "0")
        assert client.get("k") == "0ab"
        assert 95 < (memcached_server.remaining(b"k") or 0) <= 100


def test_touch_lengthens_and_shortens_and_ends(memcached_server: MemcachedServer) -> None:
    with MemcachedCache([memcached_server.address])._client_context() as client:
        client.set("k", 1, time=100)
        assert client.touch("k", 1000)
        assert (memcached_server.remaining(b"k") or 0) > 900
        assert client.touch("k", 50)
        assert (memcached_server.remaining(b"k") or 0) <= 50
        assert client.touch("k", 0)
        assert memcached_server.remaining(b"k") == -1
        assert client.touch("k", -1)
        assert client.get("k") is None


def test_a_token_serves_once(clients: Pair) -> None:
    ours, theirs = clients
    ours.set("k", 1)
    value, token = ours.gets("k")
    assert ours.cas("k", value + 1, token)
    assert ours.cas("k", value + 5, token) is False
    _, token = ours.gets("k")
    theirs.set("k", 100)
    assert ours.cas("k", 0, token) is False
    assert ours.get("k") == 100
    ours.delete("k")
    with pytest.raises(CacheBackendError, match="no such key"):
        ours.cas("k", 1, token)


def test_statistics_are_each_servers(tmp_path: Path) -> None:
    servers = [MemcachedServer(tmp_path / name) for name in "ab"]
    for server in servers:
        server.start()
    try:
        addresses = [server.address for server in servers]
        for cache in (MemcachedCache(addresses), SASLMemcachedCache(addresses)):
            client = cache._client
            client.set("k", 1)
            stats = client.get_stats()
            assert [name for name, _ in stats] == [
                f"{address} ({place})".encode() for place, address in enumerate(addresses)
            ]
            theirs = pylibmc.Client(addresses, behaviors={"cas": True}).get_stats()
            assert set(stats[0][1]) >= set(theirs[0][1])
            assert stats[0][1]["pid"] == theirs[0][1]["pid"]
            assert sum(int(values["curr_items"]) for _, values in stats) == 1
            assert client.get_stats("settings")[0][1]["maxconns"]
            assert client.get_stats("reset")[0][1] == {}
            assert client.hash("k") in (0, 1)
            with pytest.raises(pylibmc.ClientError, match=r"there are none about .nothing"):
                client.get_stats("nothing")
            with pytest.raises(CacheKeyError, match="no statistics"):
                client.get_stats("\r\nflush_all")
            # A question that it does not know is no failure of a server.
            assert all(not row[1] and row[2] is None for row in cache._store.server_health())
            assert client.get("k") == 1
        servers[0].kill()
        with pytest.raises(pylibmc.Error):
            client.get_stats()
    finally:
        for server in servers:
            server.kill()


def test_a_counter_that_is_not_there_is_made_by_who_asks(clients: Pair) -> None:
    """As applications do it, since pylibmc's documentation does."""
    for client in clients:
        client.delete("hits")
        for _ in range(3):
            try:
                client.incr("hits")
            except pylibmc.NotFound:
                client.set("hits", 1, time=60)
        assert client.get("hits") == 3


def test_all_is_removed_later(memcached_server: MemcachedServer) -> None:
    for client in (
        MemcachedCache([memcached_server.address])._client,
        SASLMemcachedCache([memcached_server.address])._client,
    ):
        client.set("k", 1)
        assert client.flush_all(time=1000)
        assert client.get("k") == 1
        assert client.flush_all()
        assert client.get("k") is None


def test_a_spread_cache_has_the_client_too(memcached_server: MemcachedServer) -> None:
    cache = SpreadSASLMemcachedCache([memcached_server.address])
    with cache._client_context() as client:
        client.set("k", "a")
        assert client.append("k", "b")
        assert client.get("k") == "ab"
        assert client.get_stats()


@pytest.mark.parametrize("key", [5, None, ["k"]])
def test_a_key_that_is_none(memcached_server: MemcachedServer, key: Any) -> None:
    client = MemcachedCache([memcached_server.address])._client
    for operate in (client.get, client.delete, client.gets, client.incr):
        with pytest.raises(TypeError, match="a key must be str or bytes"):
            operate(key)


def test_it_shows_its_servers() -> None:
    assert repr(MemcachedCache(["localhost:5"])._client) == (
        "MemcachedClient(['localhost:5'], binary=False)"
    )
