"""What people get wrong with decorated functions in their first hour, and what they are told."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView
from flask_caching import Cache
from warned import caught_warnings

SIMPLE = {"CACHE_TYPE": "SimpleCache"}


def make(**config: Any) -> Cache:
    return Cache(Flask("x"), config={**SIMPLE, **config})


def messages(run: Callable[[], Any]) -> list[str]:
    with caught_warnings() as caught:
        run()
    return [str(warning.message) for warning in caught]


# Decorators.


@pytest.mark.parametrize("decorator", ["cached", "memoize"])
def test_a_decorator_without_parentheses(cache: Cache, decorator: str) -> None:
    def view() -> str:
        return ""

    for given in (view, functools.partial(view), lambda: 5, staticmethod(view)):
        with pytest.raises(TypeError, match=rf"write @cache\.{decorator}\(\) with parentheses"):
            getattr(cache, decorator)(given)


@pytest.mark.parametrize("decorator", ["cached", "memoize"])
@pytest.mark.parametrize("timeout", ["1h", "", "5s", "5.5"])
def test_a_timeout_that_is_a_text(cache: Cache, decorator: str, timeout: str) -> None:
    with pytest.raises(ValueError, match=f"a timeout must be None, a number .* not '{timeout}'"):
        getattr(cache, decorator)(timeout)(lambda: 1)


def test_a_cached_timeout_that_is_set_to_a_text(cache: Cache, in_app: None, caplog: Any) -> None:
    f = cache.memoize()(lambda: 1)
    f.cache_timeout = "1h"
    assert f() == f() == 1
    assert len(caplog.records) == 1
    assert "a timeout must be None, a number of seconds or a timedelta, not '1h'" in caplog.text


@pytest.mark.parametrize("name", ["timout", "time_out"])
def test_an_unknown_option(cache: Cache, name: str) -> None:
    for decorator in (cache.cached, cache.memoize):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            decorator(**{name: 5})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["usr"], "f has no argument 'usr'. Did you mean 'user'?"),
        (["other"], "f has no argument 'other'. It has: user, page"),
        (["user", "nope"], "f has no argument 'nope'. It has: user, page"),
        ("user", "args_to_ignore='user' is one name"),
        ("user, page", "as in args_to_ignore=['user', 'page']"),
    ],
)
def test_arguments_to_ignore_that_there_are_not(cache: Cache, given: Any, said: str) -> None:
    def f(user: str, page: int = 1) -> None:
        pass

    (message,) = messages(lambda: cache.memoize(args_to_ignore=given)(f))
    assert said in message


def test_arguments_to_ignore_that_there_may_be(cache: Cache) -> None:
    def f(user: str, **more: Any) -> None:
        pass

    assert messages(lambda: cache.memoize(args_to_ignore=["user", "more", "any"])(f)) == []
    assert messages(lambda: cache.memoize(args_to_ignore=[])(f)) == []


@pytest.mark.parametrize("decorator", [classmethod, staticmethod])
def test_a_method_of_a_class_that_is_decorated_too_early(cache: Cache, decorator: Any) -> None:
    with pytest.raises(TypeError, match=f"put @{decorator.__name__} above"):
        cache.memoize()(decorator(lambda: 1))


@pytest.mark.parametrize("given", [5, "view", None])
def test_what_is_no_function(cache: Cache, given: Any) -> None:
    with pytest.raises(TypeError, match="only a function can be cached"):
        cache.cached()(given)


def test_an_asynchronous_generator(cache: Cache) -> None:
    async def f() -> Any:
        yield 1

    (said,) = messages(lambda: cache.memoize()(f))
    assert "f is not cached" in said
    assert "asynchronous generator" in said


def test_a_function_that_returns_a_coroutine(cache: Cache, in_app: None, caplog: Any) -> None:
    async def compute() -> int:
        return 1

    f = cache.memoize()(lambda: compute())
    assert asyncio.run(_awaited(f)) == 1
    assert asyncio.run(_awaited(f)) == 1
    assert len(caplog.records) == 1
    assert "coroutine cannot be serialized; await it" in caplog.text


async def _awaited(f: Callable[[], Any]) -> Any:
    return await f()


# Keys.


@pytest.mark.parametrize("option", ["make_cache_key", "key_prefix"])
@pytest.mark.parametrize("asked", ["quickly", "slowly"])
def test_a_key_that_is_none(app: Flask, cache: Cache, caplog: Any, option: str, asked: str) -> None:
    runs = []
    options: dict[str, Any] = {option: lambda *args, **kwargs: None}
    if asked == "slowly":
        options["response_hit_indication"] = True

    @app.route("/")
    @cache.cached(**options)
    def view() -> str:
        runs.append(1)
        return "text"

    for _ in range(2):
        app.test_client().get("/")
    assert len(runs) == 2
    assert len(caplog.records) == 1
    assert f"its {option} returned None" in caplog.text


def call_bare_helper(app: Flask, cache: Cache, **options: Any) -> None:
    @cache.cached(**options)
    def helper() -> list[int]:
        return [1]

    @app.route("/<name>")
    def page(name: str) -> str:
        return str(helper())

    app.test_client().get("/a")
    app.test_client().get("/b")


def test_a_helper_that_takes_the_key_of_the_page(app: Flask, cache: Cache, caplog: Any) -> None:
    call_bare_helper(app, cache)
    assert len(caplog.records) == 1
    assert "helper is cached under the key of the page that it was called for, page" in caplog.text
    assert "key_prefix" in caplog.text


@pytest.mark.parametrize(
    "options", [{"key_prefix": "own"}, {"make_cache_key": lambda: "own"}, {"key_prefix": str}]
)
def test_a_helper_with_a_key_of_its_own(
    app: Flask, cache: Cache, caplog: Any, options: Any
) -> None:
    call_bare_helper(app, cache, **options)
    assert not caplog.records


def test_views_under_decorators_are_no_helpers(app: Flask, cache: Cache, caplog: Any) -> None:
    def hides(view: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return view(*args, **kwargs)

        return wrapper

    class Page(MethodView):
        decorators = (hides,)

        @cache.cached()
        def get(self) -> str:
            return "text"

    view = cache.cached()(lambda: "text")
    app.add_url_rule("/plain", "plain", view)
    app.add_url_rule("/hidden", "hidden", hides(view))
    app.add_url_rule("/twice", "twice", hides(hides(view)))
    app.add_url_rule("/wrapper", None, hides(view))
    app.add_url_rule("/partial", "partial", functools.partial(view))
    app.add_url_rule("/method", view_func=Page.as_view("method"))
    client = app.test_client()
    for path in ("/plain", "/hidden", "/twice", "/wrapper", "/partial", "/method"):
        assert client.get(path).status_code == 200
    assert not caplog.records


@pytest.mark.parametrize("decorator", ["cached", "memoize", "page"])
@pytest.mark.parametrize("kind", ["app", "blueprint", "decorated"])
def test_a_view_that_is_cached_above_its_route(
    cache: Cache, kind: str, decorator: str, caplog: Any
) -> None:
    app = Flask("x")
    cache.init_app(app, SIMPLE)
    routes: Any = Blueprint("some", "some") if kind == "blueprint" else app

    cached = getattr(cache, decorator)

    @cached()
    @(lambda f: functools.wraps(f)(lambda: f()) if kind == "decorated" else f)
    @routes.route("/")
    def view() -> str:
        return "text"

    @routes.route("/right")
    @cached()
    def right() -> str:
        return "text"

    if kind == "blueprint":
        app.register_blueprint(routes)
    for _ in range(3):
        app.test_client().get("/")
    assert len(caplog.records) == 1
    assert "view is never answered from the cache" in caplog.text
    assert f"Put @cache.{decorator}() below @app.route()" in caplog.text


@pytest.mark.parametrize("decorator", ["cached", "memoize", "page"])
def test_a_class_of_views_is_none(cache: Cache, decorator: str) -> None:
    class Views(MethodView):
        pass

    with pytest.raises(TypeError, match=r"Views is a class of views.*decorators = \[cache.cached"):
        getattr(cache, decorator)()(Views)


def test_a_view_that_is_put_in_its_place_later(app: Flask, cache: Cache, caplog: Any) -> None:
    @app.route("/")
    def view() -> str:
        return "text"

    app.view_functions["view"] = cache.cached()(view)
    app.test_client().get("/")
    assert not caplog.records


# Deleting.


def test_a_view_is_no_memoized_function(app: Flask, cache: Cache, in_app: None) -> None:
    view = cache.cached(key_prefix="view")(lambda: 1)
    (said,) = messages(lambda: cache.delete_memoized(view))
    assert "use delete_cached()" in said
    f = cache.memoize()(lambda: 1)
    with pytest.raises(TypeError, match=r"use delete_memoized\(\)"):
        cache.delete_cached(f)
    with pytest.raises(AttributeError, match=r"not decorated with cache\.cached"):
        cache.delete_cached(len)
    with pytest.raises(TypeError, match="by its function, not by a name"):
        cache.delete_memoized("f")


class Thing:
    cache = Cache()

    def __repr__(self) -> str:
        return "<Thing>"

    @cache.memoize()
    def method(self, number: int) -> int:
        return number


@pytest.mark.parametrize(
    ("args", "kwargs", "why"),
    [
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"nope": 1}, "unexpected keyword argument 'nope'"),
        ((1,), {"a": 1}, "multiple values for argument 'a'"),
        ((), {"b": 2}, "missing a required argument: 'a'"),
    ],
)
def test_arguments_that_no_call_can_have(
    cache: Cache, in_app: None, args: Any, kwargs: Any, why: str
) -> None:
    f = cache.memoize()(lambda a, b=1: a)
    (said,) = messages(lambda: cache.delete_memoized(f, *args, **kwargs))
    assert "delete_memoized forgets nothing: no call of" in said
    assert why in said


def test_arguments_that_a_call_can_have() -> None:
    app, thing = Flask("x"), Thing()
    Thing.cache.init_app(app, SIMPLE)
    f = Thing.cache.memoize()(lambda a, b=1, *more, **named: a)
    with app.app_context():
        assert messages(lambda: f.delete_memoized(1)) == []
        assert messages(lambda: f.delete_memoized(1, 2, 3, c=4)) == []
        assert messages(lambda: f.delete_memoized(a=1, b=4)) == []
        assert messages(lambda: Thing.cache.delete_memoized(thing.method, 1)) == []
        assert messages(lambda: Thing.cache.delete_memoized(thing.method, thing, 1)) == []
        assert messages(lambda: Thing.cache.delete_memoized(Thing.method, thing, 1)) == []
        assert messages(lambda: Thing.cache.delete_memoized(Thing.method, thing, number=1)) == []
        (said,) = messages(lambda: Thing.cache.delete_memoized(thing.method, 1, 2))
        assert "too many" in said
