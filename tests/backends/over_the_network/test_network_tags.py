"""Tags and old values on Redis and memcached."""

from __future__ import annotations

import time
import uuid

import pytest
from flask import Flask
from flask_caching import Cache
from network import KINDS


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def make(request, kind):
    """Makes caches as other processes have them, of one prefix."""
    server = request.getfixturevalue(kind.shared)
    prefix = uuid.uuid4().hex

    def make(**more):
        app = Flask("tested")
        config = kind.config(kind.address(server), CACHE_KEY_PREFIX=prefix, **more)
        return Cache(app, config=config)

    return make


VALUES = [1, 2**80, "text", b"bytes", True, None, [1, {"a": (2,)}], 1.5]


@pytest.mark.parametrize("signing", [None, "secret"])
def test_whatever_has_a_tag_comes_back_until_that_is_deleted(make, signing):
    cache, other = make(CACHE_SIGNING_KEY=signing), make(CACHE_SIGNING_KEY=signing)
    for at, value in enumerate(VALUES):
        with cache.app.app_context():
            assert cache.set(f"k{at}", value, 60, tags=["t", "u"])
        with other.app.app_context():
            got = other.get(f"k{at}")
            assert (type(got), got) == (type(value), value)
    with other.app.app_context():
        other.delete_tags("t")
    with cache.app.app_context():
        for at in range(len(VALUES)):
            assert cache.get(f"k{at}") is None
            assert not cache.has(f"k{at}")
        assert cache.add("k0", 5, tags=["t"])
        assert cache.inc("k0") == 6
        cache.delete_tags("t")
        assert cache.get("k0") is None


@pytest.mark.parametrize("tags", [["t"], lambda rv: ["t"]], ids=["known", "told"])
def test_a_deletion_of_another_process_wins_while_it_is_computed(make, tags):
    cache, other = make(), make()
    calls = []

    @cache.memoize(60, tags=tags)
    def f():
        calls.append(1)
        if len(calls) == 1:
            with other.app.app_context():
                other.delete_tags("t")
        return len(calls)

    with cache.app.app_context():
        assert [f(), f(), f()] == [1, 2, 2]
    with other.app.app_context():
        other.delete_tags("t")
    with cache.app.app_context():
        assert f() == 3


def test_an_old_value_is_answered_while_it_is_refreshed(make):
    cache = make()
    calls = []

    @cache.memoize(0.2, stale_while_revalidate=60)
    def f():
        calls.append(1)
        return len(calls)

    with cache.app.app_context():
        assert f() == f() == 1
        time.sleep(0.25)
        assert f() == 1
        deadline = time.monotonic() + 60
        while f() < 2:
            assert time.monotonic() < deadline
            time.sleep(0.005)
