"""Whatever is in a key, it is one key on Redis and memcached, and nothing but a key."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request
from flask_caching import Cache
from flask_caching.stats._shared import MARK
from hypothesis import given, settings
from hypothesis import strategies as st
from memcached_servers import MemcachedServer
from network import KINDS, Kind

AWKWARD = [
    "a b",
    "a\r\nSET injected 1\r\n",
    "a\r\nset p_planted 0 0 1\r\nx",
    "a\nflush_all",
    "nul\0",
    "\x01",
    "\t",
    "\n",
    "",
    "*",
    "x" * 251,
    "x" * 300,
    "é" * 126,
    "é日本",
    "\ud800",
]


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def server(request: pytest.FixtureRequest, kind: Kind) -> Any:
    """A server without an entry."""
    server = request.getfixturevalue(kind.shared)
    if isinstance(server, MemcachedServer):
        server.ask(b"flush_all\r\n")
    else:
        server.admin.flushall()
    return server


def entries(server: Any) -> set[bytes]:
    """The keys that the server has, without the counts of earlier tests."""
    keys = server.keys() if isinstance(server, MemcachedServer) else server.admin.keys()
    return {key for key in keys if MARK.encode() not in key}


@pytest.mark.parametrize("key", AWKWARD)
@pytest.mark.parametrize("prefix", ["", "p_"])
def test_an_awkward_key_works_in_every_operation(
    kind: Kind, server: Any, prefix: str, key: str
) -> None:
    cache = kind.backend(kind.address(server), key_prefix=prefix)
    cache.set("bystander", 1)
    assert cache.get(key) is None
    assert not cache.delete(key)
    assert cache.add(key, "added")
    assert not cache.add(key, "again")
    assert cache.has(key)
    assert cache.set(key, "value")
    assert cache.get_many(key, "bystander") == ["value", 1]
    assert cache.delete_many(key) == [key]
    assert cache.set_many({key: 5}) == [key]
    assert cache.inc(key, 2) == 7
    assert cache.dec(key, 9) == -2
    assert cache.get_dict(key) == {key: -2}
    assert cache.delete(key)
    assert not cache.has(key)
    assert entries(server) == {f"{prefix}bystander".encode()}


@settings(max_examples=200, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", KINDS)
def test_no_key_reaches_another_s_value(
    redis_server: Any, memcached_server: Any, name: str, data: st.DataObject
) -> None:
    keys = data.draw(st.lists(st.text(max_size=300), min_size=2, max_size=4, unique=True))
    kind = KINDS[name]
    server = redis_server if kind.shared == "redis_server" else memcached_server
    cache = kind.backend(kind.address(server), key_prefix="fuzz_")
    cache.delete_many(*keys)
    assert cache.get_many(*keys) == [None] * len(keys)
    mapping = {key: f"value {place}" for place, key in enumerate(keys)}
    assert cache.set_many(mapping) == keys
    assert cache.get_dict(*keys) == mapping
    assert [cache.get(key) for key in keys] == list(mapping.values())
    assert not cache.add(keys[0], "second")
    assert cache.delete(keys[0])
    assert cache.get_many(*keys) == [None, *list(mapping.values())[1:]]
    assert not cache.has(keys[0])
    assert cache.add(keys[0], 1)
    assert cache.inc(keys[0]) == 2
    assert cache.has(keys[1])
    cache.delete_many(*keys)


@pytest.mark.parametrize(
    "text", ["a b", "a%0d%0aSET injected 1%0d%0a", "%00", "x" * 5000, "%F0%9F%8D%B5", "%ff", "a*?"]
)
def test_whatever_a_user_puts_into_a_key_is_harmless(kind: Kind, server: Any, text: str) -> None:
    app = Flask("paths")
    cache = Cache(app, config=kind.config(kind.address(server)))
    calls = []

    @app.get("/page")
    @cache.cached(key_prefix=lambda: request.args["q"])
    def page() -> str:
        calls.append(1)
        return "the page"

    client = app.test_client()
    first, second = client.get(f"/page?q={text}"), client.get(f"/page?q={text}")
    assert first.data == second.data
    assert len(calls) == 1
    (entry,) = entries(server)
    assert entry != b"injected"
