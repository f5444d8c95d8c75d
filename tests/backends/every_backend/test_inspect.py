"""``cache.inspect()``: what is known of one entry."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache, make_template_fragment_key
from flask_caching.entry import EntryInfo
from flask_caching.testing import manual_clock

CONFIGS = ["SimpleCache", "FileSystemCache", "SharedCache", "RedisCache", "MemcachedCache"]


@pytest.fixture(params=CONFIGS)
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Cache:
    config: dict[str, Any] = {"CACHE_TYPE": request.param, "CACHE_KEY_PREFIX": "inspected:"}
    if request.param == "RedisCache":
        config["CACHE_REDIS_PORT"] = request.getfixturevalue("redis_server").port
    elif request.param == "MemcachedCache":
        port = request.getfixturevalue("memcached_server").port
        config["CACHE_MEMCACHED_SERVERS"] = [f"127.0.0.1:{port}"]
    else:
        config["CACHE_DIR"] = str(tmp_path)
    cache = Cache(Flask("tested"), config=config)
    cache.clear()
    return cache


def inspected(cache: Cache, key: str) -> EntryInfo:
    entry = cache.inspect(key)
    assert entry is not None
    return entry


def test_it_says_what_an_entry_is(cache: Cache) -> None:
    cache.set("k", ["x" * 1000], timeout=60)

    entry = inspected(cache, "k")

    assert (entry.key, entry.type, entry.value) == ("k", "list", ["x" * 1000])
    assert entry.size is not None
    assert 1000 < entry.size < 1500
    assert entry.expires_in is not None
    assert 58 <= entry.expires_in <= 60
    assert "xxx" not in repr(entry)


def test_what_never_expires_says_so(cache: Cache) -> None:
    cache.set("k", 1, timeout=0)

    assert inspected(cache, "k").expires_in == math.inf


def test_it_names_the_tags_of_an_entry(cache: Cache) -> None:
    cache.set("k", 1, tags=["user:5", "prices", "with a space", "#"])
    cache.set("plain", 1)

    *digests, first, second = inspected(cache, "k").tags
    assert (first, second) == ("prices", "user:5")
    assert [len(name) for name in digests] == [13, 13]
    assert inspected(cache, "plain").tags == ()
    cache.delete_tags("prices")
    assert cache.inspect("k") is None


def test_an_entry_expires_when_it_is_no_answer_any_more(cache: Cache) -> None:
    @cache.cached(60, key_prefix="k", stale_while_revalidate=600, tags=["t"])
    def priced() -> int:
        return 1

    with cache.app.app_context():
        priced()
        entry = inspected(cache, "k")
    assert entry.expires_in is not None
    assert 50 < entry.expires_in <= 60
    assert entry.tags == ("t",)


def test_nothing_is_none_and_a_stored_none_is_not(cache: Cache) -> None:
    cache.set("none", None)

    assert cache.inspect("k") is None
    assert inspected(cache, "none").type == "NoneType"


def test_a_fragment_is_found_by_its_key(cache: Cache) -> None:
    app = cache.app
    template = app.jinja_env.from_string("{% cache 60, 'part', 'a' %}text{% endcache %}")
    with app.app_context():
        template.render()

        entry = inspected(cache, make_template_fragment_key("part", vary_on=["a"]))

    assert entry.size is not None
    assert entry.expires_in is not None


def test_what_is_left_grows_less() -> None:
    cache = Cache(Flask("tested"), config={"CACHE_TYPE": "SimpleCache"})
    with manual_clock() as clock:
        cache.set("k", 1, timeout=60)
        clock.advance(25)

        assert inspected(cache, "k").expires_in == 35


def test_a_backend_of_the_applications_own_says_less(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "cachelib.SimpleCache"})
    cache.set("k", 1)

    entry = inspected(cache, "k")
    assert (entry.type, entry.size, entry.expires_in) == ("int", None, None)


def test_a_look_at_an_entry_is_no_question_of_the_applications(cache: Cache) -> None:
    cache.set("k", 1)
    before = cache.stats()

    assert inspected(cache, "k").value == 1
    assert cache.inspect("none") is None

    counted = cache.stats().delta(before).operations
    assert (counted.hits, counted.misses) == (0, 0)


def test_an_own_get_is_asked() -> None:
    class Own(Cache):
        def get(self, *args: Any, **kwargs: Any) -> Any:
            return "own"

    cache = Own(Flask("tested"), config={"CACHE_TYPE": "SimpleCache"})

    assert inspected(cache, "k").value == "own"
