"""``CACHE_*`` values: what each may be, and what a wrong one is told."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import cachelib
import pytest
from cachelib.serializers import BaseSerializer, SimpleSerializer
from flask import Flask
from flask_caching import Cache, CacheConfigError, CacheError
from flask_caching.backends import BaseCache, NullCache, SimpleCache
from json_serializer import JSONSerializer
from warned import caught_warnings
from werkzeug.utils import ImportStringError


def _make(**config: Any) -> Any:
    app = Flask("configured")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", **config})
    return app.extensions["cache"][cache]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CACHE_DEFAULT_TIMEOUT", "soon"),
        ("CACHE_DEFAULT_TIMEOUT", []),
        ("CACHE_DEFAULT_TIMEOUT", float("nan")),
        ("CACHE_THRESHOLD", "many"),
        ("CACHE_THRESHOLD", -1),
        ("CACHE_THRESHOLD", 1.5),
        ("CACHE_ARGS", "abc"),
        ("CACHE_ARGS", 5),
        ("CACHE_OPTIONS", [1]),
        ("CACHE_OPTIONS", "abc"),
        ("CACHE_HASH_METHOD", "sha256"),
        ("CACHE_SERIALIZER", "json"),
        ("CACHE_SERIALIZER", dict),
        ("CACHE_SOURCE_CHECK", "perhaps"),
        ("CACHE_ENABLE_SIGNALS", "perhaps"),
        ("CACHE_NO_NULL_WARNING", "perhaps"),
        ("CACHE_IGNORE_ERRORS", []),
        ("CACHE_TYPE", 5),
        ("CACHE_TYPE", None),
        ("CACHE_TYPE", ""),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_key_when_the_cache_is_set_up(
    key: str, value: Any
) -> None:
    with pytest.raises(CacheConfigError) as caught:
        _make(**{key: value})
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, CacheError)
    message = str(caught.value)
    assert key in message
    assert repr(value) in message or type(value).__name__ in message
    assert "must be" in message


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"CACHE_TYPE": "FileSystemCache"}, "CACHE_DIR"),
        ({"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": None}, "CACHE_DIR"),
        ({"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": 5}, "CACHE_DIR"),
        ({"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": "/proc/no/such"}, "/proc/no/such"),
        ({"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": __file__}, __file__),
        ({"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": "many"}, "CACHE_REDIS_PORT"),
        ({"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": 70000}, "CACHE_REDIS_PORT"),
        ({"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": 5}, "CACHE_REDIS_HOST"),
        ({"CACHE_TYPE": "RedisCache", "CACHE_REDIS_DB": -1}, "CACHE_REDIS_DB"),
        ({"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": "h"}, "CACHE_MEMCACHED_SERV"),
        ({"CACHE_OPTIONS": {"thresold": 5}}, "threshold"),
        ({"CACHE_OPTIONS": {"thresold": 5}}, "thresold"),
        ({"CACHE_OPTIONS": {"default_timeout": "soon"}}, "CACHE_DEFAULT_TIMEOUT"),
        ({"CACHE_TYPE": "NoSuchCache"}, "NoSuchCache"),
        ({"CACHE_TYPE": "NoSuchCache"}, "SimpleCache"),
        ({"CACHE_TYPE": "no.such.module"}, "no.such.module"),
        ({"CACHE_TYPE": "os.no_such_name"}, "no_such_name"),
    ],
)
def test_what_cannot_work_is_said_in_one_message(config: dict[str, Any], named: str) -> None:
    with pytest.raises(CacheConfigError, match=re.escape(named)):
        _make(**config)


def test_the_exceptions_are_those_that_applications_may_catch_already() -> None:
    with pytest.raises(ImportStringError):
        _make(CACHE_TYPE="NoSuchCache")
    with pytest.raises(ImportError):
        _make(CACHE_TYPE="no.such.module")
    with pytest.raises(TypeError):
        _make(CACHE_OPTIONS={"thresold": 5})
    for make in (
        lambda: Cache(config=[1]),  # type: ignore[arg-type]
        lambda: Cache().init_app(Flask("x"), config="abc"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match="config"):
            make()


def test_no_message_shows_a_secret() -> None:
    for key in ("CACHE_REDIS_PASSWORD", "CACHE_REDIS_URL"):
        with pytest.raises(CacheConfigError) as caught:
            _make(CACHE_TYPE="RedisCache", **{key: ["hunter2"]})
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        (5, 5),
        (0, 0),
        (2.5, 2.5),
        ("7", 7),
        (timedelta(minutes=1), 60),
    ],
)
def test_the_default_timeout_is_taken_in_every_form(timeout: Any, seconds: float) -> None:
    assert _make(CACHE_DEFAULT_TIMEOUT=timeout).default_timeout == seconds
    assert _make(CACHE_OPTIONS={"default_timeout": timeout}).default_timeout == seconds


def test_the_configurations_go_one_before_the_other() -> None:
    app = Flask("x")
    app.config.update(CACHE_TYPE="SimpleCache", CACHE_DEFAULT_TIMEOUT=1, CACHE_THRESHOLD=1)
    given = {"CACHE_DEFAULT_TIMEOUT": 2, "CACHE_THRESHOLD": 2}
    cache = Cache(config=given)
    before = dict(app.config)
    cache.init_app(app, {"CACHE_DEFAULT_TIMEOUT": 3})
    assert (cache.cache.default_timeout, cache.cache._threshold) == (3, 2)
    assert cache.config is given
    assert dict(app.config) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("null", "NullCache"),
        ("simple", "SimpleCache"),
        ("filesystem", "FileSystemCache"),
    ],
)
def test_old_names_work_and_the_warning_points_at_the_caller(
    old: str, new: str, tmp_path: Path
) -> None:
    config = {"CACHE_TYPE": old, "CACHE_DIR": str(tmp_path), "CACHE_NO_NULL_WARNING": True}
    for make in (
        lambda: Cache(Flask("x"), config=config),
        lambda: Cache().init_app(Flask("x"), config),
        lambda: Cache(config=config).init_app(Flask("x")),
    ):
        with caught_warnings() as caught:
            make()
        assert [w.category for w in caught] == [DeprecationWarning]
        assert new in str(caught[0].message)
        assert caught[0].filename == __file__


def test_the_null_cache_warns_at_the_callers_line() -> None:
    for make in (lambda: Cache(Flask("x")), lambda: Cache().init_app(Flask("x"))):
        with caught_warnings() as caught:
            make()
        assert [w.category for w in caught] == [UserWarning]
        assert "CACHE_NO_NULL_WARNING" in str(caught[0].message)
        assert caught[0].filename == __file__


def test_a_subclass_of_cache_is_warned_at_the_callers_line() -> None:
    class Own(Cache):
        pass

    with caught_warnings() as caught:
        Own(Flask("x"))
    assert caught[0].filename == __file__


# What CACHE_TYPE may be.


class Recorded(BaseCache):
    made_with: tuple[Any, ...] = ()

    @classmethod
    def factory(cls, *given: Any) -> Recorded:  # type: ignore[override]
        made = cls()
        made.made_with = given
        return made


class OfThree(BaseCache):
    @classmethod
    def factory(cls, app: Flask, args: list[Any], kwargs: dict[str, Any]) -> OfThree:  # type: ignore[override]
        made = cls()
        made.given = (app, args, kwargs)  # type: ignore[attr-defined]
        return made


class OfFour(BaseCache):
    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> OfFour:
        made = cls()
        made.given = (app, args, kwargs)  # type: ignore[attr-defined]
        made.config = config  # type: ignore[attr-defined]
        return made


def of_three(app: Flask, args: list[Any], kwargs: dict[str, Any]) -> OfThree:
    return OfThree.factory(app, args, kwargs)


def of_four(app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> OfFour:
    return OfFour.factory(app, config, args, kwargs)


@pytest.mark.parametrize("target", ["OfThree", "OfFour", "of_three", "of_four"])
@pytest.mark.parametrize("by_name", [True, False])
def test_both_shapes_of_a_factory_are_called(target: str, by_name: bool) -> None:
    given = f"{__name__}.{target}" if by_name else globals()[target]
    backend = _make(
        CACHE_TYPE=given, CACHE_ARGS=[1], CACHE_OPTIONS={"extra": 2}, CACHE_DEFAULT_TIMEOUT=9
    )
    app, args, kwargs = backend.given
    assert isinstance(app, Flask)
    assert args == [1]
    assert kwargs["extra"] == 2
    assert kwargs["default_timeout"] == 9


def test_a_factory_may_take_anything() -> None:
    assert len(_make(CACHE_TYPE=Recorded).made_with) == 4


@pytest.mark.parametrize("given", [SimpleCache, "flask_caching.backends.SimpleCache", NullCache])
def test_classes_and_import_strings_of_our_own(given: Any) -> None:
    backend = _make(CACHE_TYPE=given, CACHE_NO_NULL_WARNING=True)
    assert isinstance(backend, (SimpleCache, NullCache))


def test_a_subclass_without_a_factory_inherits_one() -> None:
    class Own(SimpleCache):
        pass

    backend = _make(CACHE_TYPE=Own, CACHE_THRESHOLD=7, CACHE_DEFAULT_TIMEOUT=9)
    assert type(backend) is Own
    assert (backend._threshold, backend.default_timeout) == (7, 9)


@pytest.mark.parametrize("given", ["cachelib.SimpleCache", "cachelib.NullCache"])
def test_classes_of_cachelib(given: str) -> None:
    backend = _make(CACHE_TYPE=given, CACHE_DEFAULT_TIMEOUT=9)
    assert type(backend).__module__.startswith("cachelib")
    assert backend.default_timeout == 9


def test_a_class_of_cachelib_with_its_options(tmp_path: Path) -> None:
    backend = _make(
        CACHE_TYPE="cachelib.FileSystemCache",
        CACHE_ARGS=[str(tmp_path)],
        CACHE_OPTIONS={"threshold": 3},
    )
    assert type(backend) is cachelib.FileSystemCache


class Text(BaseSerializer):
    def dumps(self, value: Any, protocol: int = 0) -> bytes:
        return repr(value).encode()

    def loads(self, bvalue: bytes) -> Any:
        import ast

        return ast.literal_eval(bvalue.decode())


class NeedsArguments(BaseSerializer):
    def __init__(self, needed: int) -> None:
        self.needed = needed


@pytest.mark.parametrize("form", [Text, Text(), JSONSerializer, SimpleSerializer])
def test_a_serializer_is_a_class_or_an_instance(form: Any) -> None:
    app = Flask("x")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_SERIALIZER": form})
    kind = form if isinstance(form, type) else type(form)
    assert type(cache.cache.serializer) is kind
    assert cache.set("key", {"a": [1, None, "x"]})
    assert cache.get("key") == {"a": [1, None, "x"]}


def test_a_serializer_that_cannot_be_made_is_named() -> None:
    with pytest.raises(CacheConfigError, match="NeedsArguments"):
        _make(CACHE_SERIALIZER=NeedsArguments)


def test_a_serializer_never_changes_a_value() -> None:
    app = Flask("x")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_SERIALIZER": JSONSerializer})
    for value in ((1, 2), {1: "a"}, [(1,)], {"a": {2: 3}}, b"x", {1, 2}):
        assert cache.set("key", value) is False
        assert cache.get("key") is None
    for value in ([1, 2], {"a": None}, "x", 1.5, True, None, ""):
        assert cache.set("key", value) is not False
        assert cache.has("key")
        assert cache.get("key") == value


@pytest.mark.parametrize("method", [hashlib.md5, hashlib.sha512, lambda: hashlib.blake2s()])
def test_a_hash_method_is_any_constructor(method: Any) -> None:
    app = Flask("x")
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_HASH_METHOD": method})
    runs = []

    @cache.memoize()
    def function(a: int) -> int:
        runs.append(a)
        return a

    with app.app_context():
        before = function.make_cache_key(function.uncached, 1)
        assert function(1) == function(1) == 1
        cache.hash_method = hashlib.sha224
        assert function.make_cache_key(function.uncached, 1) != before
        assert function(1) == 1
    assert runs == [1, 1]


def test_the_package_is_imported_without_a_warning() -> None:
    import subprocess
    import sys

    modules = (
        "flask_caching",
        "flask_caching.backends",
        "flask_caching.backends.rediscache",
        "flask_caching.backends.memcache",
        "flask_caching.backends.filesystemcache",
        "flask_caching.contrib",
        "flask_caching.jinja2ext",
        "flask_caching.signals",
        "flask_caching.testing",
        "flask_caching.utils",
    )
    program = "; ".join(f"import {module}" for module in modules)
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
