"""What people get wrong in their first hour, and what they are told."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView
from flask_caching import Cache
from flask_caching.backends.rediscache import RedisCache
from warned import caught_warnings

SIMPLE = {"CACHE_TYPE": "SimpleCache"}
REDIS = {"CACHE_TYPE": "RedisCache"}


def make(**config: Any) -> Cache:
    return Cache(Flask("x"), config={**SIMPLE, **config})


def messages(run: Callable[[], Any]) -> list[str]:
    with caught_warnings() as caught:
        run()
    return [str(warning.message) for warning in caught]


# The names of settings.


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("CACHE_DEFAULT_TIMOUT", "CACHE_DEFAULT_TIMEOUT"),
        ("CACHE_DEFAULTTIMEOUT", "CACHE_DEFAULT_TIMEOUT"),
        ("CACHE_DEFAULT_TIMEOUTS", "CACHE_DEFAULT_TIMEOUT"),
        ("CACHE_TIMEOUT", "CACHE_DEFAULT_TIMEOUT"),
        ("CACHE_TTL", "CACHE_DEFAULT_TIMEOUT"),
        ("CACHE_TPYE", "CACHE_TYPE"),
        ("CACHE_BACKEND", "CACHE_TYPE"),
        ("CACHE_THRESOLD", "CACHE_THRESHOLD"),
        ("CACHE_KEY_PREFFIX", "CACHE_KEY_PREFIX"),
        ("CACHE_PREFIX", "CACHE_KEY_PREFIX"),
        ("CACHE_DIRECTORY", "CACHE_DIR"),
        ("CACHE_OPTION", "CACHE_OPTIONS"),
        ("CACHE_REDIS_HOSTS", "CACHE_REDIS_HOST"),
        ("CACHE_REDIS_URI", "CACHE_REDIS_URL"),
        ("CACHE_REDIS_PASS", "CACHE_REDIS_PASSWORD"),
        ("CACHE_REDIS_PASSWROD", "CACHE_REDIS_PASSWORD"),
        ("CACHE_REDIS_SENTINEL", "CACHE_REDIS_SENTINELS"),
        ("CACHE_MEMCACHED_SERVER", "CACHE_MEMCACHED_SERVERS"),
        ("CACHE_IGNORE_ERROR", "CACHE_IGNORE_ERRORS"),
        ("CACHE_SOURCE_CHEK", "CACHE_SOURCE_CHECK"),
        ("CACHE_ENABLE_SIGNAL", "CACHE_ENABLE_SIGNALS"),
        ("CACHE_STORE_PRIVAT", "CACHE_STORE_PRIVATE"),
        ("CACHE_NO_NULL_WARNINGS", "CACHE_NO_NULL_WARNING"),
        ("cache_type", "CACHE_TYPE"),
        ("Cache_Default_Timeout", "CACHE_DEFAULT_TIMEOUT"),
    ],
)
@pytest.mark.parametrize("where", ["app", "argument"])
def test_a_name_that_is_nearly_one_of_a_setting(given: str, meant: str, where: str) -> None:
    app = Flask("x")
    config = {"SimpleCache": 1} if where == "app" else {given: "secret"}
    if where == "app":
        app.config[given] = "secret"
    (said,) = messages(lambda: Cache(app, config={**SIMPLE, **config}))
    assert said == f"{given} is no setting, and is not used: did you mean {meant}?"


@pytest.mark.parametrize(
    "name",
    [
        "CACHE_HEADERS",
        "CACHE_REDIS_DB2",
        "CACHE_BUSTER",
        "CACHED",
        "THRESHOLD",
        "CACHE_",
        "MY_CACHE",
    ],
)
def test_other_settings_are_the_applications_own(name: str) -> None:
    assert messages(lambda: make(**{name: 1})) == []


# CACHE_TYPE.


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("simplecache", "which is a module.*Did you mean 'SimpleCache'"),
        ("rediscache", "which is a module.*Did you mean 'RedisCache'"),
        ("nullcache", "which is a module.*Did you mean 'NullCache'"),
        ("SimpelCache", "no such backend. Did you mean 'SimpleCache'"),
        ("SIMPLECACHE", "no such backend. Did you mean 'SimpleCache'"),
        ("Redis", "no such backend. Did you mean 'RedisCache'"),
        ("FilesystemCache", "no such backend. Did you mean 'FileSystemCache'"),
        ("Memcached", "no such backend. Did you mean 'MemcachedCache'"),
        ("unheard-of", "no such backend. Names: FileSystemCache"),
        ("flask_caching.backends", "which is a module: name the backend in it"),
        ("flask_caching.backends.rediscache", "which is a module.*Did you mean 'RedisCache'"),
        ("flask_caching.contrib.uwsgicache", "which is a module.*Did you mean 'UWSGICache'"),
        ("flask_caching.backends.simple.SimpleCache", "cannot be imported.*mean 'SimpleCache'"),
        ("flask_caching.backends.SimpleCash", "cannot be imported.*mean 'SimpleCache'"),
        ("flask_cache.backends.simple", "cannot be imported.*mean 'SimpleCache'"),
        ("werkzeug.contrib.cache.SimpleCache", "cannot be imported.*mean 'SimpleCache'"),
        ("no.such.thing", "cannot be imported"),
        ("os.path", "which is a module"),
        ("os.sep", "which is a str and makes no backend"),
        ("json.loads", r"makes no backend.*\(app, config, args, kwargs\)"),
        ("decimal.Decimal", r"makes no backend.*\(app, config, args, kwargs\)"),
        ("redis://localhost", "is a URL.*CACHE_REDIS_URL"),
        ("", "must be the name or import string"),
        (None, "must be the name or import string"),
        (5, "must be the name or import string"),
        (lambda app, config, args, kwargs: None, "made a NoneType and no backend"),
        (lambda app, args, kwargs: {}.keys(), "made a dict_keys and no backend"),
    ],
)
def test_a_type_that_is_none(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){said}") as failure:
        make(CACHE_TYPE=given)
    assert "CACHE_TYPE" in str(failure.value)


# Cache().


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Cache({"CACHE_TYPE": "x"}), r"not a dict.*Cache\(app, config=\{...\}\)"),
        (lambda: Cache("SimpleCache"), r"not a str.*Cache\(app\)"),
        (lambda: Cache(Flask), "the class Flask"),
        (lambda: Cache().init_app(None), r"not a NoneType.*cache.init_app\(app\)"),
        (lambda: Cache().init_app({"CACHE_TYPE": "x"}), "not a dict"),
        (lambda: Cache(Flask("x"), config="SimpleCache"), "`config` must be a dict"),
        (lambda: Cache().init_app(Flask("x"), ["CACHE_TYPE"]), "`config` must be a dict"),
    ],
)
def test_what_is_no_application(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        call()


def test_settings_in_the_place_of_another_argument() -> None:
    app = Flask("x")
    app.config.update(SIMPLE)
    (said,) = messages(lambda: Cache(app, {"CACHE_DEFAULT_TIMEOUT": 5}))  # type: ignore[arg-type]
    assert "Cache(app, config={...})" in said


# Values.


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({**SIMPLE, "CACHE_DEFAULT_TIMEOUT": "1h"}, "CACHE_DEFAULT_TIMEOUT must be a number"),
        ({**SIMPLE, "CACHE_THRESHOLD": "many"}, "CACHE_THRESHOLD must be a whole number"),
        (
            {**SIMPLE, "CACHE_OPTIONS": {"thresold": 5}},
            "unknown 'thresold'. Did you mean 'threshold'",
        ),
        ({**SIMPLE, "CACHE_OPTIONS": "threshold=5"}, "CACHE_OPTIONS must be a dict"),
        ({**SIMPLE, "CACHE_HASH_METHOD": "md5"}, "CACHE_HASH_METHOD must be a hash constructor"),
        ({**SIMPLE, "CACHE_SOURCE_CHECK": "perhaps"}, "CACHE_SOURCE_CHECK must be True or False"),
        ({**SIMPLE, "CACHE_STORE_PRIVATE": "perhaps"}, "CACHE_STORE_PRIVATE must be True or False"),
        ({**SIMPLE, "CACHE_SERIALIZER": "json"}, "CACHE_SERIALIZER must be a subclass"),
        (
            {**REDIS, "CACHE_REDIS_HOST": "redis://localhost:6379"},
            "URL goes into CACHE_REDIS_URL",
        ),
        ({**REDIS, "CACHE_REDIS_HOST": "localhost:6379"}, "A port has a setting of its own"),
        ({**REDIS, "CACHE_REDIS_HOST": "user:secret@host"}, "so has a password"),
        ({**REDIS, "CACHE_REDIS_HOST": None}, "CACHE_REDIS_HOST must be a host name"),
        ({**REDIS, "CACHE_REDIS_HOST": ["secret"]}, "CACHE_REDIS_HOST must be a host name"),
        ({**REDIS, "CACHE_REDIS_PORT": "secret"}, "CACHE_REDIS_PORT must be a port number"),
        ({**REDIS, "CACHE_REDIS_PORT": 99999}, "CACHE_REDIS_PORT must be a port number"),
        ({**REDIS, "CACHE_REDIS_DB": "main"}, "CACHE_REDIS_DB must be a whole number"),
        ({**REDIS, "CACHE_REDIS_URL": "localhost:6379"}, "must start with redis://"),
        ({**REDIS, "CACHE_REDIS_URL": "http://localhost"}, "must start with redis://"),
        ({**REDIS, "CACHE_REDIS_URL": "redis://:a/secret@host"}, "percent-encoded"),
        ({"CACHE_TYPE": "RedisClusterCache"}, "CACHE_REDIS_CLUSTER.*host1:port1"),
        (
            {"CACHE_TYPE": "RedisClusterCache", "CACHE_REDIS_CLUSTER": "localhost"},
            "CACHE_REDIS_CLUSTER.*host1:port1",
        ),
        (
            {"CACHE_TYPE": "RedisClusterCache", "CACHE_REDIS_CLUSTER": ["localhost:7000"]},
            "CACHE_REDIS_CLUSTER must be a string",
        ),
        (
            {"CACHE_TYPE": "RedisSentinelCache", "CACHE_REDIS_SENTINELS": "localhost:26379"},
            "CACHE_REDIS_SENTINELS must be a list or tuple of server addresses",
        ),
        (
            {"CACHE_TYPE": "RedisSentinelCache", "CACHE_REDIS_SENTINELS": ["localhost"]},
            "CACHE_REDIS_SENTINELS",
        ),
        (
            {"CACHE_TYPE": "RedisSentinelCache", "CACHE_REDIS_SENTINEL_MASTER": None},
            "CACHE_REDIS_SENTINEL_MASTER is missing",
        ),
        (
            {"CACHE_TYPE": "RedisSentinelCache", "CACHE_REDIS_SENTINEL_MASTER": ""},
            "CACHE_REDIS_SENTINEL_MASTER is missing",
        ),
        (
            {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": "localhost:11211"},
            "CACHE_MEMCACHED_SERVERS must be a list or tuple",
        ),
        ({"CACHE_TYPE": "FileSystemCache"}, "CACHE_DIR must be the path of a directory"),
    ],
)
def test_a_value_that_cannot_be_meant(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){said}") as failure:
        Cache(Flask("x"), config=config)
    assert "secret" not in str(failure.value)


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


# Servers.


def test_nobody_listens() -> None:
    cache = Cache(Flask("x"), config={**REDIS, "CACHE_REDIS_PORT": 1})
    with pytest.raises(RuntimeError, match=r"on Redis at localhost:1 failed.*[Rr]efused"):
        cache.get("a")


@pytest.mark.parametrize("password", [None, "wr0ng-secret"])
def test_a_wrong_password_of_redis(redis_password: Any, password: str | None) -> None:
    backend = RedisCache("127.0.0.1", redis_password.port, password=password)
    with pytest.raises(RuntimeError, match="CACHE_REDIS_PASSWORD") as failure:
        backend.get("a")
    assert "wr0ng" not in str(failure.value)


def test_a_wrong_password_of_memcached(memcached_sasl: Any) -> None:
    config = {
        "CACHE_TYPE": "SASLMemcachedCache",
        "CACHE_MEMCACHED_SERVERS": [memcached_sasl.address],
        "CACHE_MEMCACHED_USERNAME": "username",
        "CACHE_MEMCACHED_PASSWORD": "wr0ng-secret",
    }
    cache = Cache(Flask("x"), config=config)
    with pytest.raises(RuntimeError, match="CACHE_MEMCACHED_PASSWORD") as failure:
        cache.get("a")
    assert "wr0ng" not in str(failure.value)
