"""What applications of Flask-Caching do with a cache around ``init_app``, by accident or not."""

from __future__ import annotations

import copy
import hashlib
import importlib.metadata
import logging
import pickle
import typing
from typing import Any

import flask_caching
import jinja2
import pytest
from cachelib.serializers import SimpleSerializer
from flask import Flask
from flask_caching import Cache
from warned import caught_warnings

SIMPLE = {"CACHE_TYPE": "SimpleCache"}


def test_settings_can_be_read_before_there_is_an_application() -> None:
    cache = Cache()
    assert cache.source_check is None
    assert cache.hash_method is None
    assert cache.serializer is None
    assert cache.enable_signals is False


@pytest.mark.parametrize(
    ("name", "value", "configured"),
    [
        ("source_check", True, False),
        ("enable_signals", True, False),
        ("hash_method", hashlib.md5, hashlib.sha256),
        ("serializer", SimpleSerializer(), None),
    ],
)
def test_settings_can_be_set_before_and_the_configuration_goes_over_them(
    name: str, value: Any, configured: Any
) -> None:
    cache = Cache()
    setattr(cache, name, value)
    assert getattr(cache, name) == value
    cache.init_app(Flask("x"), SIMPLE)
    assert getattr(cache, name) == configured
    setattr(cache, name, value)
    assert getattr(cache, name) == value


@pytest.mark.parametrize("name", ["__init__", "init_app", "cached", "memoize", "delete_cached"])
def test_the_hints_of_methods_can_be_resolved(name: str) -> None:
    assert typing.get_type_hints(getattr(Cache, name))


def test_a_copy_is_a_cache_of_its_own_for_the_same_applications() -> None:
    class Own(Cache):
        note = "none"

    app = Flask("x")
    cache = Own(app, config=SIMPLE)
    cache.note = "kept"
    cache.hash_method = hashlib.md5
    other = copy.copy(cache)
    assert type(other) is Own
    assert other != cache
    assert (other.note, other.config, other.app) == ("kept", SIMPLE, app)
    assert other.hash_method is hashlib.md5
    cache.set("a", 1)
    assert other.get("a") == 1
    other.init_app(app)
    assert other.get("a") is None
    assert cache.get("a") == 1


def test_a_copy_before_init_app() -> None:
    other = copy.copy(Cache(config=SIMPLE, with_jinja2_ext=False))
    other.init_app(Flask("x"))
    assert other.with_jinja2_ext is False
    assert other.set("a", 1)
    runs: list[int] = []
    f = other.memoize()(lambda: runs.append(1) or len(runs))
    assert f() == f() == 1


class Named(Cache):
    """Is made of other arguments than its base."""

    def __init__(self, name: str) -> None:
        super().__init__(config=SIMPLE)
        self.name = name


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))], ids=["copied", "pickled"]
)
def test_a_cache_that_is_not_set_up_is_copied_deeply_and_pickled(copied: Any) -> None:
    plain = Cache(with_jinja2_ext=False, config=SIMPLE)
    plain.hash_method = hashlib.md5
    other = copied(plain)
    assert (other.with_jinja2_ext, other.config) == (False, SIMPLE)
    assert other.hash_method is hashlib.md5
    named = copied(Named("it"))
    assert named.name == "it"
    named.init_app(Flask("x"))
    assert named.set("a", 1)
    assert named.get("a") == 1


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_a_cache_that_is_set_up_is_not_pickled(copied: Any) -> None:
    with pytest.raises(TypeError, match="set up for an application cannot be pickled"):
        copied(Cache(Flask("x"), config=SIMPLE))


class Bare:
    """What looks like an application, but for ``extensions``, ``debug`` and ``name``."""

    def __init__(self) -> None:
        self.config = SIMPLE
        self.jinja_env = jinja2.Environment()


def test_an_application_without_extensions() -> None:
    bare: Any = Bare()
    cache = Cache(bare)
    runs: list[int] = []
    f = cache.memoize()(lambda: runs.append(1) or len(runs))
    assert f() == f() == 1
    assert bare.extensions["cache"][cache] is cache.cache


def test_the_version_is_deprecated_as_it_was() -> None:
    with caught_warnings() as caught:
        version = flask_caching.__version__  # type: ignore[attr-defined]
    assert version == "2.5.1"
    assert [warning.category for warning in caught] == [DeprecationWarning]
    assert "importlib.metadata" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert importlib.metadata.version("flask-caching-rs")
    with pytest.raises(AttributeError):
        flask_caching.no_such_name  # type: ignore[attr-defined] # noqa: B018


def test_the_logger_can_be_imported() -> None:
    assert flask_caching.logger is logging.getLogger("flask_caching")


@pytest.mark.parametrize(
    ("cache_type", "warnings"),
    [
        ("NullCache", 1),
        ("flask_caching.backends.NullCache", 0),
        ("flask_caching.backends.nullcache.NullCache", 0),
        (flask_caching.backends.NullCache, 0),
    ],
)
def test_only_the_name_of_the_null_cache_is_warned_of(cache_type: Any, warnings: int) -> None:
    with caught_warnings() as caught:
        Cache(Flask("x"), config={"CACHE_TYPE": cache_type})
    assert len(caught) == warnings
