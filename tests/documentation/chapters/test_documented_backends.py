"""The documentation's chapter on backends of one's own."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from cachelib import SimpleCache as CachelibSimpleCache
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.base import BaseCache


class ServerCache(BaseCache):
    """A backend with the older shape of factory, as the documentation has it."""

    def __init__(self, servers: list[str], default_timeout: int = 500, **options: Any) -> None:
        super().__init__(default_timeout)
        self.servers = servers
        self.options = options

    @classmethod
    def factory(  # type: ignore[override]
        cls, app: Flask, args: list[Any], kwargs: dict[str, Any]
    ) -> ServerCache:
        args.append(app.config["REDIS_SERVERS"])
        return cls(*args, **kwargs)


class PlainCache(BaseCache):
    """A backend with the factory of its base class."""


def modern(app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    made = CachelibSimpleCache(default_timeout=kwargs["default_timeout"])
    made.config, made.args = config, args  # type: ignore[attr-defined]
    return made


def older(app: Flask, args: list[Any], kwargs: dict[str, Any]) -> Any:
    made = CachelibSimpleCache()
    made.args, made.kwargs = args, kwargs  # type: ignore[attr-defined]
    return made


@pytest.fixture(autouse=True)
def the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """This module under the documentation's import path, ``the_app.custom``."""
    package = type(sys)("the_app")
    package.custom = sys.modules[__name__]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "the_app", package)
    monkeypatch.setitem(sys.modules, "the_app.custom", sys.modules[__name__])


def backend(app: Flask, **config: Any) -> Any:
    cache = Cache(app, config=config)
    with app.app_context():
        return cache.cache


def test_a_subclass_is_made_by_its_factory() -> None:
    app = Flask(__name__)
    app.config["REDIS_SERVERS"] = ["one", "two"]
    made = backend(app, CACHE_TYPE="the_app.custom.ServerCache", CACHE_DEFAULT_TIMEOUT=9)
    assert isinstance(made, ServerCache)
    assert made.servers == ["one", "two"]
    assert made.default_timeout == 9


def test_a_subclass_without_a_factory_is_made_without_arguments() -> None:
    made = backend(Flask(__name__), CACHE_TYPE="the_app.custom.PlainCache")
    assert type(made) is PlainCache


def test_a_function_is_given_app_config_args_and_options() -> None:
    made = backend(
        Flask(__name__),
        CACHE_TYPE="the_app.custom.modern",
        CACHE_ARGS=("a", "b"),
        CACHE_DEFAULT_TIMEOUT=9,
    )
    assert made.args == ["a", "b"]
    assert made.config["CACHE_DEFAULT_TIMEOUT"] == 9
    assert made.default_timeout == 9


def test_a_function_of_the_older_shape_is_given_no_config() -> None:
    made = backend(
        Flask(__name__), CACHE_TYPE="the_app.custom.older", CACHE_OPTIONS={"binary": True}
    )
    assert made.args == []
    assert made.kwargs["binary"] is True


def test_arguments_are_a_list_of_its_own() -> None:
    shared = ["a"]
    backend(Flask(__name__), CACHE_TYPE="the_app.custom.modern", CACHE_ARGS=shared).args.append("b")
    assert shared == ["a"]


def test_a_backend_of_ones_own_serves_the_decorators() -> None:
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "the_app.custom.modern"})
    calls = []

    @app.route("/")
    @cache.cached(timeout=50)
    def index() -> str:
        calls.append(1)
        return "ok"

    client = app.test_client()
    assert [client.get("/").text, client.get("/").text, len(calls)] == ["ok", "ok", 1]
