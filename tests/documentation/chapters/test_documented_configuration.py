"""The documentation's table of settings, for what talks to no network."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from pathlib import Path

import pytest
from cachelib.serializers import JSONSerializer
from flask import Flask
from flask_caching import Cache
from flask_caching.backends import FileSystemCache, NullCache, SimpleCache
from flask_caching.testing import manual_clock
from warned import caught_warnings


def backend(**config: object) -> object:
    """The backend that these settings make."""
    app = Flask(__name__)
    cache = Cache(app, config=config)
    with app.app_context():
        return cache.cache


@pytest.mark.parametrize(
    ("old", "expected"),
    [("null", NullCache), ("simple", SimpleCache), ("filesystem", FileSystemCache)],
)
def test_old_names_work_and_name_the_new_ones(tmp_path: Path, old: str, expected: type) -> None:
    with caught_warnings() as caught:
        made = backend(CACHE_TYPE=old, CACHE_DIR=str(tmp_path), CACHE_NO_NULL_WARNING=True)
    assert [warning.category for warning in caught] == [DeprecationWarning]
    assert expected.__name__ in str(caught[0].message)
    assert type(made) is expected


def test_an_import_string_names_a_backend() -> None:
    path = "flask_caching.backends.simplecache.SimpleCache"
    assert type(backend(CACHE_TYPE=path)) is SimpleCache


def test_a_class_of_cachelib_can_be_named() -> None:
    made = backend(CACHE_TYPE="cachelib.SimpleCache", CACHE_OPTIONS={"threshold": 7})
    assert type(made).__module__.startswith("cachelib")
    assert made._threshold == 7  # type: ignore[attr-defined]


@pytest.mark.parametrize("timeout", [120, 120.0, timedelta(minutes=2)])
def test_the_default_timeout_is_in_seconds(timeout: object) -> None:
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": timeout})
    with app.app_context(), manual_clock() as clock:
        cache.set("tea", "hot")
        clock.advance(119)
        assert cache.get("tea") == "hot"
        clock.advance(1)
        assert cache.get("tea") is None


def test_the_default_timeout_defaults_to_300() -> None:
    made = backend(CACHE_TYPE="SimpleCache")
    assert made.default_timeout == 300  # type: ignore[attr-defined]


def test_the_threshold_limits_the_number_of_entries() -> None:
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 3})
    with app.app_context():
        for number in range(10):
            cache.set(str(number), number)
        assert sum(cache.has(str(number)) for number in range(10)) <= 3
        assert cache.get("9") == 9


def test_arguments_and_options_reach_the_backend(tmp_path: Path) -> None:
    made = backend(
        CACHE_TYPE="FileSystemCache", CACHE_DIR=str(tmp_path), CACHE_OPTIONS={"mode": 0o640}
    )
    assert isinstance(made, FileSystemCache)
    made.set("tea", "green")
    modes = {entry.stat().st_mode & 0o777 for entry in os.scandir(tmp_path) if entry.is_file()}
    assert 0o640 in modes


def test_the_directory_holds_the_entries(tmp_path: Path) -> None:
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path / "cache")}
    first, second = backend(**config), backend(**config)
    first.set("tea", "green")  # type: ignore[attr-defined]
    assert second.get("tea") == "green"  # type: ignore[attr-defined]


def test_the_file_hash_names_the_files(tmp_path: Path) -> None:
    made = backend(
        CACHE_TYPE="FileSystemCache", CACHE_DIR=str(tmp_path), CACHE_FILE_HASH_METHOD=hashlib.sha1
    )
    made.set("tea", "green")  # type: ignore[attr-defined]
    assert (tmp_path / hashlib.sha1(b"tea").hexdigest()).exists()


def test_the_serializer_replaces_the_backends_own() -> None:
    made = backend(CACHE_TYPE="SimpleCache", CACHE_SERIALIZER=JSONSerializer)
    assert isinstance(made.serializer, JSONSerializer)  # type: ignore[attr-defined]


def test_the_hash_method_and_the_source_check_reach_the_keys() -> None:
    def f() -> None: ...

    def key(**config: object) -> str:
        app = Flask(__name__)
        cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", **config})
        with app.app_context():
            made: str = cache.memoize(50)(f).make_cache_key(f)
            return made[:16]

    keys = {
        key(),
        key(CACHE_HASH_METHOD=hashlib.sha512),
        key(CACHE_SOURCE_CHECK=True),
    }
    assert len(keys) == 3
