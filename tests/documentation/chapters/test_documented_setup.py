"""The documentation's chapters on setting up, clearing, and explicit use."""

from __future__ import annotations

import pytest
from flask import Flask, render_template_string
from flask_caching import Cache
from flask_caching.backends import FileSystemCache, NullCache, SimpleCache
from flask_caching.testing import manual_clock


def test_settings_come_from_the_application() -> None:
    app = Flask(__name__)
    app.config.from_mapping(
        {"DEBUG": True, "CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 300}
    )
    cache = Cache(app)
    with app.app_context():
        assert isinstance(cache.cache, SimpleCache)
        assert cache.cache.default_timeout == 300


def test_settings_come_with_the_cache_and_the_application_later() -> None:
    cache = Cache(config={"CACHE_TYPE": "SimpleCache"})
    app = Flask(__name__)
    cache.init_app(app)
    with app.app_context():
        assert isinstance(cache.cache, SimpleCache)


def test_settings_given_to_init_app_win() -> None:
    app = Flask(__name__)
    app.config["CACHE_DEFAULT_TIMEOUT"] = 1
    cache = Cache(config={"CACHE_TYPE": "NullCache", "CACHE_DEFAULT_TIMEOUT": 2})
    cache.init_app(app, config={"CACHE_TYPE": "SimpleCache"})
    with app.app_context():
        assert isinstance(cache.cache, SimpleCache)
        assert cache.cache.default_timeout == 2
    assert app.config["CACHE_DEFAULT_TIMEOUT"] == 1


def test_several_caches_with_backends_of_their_own(tmp_path: object) -> None:
    app = Flask(__name__)
    memory = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    files = Cache(app, config={"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)})
    with app.app_context():
        assert isinstance(memory.cache, SimpleCache)
        assert isinstance(files.cache, FileSystemCache)
        memory.set("tea", "in memory")
        assert files.get("tea") is None


def test_one_cache_on_several_applications() -> None:
    cache = Cache(config={"CACHE_TYPE": "SimpleCache"})
    first, second = Flask("first"), Flask("second")
    cache.init_app(first)
    cache.init_app(second)
    with first.app_context():
        cache.set("tea", "green")
    with second.app_context():
        assert cache.get("tea") is None
    with first.app_context():
        assert cache.get("tea") == "green"


def test_without_a_type_nothing_is_cached_and_a_warning_says_so() -> None:
    app = Flask(__name__)
    with pytest.warns(UserWarning, match="NullCache"):
        cache = Cache(app)
    with app.app_context():
        assert isinstance(cache.cache, NullCache)
        cache.set("tea", "green")
        assert cache.get("tea") is None


def test_the_warning_can_be_silenced() -> None:
    Cache(Flask(__name__), config={"CACHE_NO_NULL_WARNING": True})


def test_a_script_clears_the_cache_in_an_application_context() -> None:
    app = Flask(__name__)
    cache = Cache()
    cache.init_app(app, config={"CACHE_TYPE": "SimpleCache"})
    with app.app_context():
        cache.set_many({"tea": "green", "coffee": "black"})
        assert cache.clear()
        assert cache.get_dict("tea", "coffee") == {"tea": None, "coffee": None}


def test_data_is_cached_explicitly_in_a_view() -> None:
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @app.route("/html")
    @app.route("/html/<foo>")
    def html(foo: str | None = None) -> str:
        if foo is not None:
            cache.set("foo", foo)
        return render_template_string("foo cache: {{ bar }}", bar=cache.get("foo"))

    client = app.test_client()
    assert client.get("/html").text == "foo cache: None"
    assert client.get("/html/tea").text == "foo cache: tea"
    assert client.get("/html").text == "foo cache: tea"


def test_every_proxy_reaches_the_backend() -> None:
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with app.app_context(), manual_clock() as clock:
        assert cache.set("a", 1, timeout=10)
        assert cache.add("b", 2)
        assert not cache.add("b", 3)
        assert cache.has("b")
        assert cache.get_many("a", "b", "c") == [1, 2, None]
        assert cache.get_dict("a", "c") == {"a": 1, "c": None}
        assert sorted(cache.set_many({"d": 4, "e": 5})) == ["d", "e"]
        assert cache.inc("d") == 5
        assert cache.dec("d", 2) == 3
        assert cache.delete("b")
        assert cache.delete_many("d", "e") == ["d", "e"]
        assert cache.unlink("a") == ["a"]
        cache.set("late", 1, timeout=5)
        clock.advance(5)
        assert not cache.has("late")
