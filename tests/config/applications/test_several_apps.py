"""One Cache on several applications, several Caches on one, and a Cache before init_app."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache, CacheError, cache_memoize_hit, cache_memoize_miss

SIMPLE = {"CACHE_TYPE": "SimpleCache"}


def test_each_application_has_its_own_settings() -> None:
    cache = Cache()
    plain, special = Flask("plain"), Flask("special")
    cache.init_app(plain, SIMPLE)
    cache.init_app(
        special,
        {
            **SIMPLE,
            "CACHE_HASH_METHOD": hashlib.md5,
            "CACHE_SOURCE_CHECK": True,
            "CACHE_ENABLE_SIGNALS": True,
        },
    )
    seen = []

    @cache.memoize()
    def function(a: int) -> int:
        return a

    def receive(sender: Any, **payload: Any) -> None:
        seen.append(payload["cache_key"])

    keys = {}
    with cache_memoize_miss.connected_to(receive), cache_memoize_hit.connected_to(receive):
        for app in (plain, special, plain):
            with app.app_context():
                function(1)
                function(1)
                keys[app.name] = function.make_cache_key(function.uncached, 1)
                assert len(seen) == (0 if app is plain and not seen else 2)
    assert len(seen) == 2
    assert keys["plain"][:16] != keys["special"][:16]


def test_each_application_is_in_debug_mode_or_not() -> None:
    class Broken(dict):  # type: ignore[type-arg]
        def get(self, *args: Any) -> Any:
            raise OSError("no connection")

        has = set = add = delete = get_many = set_many = get

    cache = Cache()
    quiet, loud = Flask("quiet"), Flask("loud")
    loud.debug = True
    for app in (loud, quiet):
        cache.init_app(app, {"CACHE_TYPE": lambda app, config, args, kwargs: Broken()})

    @cache.memoize()
    def function(a: int) -> int:
        return a

    with quiet.app_context():
        assert function(1) == 1
    with loud.app_context(), pytest.raises(OSError, match="no connection"):
        function(1)
    with quiet.app_context():
        assert function(1) == 1


def test_entries_belong_to_an_application() -> None:
    cache = Cache()
    one, other = Flask("one"), Flask("other")
    cache.init_app(one, SIMPLE)
    cache.init_app(other, SIMPLE)
    runs = []

    @cache.memoize()
    def function(a: int) -> int:
        runs.append(a)
        return len(runs)

    with one.app_context():
        assert function(1) == 1
    with other.app_context():
        assert function(1) == 2
        cache.delete_memoized(function)
    with one.app_context():
        assert function(1) == 1
        cache.clear()
    with other.app_context():
        assert function(1) == 3
        assert function(1) == 3


def test_a_hit_is_indicated_on_every_application() -> None:
    cache = Cache()
    apps = [Flask("one"), Flask("other")]

    @cache.cached(response_hit_indication=True)
    def view() -> str:
        return "body"

    for app in apps:
        cache.init_app(app, SIMPLE)
        app.add_url_rule("/", view_func=view)
        app.add_url_rule("/other", "other", lambda: "other")
    for app in apps:
        client = app.test_client()
        assert "hit_cache" not in client.get("/").headers
        assert client.get("/").headers.getlist("hit_cache") == ["True"]
        assert "hit_cache" not in client.get("/other").headers


def test_outside_a_context_the_application_set_up_last_is_used() -> None:
    cache = Cache()
    one, other = Flask("one"), Flask("other")
    cache.init_app(one, SIMPLE)
    cache.init_app(other, SIMPLE)
    cache.set("key", "of the other")
    with one.app_context():
        assert cache.get("key") is None
    with other.app_context():
        assert cache.get("key") == "of the other"


def test_several_caches_on_one_application() -> None:
    app = Flask("app")
    short, long = Cache(app, config=SIMPLE), Cache(app, config=SIMPLE)

    def function(a: int) -> int:
        return a

    one, other = short.memoize()(function), long.memoize()(function)
    with app.app_context():
        assert one(1) == other(1) == 1
        short.set("key", "short")
        assert long.get("key") is None
        short.clear()
        assert long.get(other.make_cache_key(function, 1)) == 1


def test_a_cache_that_is_not_set_up_says_so() -> None:
    cache = Cache()

    @cache.memoize()
    def memoized() -> int:
        return 1

    @cache.cached(key_prefix="view")
    def view() -> int:
        return 1

    for use in (
        lambda: cache.cache,
        lambda: cache.app,
        lambda: cache.get("key"),
        lambda: cache.set("key", 1),
        lambda: cache.delete("key"),
        lambda: cache.delete_many("key"),
        lambda: cache.clear(),
        lambda: cache.get_many("key"),
        lambda: cache.unlink("key"),
        lambda: cache.delete_memoized(memoized),
        memoized,
        view,
    ):
        for kind in (CacheError, RuntimeError, AttributeError):
            with pytest.raises(kind, match="init_app"):
                use()
    with Flask("foreign").app_context(), pytest.raises(CacheError, match="init_app"):
        cache.get("key")


def test_in_the_context_of_an_application_it_is_not_set_up_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own, foreign = Flask("own"), Flask("foreign")
    cache = Cache(own, config=SIMPLE)
    runs = []

    @cache.memoize()
    def function() -> int:
        runs.append(1)
        return len(runs)

    with foreign.app_context():
        with pytest.raises(CacheError, match="foreign"):
            cache.get("key")
        with pytest.raises(KeyError):
            cache.get("key")
        assert [function(), function()] == [1, 2]
        assert len(caplog.records) == 1
        foreign.debug = True
        with pytest.raises(CacheError, match="foreign"):
            function()
    with own.app_context():
        assert function() == function() == 3


def test_setting_up_again_replaces_the_backend() -> None:
    app = Flask("app")
    cache = Cache(app, config=SIMPLE)
    cache.set("key", 1)
    cache.init_app(app, {**SIMPLE, "CACHE_DEFAULT_TIMEOUT": 7})
    assert cache.get("key") is None
    assert cache.cache.default_timeout == 7
    assert app.config.get("CACHE_DEFAULT_TIMEOUT") is None


def test_applications_that_are_gone_are_forgotten() -> None:
    import gc
    import weakref

    cache = Cache(Flask("kept"), config=SIMPLE)

    @cache.memoize()
    def function() -> int:
        return 1

    def use() -> weakref.ref[Flask]:
        app = Flask("gone")
        cache.init_app(app, SIMPLE)
        with app.app_context():
            function()
        return weakref.ref(app)

    reference = use()
    cache.init_app(Flask("last"), SIMPLE)
    gc.collect()
    assert reference() is None
