"""Numbers and booleans as environments give them: one rule, for every setting."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache, CacheConfigError
from flask_caching.backends import _registry
from flask_caching.backends.spec import COUNT, FLAG, PORT, SECONDS, TIMEOUT, Kind, Setting
from flask_caching.config import GENERAL

SETTINGS = {
    setting.name: setting
    for settings in (GENERAL, *(spec.settings for spec in _registry.specs()))
    for setting in settings
    if setting.kind in (COUNT, FLAG, PORT, SECONDS, TIMEOUT)
}
NUMBERS = [name for name, setting in SETTINGS.items() if setting.kind is not FLAG]
FLAGS = [name for name, setting in SETTINGS.items() if setting.kind is FLAG]


def read(setting: Setting, value: Any) -> Any:
    config = {setting.name: value}
    setting.check(config)
    return config[setting.name]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_nothing_is_the_default(name: str, nothing: Any) -> None:
    assert read(SETTINGS[name], nothing) == SETTINGS[name].default


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("number", ["50", " 50\n", "50.0", "5e1", 5e1, Decimal(50), 50])
def test_a_number_in_every_form(name: str, number: Any) -> None:
    value = read(SETTINGS[name], number)
    assert value == 50
    assert type(value) is int


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("nonsense", ["many", "0x10", "nan", float("nan"), [], {}, b"5", "5 5", 5j])
def test_what_is_no_number_is_named(name: str, nonsense: Any) -> None:
    with pytest.raises(CacheConfigError, match=f"{name} must be"):
        read(SETTINGS[name], nonsense)


@pytest.mark.parametrize("kind", [COUNT, PORT])
@pytest.mark.parametrize("value", ["1.5", 1.5, -1, "-1", "inf", 10**9 + 0.5])
def test_a_whole_number_is_whole(kind: Kind, value: Any) -> None:
    with pytest.raises(ValueError, match="number"):
        kind.read(value, 1)


def test_a_whole_number_of_any_size() -> None:
    assert COUNT.read(str(2**80 + 1), 0) == 2**80 + 1


def test_seconds_may_have_a_fraction() -> None:
    assert SECONDS.read("0.25", 1) == TIMEOUT.read("0.25", 1) == 0.25
    for none in ("0", 0, -1, "inf", float("inf")):
        with pytest.raises(ValueError, match="positive"):
            SECONDS.read(none, 1)


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_in_every_form(name: str) -> None:
    for yes in ("1", "true", "True", " YES ", "on", "t", "y", 1, 1.0, True):
        assert read(SETTINGS[name], yes) is True
    for no in ("0", "false", "FALSE", "no", "off", "f", "n", 0, False):
        assert read(SETTINGS[name], no) is False


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("nonsense", ["perhaps", 2, -1, [], b"1"])
def test_what_is_no_flag_is_named(name: str, nonsense: Any) -> None:
    with pytest.raises(CacheConfigError, match=f"{name} must be"):
        read(SETTINGS[name], nonsense)


def test_options_are_read_likewise() -> None:
    config = {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": ["127.0.0.1:1"]}
    given: dict[str, Any] = {
        "breaker_failures": "7",
        "operation_timeout": " 0.5",
        "breaker_reset": "",
    }
    assert Cache(Flask("x"), config={**config, "CACHE_OPTIONS": given})
    with pytest.raises(CacheConfigError, match="'breaker_reset' must be a positive number"):
        Cache(Flask("x"), config={**config, "CACHE_OPTIONS": {"breaker_reset": "soon"}})


@pytest.mark.parametrize("setting", ["CACHE_ARGS", "CACHE_OPTIONS"])
@pytest.mark.parametrize("empty", ["", None, [], (), {}])
def test_empty_arguments_are_none(setting: str, empty: Any) -> None:
    given = {"CACHE_TYPE": "SimpleCache", setting: empty}
    cache = Cache(Flask("x"), config=given)
    assert cache.set("a", 1)
    assert given == {"CACHE_TYPE": "SimpleCache", setting: empty}


def test_the_options_of_the_application_stay_as_they_are() -> None:
    options = {"threshold": "7"}
    Cache(Flask("x"), config={"CACHE_TYPE": "SimpleCache", "CACHE_OPTIONS": options})
    assert options == {"threshold": "7"}


def test_a_url_may_end_with_a_line(redis_server: Any) -> None:
    url = f" redis://127.0.0.1:{redis_server.port}/0\n"
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url}
    assert Cache(Flask("x"), config=config).set("a", 1)


def test_the_settings_of_redis_from_an_environment() -> None:
    config = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_PORT": "6380",
        "CACHE_REDIS_DB": "",
        "CACHE_OPERATION_TIMEOUT": "0.5",
        "CACHE_OPTIONS": "",
        "CACHE_DEFAULT_TIMEOUT": "60",
        "CACHE_IGNORE_ERRORS": "1",
    }
    cache = Cache(Flask("x"), config=config)
    assert cache.cache.default_timeout == 60
    assert cache.cache.ignore_delete_many_errors is True
