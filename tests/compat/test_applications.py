"""What published applications and extensions do with Flask-Caching, in a few lines each.

Each test names the project whose code relies on it.
"""

from __future__ import annotations

import inspect
import struct
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from cachelib.serializers import RedisSerializer
from flask import Flask, request
from flask.views import MethodView
from flask_caching import Cache, make_template_fragment_key
from flask_caching.backends import FileSystemCache, RedisCache, SimpleCache
from flask_caching.backends.base import BaseCache
from jinja2 import DictLoader, Environment
from jinja2.bccache import MemcachedBytecodeCache
from werkzeug.local import LocalProxy


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.config["CACHE_TYPE"] = "SimpleCache"
    return app


class RawReader(FileSystemCache):
    """Reads a file as dash-extensions does: past the expiry, with the backend's own helpers."""

    def __init__(self, cache_dir: str = "file_system_backend", **kwargs: Any) -> None:
        super().__init__(cache_dir, **kwargs)

    def get(self, key: str, ignore_expired: bool = False) -> Any:
        if not ignore_expired:
            return super().get(key)
        with self._safe_stream_open(self._get_filename(key), "rb") as stream:
            struct.unpack("I", stream.read(4))
            return self.serializer.load(stream)

    @property
    def uid(self) -> str:
        return f"{type(self).__name__}:{self._path}"


def test_a_file_cache_that_reads_its_own_files(tmp_path: Path) -> None:
    """dash-extensions: ServersideOutput on a FileSystemCache subclass."""
    cache = RawReader(str(tmp_path), default_timeout=24 * 3600)
    cache.set("key", {"frame": [1, 2]})

    assert cache.get("key") == {"frame": [1, 2]}
    assert cache.get("key", ignore_expired=True) == {"frame": [1, 2]}
    assert cache.uid == f"RawReader:{tmp_path}"


class Defaulting(SimpleCache):
    """A backend whose reads take a default, as Indico's does."""

    def get(self, key: str, default: Any = None) -> Any:
        value = super().get(key)
        return default if value is None else value

    def get_many(self, *keys: str, default: Any = None) -> list[Any]:
        return [self.get(key, default) for key in keys]

    def get_dict(self, *keys: str, default: Any = None) -> dict[str, Any]:
        return dict(zip(keys, self.get_many(*keys, default=default), strict=True))

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Defaulting:
        return cls(*args, **kwargs)


