"""``cache.init_app(current_app)``: the application behind a proxy is set up, not the proxy."""

import gc
import weakref

import pytest
from flask import Flask, current_app, render_template_string
from flask_caching import Cache
from werkzeug.local import LocalProxy

CONFIG = {"CACHE_TYPE": "SimpleCache"}


def init_app(config):
    cache = Cache()
    cache.init_app(current_app, config=config)
    return cache


def constructor(config):
    return Cache(current_app, config=config)


def proxy_of_a_proxy(config):
    return Cache(LocalProxy(lambda: current_app), config=config)


@pytest.fixture(params=[init_app, constructor, proxy_of_a_proxy])
def set_up(request):
    return request.param


def test_the_application_is_the_one_that_the_proxy_stood_for(app, set_up):
    with app.app_context():
        cache = set_up(CONFIG)
    assert type(cache.app) is Flask
    assert cache.app is app
    assert app.extensions["cache"][cache] is cache.cache
    calls = []

    @app.route("/")
    @cache.cached()
    def view():
        calls.append(view)
        return "page"

    @cache.memoize()
    def double(number):
        calls.append(number)
        return 2 * number

    client = app.test_client()
    assert client.get("/").data == client.get("/").data == b"page"
    with app.app_context():
        assert double(2) == double(2) == 4
        cache.delete_memoized(double)
        assert double(2) == 4
    assert len(calls) == 3


def test_the_template_tag_works(app, set_up):
    with app.app_context():
        cache = set_up(CONFIG)
        template = "{% cache 60, 'k' %}{{ word }}{% endcache %}"
        assert render_template_string(template, word="one") == "one"
        assert render_template_string(template, word="two") == "one"
        cache.clear()
        assert render_template_string(template, word="two") == "two"


def test_each_application_has_its_own_backend():
    cache = Cache(config=CONFIG)
    apps = [Flask("one"), Flask("two")]
    for app in apps:
        with app.app_context():
            cache.init_app(current_app)
            cache.set("name", app.name)
    for app in apps:
        with app.app_context():
            assert cache.get("name") == app.name


def test_an_application_that_is_gone_is_not_held():
    cache = Cache(config=CONFIG)
    first = Flask("first")
    with first.app_context():
        cache.init_app(current_app)
    gone = weakref.ref(first)
    # The cache holds the last application, as `cache.app`.
    last = Flask("last")
    with last.app_context():
        cache.init_app(current_app)
    del first
    gc.collect()
    assert gone() is None
    assert cache.app is last


def test_a_proxy_that_stands_for_nothing_is_an_error_that_says_so():
    with pytest.raises(RuntimeError, match="application context"):
        Cache(config=CONFIG).init_app(current_app)
