"""A cache that fails does not break what it caches, and says so once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask_caching import Cache, CacheKeyError, backends
from flask_caching._engine import replaced_methods
from flask_caching.backends import BaseCache
from flask_caching.contrib.uwsgicache import UWSGICache
from flask_caching.errors import CacheBackendError

METHODS = ("get", "get_many", "get_dict", "set", "set_many", "add", "has", "delete", "delete_many")


class Broken(BaseCache):
    """A backend that fails while :attr:`failing` names its methods."""

    failing: tuple[str, ...] = METHODS
    error: Callable[..., Exception] = OSError

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, Any] = {}
        for name in METHODS:
            setattr(self, name, self._wrap(name, getattr(self, name)))

    def _wrap(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            if name in self.failing:
                raise type(self).error("no connection")
            return method(*args, **kwargs)

        return called

    @classmethod
    def factory(cls, app: Flask, config: Any, args: Any, kwargs: Any) -> Broken:
        return cls()

    def get(self, key: str) -> Any:
        return self.stored.get(key)

    def has(self, key: str) -> bool:
        return key in self.stored

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.stored[key] = value
        return True

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        return self.stored.setdefault(key, value) is value

    def delete(self, key: str) -> bool:
        return self.stored.pop(key, None) is not None


def _application(*failing: str, debug: bool = False, **attributes: Any) -> tuple[Flask, Cache]:
    kind = type("Broken", (Broken,), {"failing": failing, **attributes})
    app = Flask("failing")
    app.debug = debug
    app.testing = True
    cache = Cache(app, config={"CACHE_TYPE": kind})

    @app.route("/view")
    @cache.cached()
    def view() -> str:
        return "view"

    @app.route("/fragment")
    def fragment() -> str:
        return render_template_string("{% cache 5, 'f' %}fragment{% endcache %}")

    @app.route("/deleted")
    def deleted() -> str:
        return render_template_string("{% cache 'del', 'f' %}deleted{% endcache %}")

    @app.route("/memoized")
    def memoized() -> str:
        return function("memoized")

    @cache.memoize()
    def function(text: str) -> str:
        return text

    return app, cache


PATHS = ("view", "fragment", "memoized", "deleted")


@pytest.mark.parametrize("error", [OSError, CacheBackendError, KeyError])
@pytest.mark.parametrize(
    "failing",
    [METHODS, ("get", "get_many"), ("set", "set_many", "add"), ("delete", "delete_many")],
    ids=["all", "reading", "writing", "deleting"],
)
def test_an_outage_breaks_nothing_and_is_one_line(
    caplog: pytest.LogCaptureFixture, failing: tuple[str, ...], error: Callable[..., Exception]
) -> None:
    app, _ = _application(*failing, error=staticmethod(error))
    client = app.test_client()
    for _ in range(5):
        for path in PATHS:
            assert client.get(f"/{path}").text == path
    lines = [record for record in caplog.records if record.name == "flask_caching"]
    assert len(lines) == 1
    assert lines[0].levelno == logging.ERROR
    assert "no connection" in lines[0].getMessage()


def test_a_key_that_the_backend_refuses_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = _application(*METHODS, error=staticmethod(CacheKeyError))
    client = app.test_client()
    for _ in range(3):
        for path in PATHS:
            assert client.get(f"/{path}").text == path
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(set(lines)) == 3


def test_the_end_of_an_outage_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    app, cache = _application(*METHODS)
    client = app.test_client()
    for _ in range(3):
        client.get("/view")
        client.get("/memoized")
    app.extensions["cache"][cache].failing = ()
    for _ in range(3):
        client.get("/view")
        client.get("/memoized")
        client.get("/fragment")
    assert len(caplog.records) == 2
    assert "again" in caplog.records[1].getMessage()
    app.extensions["cache"][cache].failing = METHODS
    client.get("/view")
    assert len(caplog.records) == 3


@pytest.mark.parametrize("path", PATHS)
def test_debug_mode_shows_the_failure(path: str) -> None:
    app, _ = _application(*METHODS, debug=True)
    with pytest.raises(OSError, match="no connection"):
        app.test_client().get(f"/{path}")


def test_explicit_calls_raise() -> None:
    app, cache = _application(*METHODS)
    with app.app_context():
        for call in (
            lambda: cache.get("a"),
            lambda: cache.set("a", 1),
            lambda: cache.add("a", 1),
            lambda: cache.delete("a"),
            lambda: cache.delete_many("a"),
            lambda: cache.unlink("a"),
            lambda: cache.get_many("a"),
            lambda: cache.set_many({"a": 1}),
            lambda: cache.has("a"),
            lambda: cache.get_dict("a"),
            lambda: cache.delete_memoized(app.view_functions["memoized"]),
        ):
            with pytest.raises(OSError, match="no connection"):
                call()


def test_a_failing_block_is_rendered_once(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = _application(*METHODS)
    rendered = []

    def body() -> str:
        rendered.append(1)
        raise LookupError

    with app.test_request_context(), pytest.raises(LookupError):
        render_template_string("{% cache 5, 'f' %}{{ body() }}{% endcache %}", body=body)
    assert len(rendered) == 1


def test_an_error_of_the_function_itself_is_not_the_caches(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, cache = _application()
    runs = []

    @cache.memoize()
    def function() -> None:
        runs.append(1)
        raise OSError("of the function")

    with app.app_context(), pytest.raises(OSError, match="of the function"):
        function()
    assert runs == [1]
    assert not caplog.records


class DumpsOnly:
    """Can be pickled and not be unpickled."""

    def __reduce__(self) -> Any:
        return (_refuse, ())


def _refuse() -> None:
    raise RuntimeError("cannot be made again")


@pytest.mark.parametrize(
    "backend",
    [
        backends.SimpleCache,
        backends.FileSystemCache,
        backends.RedisCache,
        backends.RedisSentinelCache,
        backends.RedisClusterCache,
        backends.MemcachedCache,
        backends.SASLMemcachedCache,
        UWSGICache,
    ],
)
def test_the_internal_methods_of_our_backends_stand_in_for_their_public_ones(
    backend: type[Any],
) -> None:
    unmade = backend.__new__(backend)
    assert not replaced_methods(Cache(), unmade)

    class Own(backend):  # type: ignore[misc]
        def get(self, key: str) -> Any:
            return super().get(key)

        def set(self, key: str, value: Any, timeout: Any = None) -> Any:
            return super().set(key, value, timeout)

    unmade = Own.__new__(Own)
    assert {"get", "set"} <= set(replaced_methods(Cache(), unmade))


@pytest.mark.parametrize("cache_type", ["SimpleCache", "FileSystemCache"])
@pytest.mark.parametrize("value", [lambda: None, DumpsOnly()], ids=["dumps", "loads"])
def test_a_value_that_cannot_be_stored_is_returned_and_logged_once(
    cache_type: str, value: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask("x")
    cache = Cache(app, config={"CACHE_TYPE": cache_type, "CACHE_DIR": str(tmp_path)})

    @cache.memoize()
    def function() -> Any:
        return value

    with app.app_context():
        for _ in range(3):
            assert function() is value
        assert len(caplog.records) == 1
        assert caplog.records[0].exc_info is None
        assert cache.set("key", value) is False
        assert not cache.has("key")
        assert cache.add("key", value) is False
        assert cache.set_many({"key": value, "other": 1}) == ["other"]