class Quiet(Cache):
    """Proxies with a default of their own and seconds for timedeltas, as Indico's."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, default)

    def set(self, key: str, value: Any, timeout: Any = None) -> None:
        if isinstance(timeout, timedelta):
            timeout = int(timeout.total_seconds())
        super().set(key, value, timeout=timeout)

    def get_many(self, *keys: str, default: Any = None) -> list[Any]:
        return super().get_many(*keys, default=default)

    def get_dict(self, *keys: str, default: Any = None) -> dict[str, Any]:
        return super().get_dict(*keys, default=default)


def test_proxies_hand_on_what_they_are_given(app: Flask) -> None:
    """Indico: a default value from the application through the proxy to the backend."""
    cache = Quiet(app, config={"CACHE_TYPE": f"{__name__}.Defaulting"})
    calls = []

    @cache.memoize(timeout=timedelta(minutes=1))
    def function(a: int) -> int:
        calls.append(a)
        return a

    with app.app_context():
        cache.set("a", 0, timeout=timedelta(seconds=5))
        assert cache.get("b", "default") == "default"
        assert cache.get_many("a", "b", default="x") == [0, "x"]
        assert cache.get_dict("a", "b", default="x") == {"a": 0, "b": "x"}
        assert function(1) == function(1) == 1
    assert calls == [1]


class CachedNone:
    """What a None is stored as, so that it is told from a miss."""


class NoneWrapping(RedisSerializer):
    """Stores a stand-in for None."""

    def dumps(self, value: Any, *args: Any, **kwargs: Any) -> bytes:
        return super().dumps(CachedNone() if value is None else value, *args, **kwargs)


class Distinguishing(RedisCache):
    """A Redis cache whose reads take a default that a stored None is not."""

    serializer = NoneWrapping()

    def get(self, key: str, default: Any = None) -> Any:
        value = super().get(key)
        if value is None:
            return default
        return None if isinstance(value, CachedNone) else value

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Distinguishing:
        kwargs["host"] = redis.from_url(config["CACHE_REDIS_URL"], socket_timeout=1)
        kwargs["key_prefix"] = config["CACHE_KEY_PREFIX"]
        return cls(*args, **kwargs)


def test_a_serializer_that_stores_something_in_the_place_of_none(
    app: Flask, redis_server: Any
) -> None:
    """Indico: a subclass of RedisCache with a serializer and a client of its own."""
    url = f"redis://127.0.0.1:{redis_server.port}/5"
    app.config |= {"CACHE_TYPE": f"{__name__}.Distinguishing", "CACHE_REDIS_URL": url}
    cache = Quiet(app, config={"CACHE_KEY_PREFIX": "indico:"})

    with app.app_context():
        cache.clear()
        assert cache.get("none", "default") == "default"
        cache.set("none", None)
        assert cache.add("none", "other") is False
        assert cache.get("none", "default") is None
        cache.set("list", [None, 1])
        assert cache.get("list") == [None, 1]


def test_decorating_on_every_call(app: Flask) -> None:
    """Invenio: a decorator that makes a cached function anew for each request."""
    app.config["CACHE_IS_AUTHENTICATED_CALLBACK"] = None  # A key of theirs, none of ours.
    app.extensions["wrapped"] = Cache(app)
    cache: Any = LocalProxy(lambda: app.extensions["wrapped"])
    user = {"authenticated": False}
    calls = []

    def front(prefix: str) -> str:
        calls.append(prefix)
        return f"{prefix} {len(calls)}"

    def visit() -> str:
        decorate = cache.cached(
            timeout=50, key_prefix="front", unless=lambda: user["authenticated"]
        )
        answer: str = decorate(front)("page")
        return answer

    with app.test_request_context("/"):
        assert [visit(), visit()] == ["page 1", "page 1"]
        user["authenticated"] = True
        assert visit() == "page 2"


def test_a_cache_as_the_bytecode_cache_of_jinja(app: Flask) -> None:
    """Invenio: Jinja's MemcachedBytecodeCache on a proxy of the cache."""
    cache = Cache(app)
    loader = DictLoader({"page": "{{ 1 + 1 }}"})
    with app.app_context():
        for _ in range(2):
            bytecode = MemcachedBytecodeCache(cache, prefix="jinja::", timeout=None)
            environment = Environment(loader=loader, bytecode_cache=bytecode)
            assert environment.get_template("page").render() == "2"


class Metastore(BaseCache):
    """A backend of an application's own, as Superset's metadata database cache."""

    def __init__(self, namespace: str, default_timeout: int = 300) -> None:
        super().__init__(default_timeout)
        self.namespace = namespace
        self.rows: dict[str, Any] = {}

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> Metastore:
        kwargs["default_timeout"] = config["CACHE_DEFAULT_TIMEOUT"]
        kwargs.pop("ignore_delete_many_errors")
        return cls(config["CACHE_KEY_PREFIX"], *args, **kwargs)

    def get(self, key: str) -> Any:
        return self.rows.get(key)

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.rows[key] = value
        return True

    def delete(self, key: str) -> bool:
        return self.rows.pop(key, None) is not None


def test_several_caches_on_one_application(app: Flask) -> None:
    """Superset: a cache for each purpose, each with its own configuration and backend."""
    caches = {name: Cache() for name in ("data", "thumbnails", "forms")}
    for name, cache in caches.items():
        config: dict[str, Any] = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 60}
        if name == "forms":
            config |= {"CACHE_TYPE": f"{__name__}.Metastore", "CACHE_KEY_PREFIX": "forms"}
        cache.init_app(app, config)

    with app.app_context():
        for name, cache in caches.items():
            cache.set("key", name)
        assert [cache.get("key") for cache in caches.values()] == list(caches)
        assert caches["forms"].cache.namespace == "forms"
        assert caches["data"].cache.default_timeout == 60


def test_looking_into_the_entries_of_simplecache(app: Flask) -> None:
    """Several: a client-side lifetime from an entry's expiry, and removal by prefix."""
    cache = Cache(app)
    with app.app_context():
        for key in ("user-1", "user-2", "page"):
            cache.set(key, key, timeout=50)
        entries = cache.cache._cache
        expires, _ = entries.get("page", (0, b""))
        assert 45 <= expires - time.time() <= 51
        assert entries.get("absent", (0, b"")) == (0, b"")
        for key in list(entries.keys()):
            if key.startswith("user-"):
                entries.pop(key)
        assert cache.get_many("user-1", "user-2", "page") == [None, None, "page"]
        entries.clear()
        assert len(entries) == 0
        assert cache.get("page") is None


def test_memoize_keys_and_forced_calls(app: Flask) -> None:
    """Superset: asks a memoized function for its key, deletes by it, calls past the cache."""
    cache = Cache(app)
    calls = []

    @cache.memoize(timeout=60)
    def tables(schema: str, force: bool = False) -> list[str]:
        calls.append(schema)
        return [schema]

    with app.app_context():
        tables("public")
        key = tables.make_cache_key(tables.uncached, "public")
        assert cache.get(key) == ["public"]
        cache.delete(key)
        tables("public")
        tables.uncached("public")
    assert calls == ["public"] * 3


class Resource(MethodView):
    """A class-based view with a memoized helper; ``get`` is cached below."""

    computed = 0

    def get(self) -> str:
        Resource.computed += 1
        return f"standings {Resource.computed}"


def test_forgetting_by_keyword_by_class_and_by_key(app: Flask) -> None:
    """CTFd: clears what an event made stale, in every form that the package offers."""
    cache = Cache(app)

    class User:
        def __init__(self, number: int) -> None:
            self.number = number
            self.computed = 0

        def __repr__(self) -> str:
            return f"<User {self.number}>"

        @cache.memoize()
        def score(self, admin: bool = False) -> int:
            self.computed += 1
            return self.computed

    def key() -> str:
        return f"view/{request.endpoint}"

    @cache.memoize(timeout=300)
    def attributes(user_id: int) -> list[int]:
        return [user_id]

    Resource.computed = 0
    Resource.get = cache.cached(timeout=60, key_prefix=key)(Resource.get)  # type: ignore[method-assign]
    app.add_url_rule("/standings", view_func=Resource.as_view("standings"))
    client = app.test_client()

    assert [client.get("/standings").text for _ in range(2)] == ["standings 1"] * 2
    with app.app_context():
        assert cache.delete("view/standings") is True
        user = User(1)
        assert [user.score(), user.score(admin=True), user.score()] == [1, 2, 1]
        cache.delete_memoized(User.score)
        assert user.score() == 3
        assert attributes(user_id=1) == [1]
        cache.delete_memoized(attributes, user_id=1)
        fragment = make_template_fragment_key("scoreboard")
        cache.set(fragment, "<table>")
        assert cache.delete(fragment) is True
    assert client.get("/standings").text == "standings 2"


def closed_over_arguments(function: Any) -> list[str]:
    """The arguments of a method, as Flask-Classful looks for them behind its decorators."""
    arguments = inspect.getfullargspec(function).args
    if arguments[:1] == ["self"]:
        return arguments
    for cell in function.__closure__ or ():
        if cell.cell_contents is function.__wrapped__:
            return closed_over_arguments(cell.cell_contents)
    raise AssertionError(f"{function} does not close over what it decorates")


@pytest.mark.parametrize(
    "options", [{}, {"unless": lambda: False}, {"forced_update": lambda: False}], ids=", ".join
)
@pytest.mark.parametrize("decorator", ["cached", "memoize"])
def test_routes_are_made_of_the_arguments_of_what_is_decorated(
    app: Flask, decorator: str, options: dict[str, Any]
) -> None:
    """Flask-Classful: looks for them in the closures of the methods of a view."""
    cache = Cache(app)

    def method(self: Any, number: int) -> str:
        return str(number)

    async def coroutine(self: Any, number: int) -> str:
        return str(number)

    for function in (method, coroutine):
        decorated = getattr(cache, decorator)(**options)(function)
        assert closed_over_arguments(decorated) == ["self", "number"]
