"""The proxies of ``Cache``: they hand on what they are given, whatever it is."""

from __future__ import annotations

import inspect
from typing import Any
from unittest import mock

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.base import BaseCache
from flask_caching.errors import CacheNotInitializedError


class Recording(BaseCache):
    """A backend that returns what it is called with."""

    @staticmethod
    def factory(app: Any, config: Any, args: Any, kwargs: Any) -> Recording:
        return Recording()

    def __getattribute__(self, name: str) -> Any:
        if name not in HANDED_ON:
            return super().__getattribute__(name)
        return lambda *args, **kwargs: (name, args, kwargs)


HANDED_ON = (
    "get",
    "set",
    "get_many",
    "has",
    "add",
    "delete",
    "delete_many",
    "get_dict",
    "set_many",
)


@pytest.mark.parametrize("name", HANDED_ON)
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("key",), {}),
        (("key", "value"), {}),
        (("key", "value", 5), {}),
        (("key", "value"), {"timeout": 5}),
        (("key", "value"), {"timeout": None, "other": 1}),
        (("key",), {"other": 1}),
        ((b"bytes", 1.5), {}),
        (((1, 2),), {}),
    ],
)
def test_a_backend_is_given_what_the_proxy_was(
    app: Flask, in_app: None, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    cache = Cache(app, config={"CACHE_TYPE": Recording})
    assert getattr(cache, name)(*args, **kwargs) == (name, args, kwargs)


@pytest.mark.parametrize("positional", [True, False])
def test_the_store_is_given_a_timeout_by_position_or_name(
    cache: Cache, in_app: None, positional: bool
) -> None:
    with mock.patch.object(type(cache.cache), "set", autospec=True) as replaced:
        if positional:
            cache.set("key", "value", 5)
        else:
            cache.set("key", "value", timeout=5)
        assert replaced.call_args is not None
    assert cache.set("key", "value", -1) is True
    assert cache.get("key") is None
    assert cache.set("key", "value", timeout=0) is True
    assert cache.get("key") == "value"


def test_what_the_store_is_not_called_with_is_an_error(cache: Cache, in_app: None) -> None:
    for call in (
        cache.get,
        lambda: cache.get("key", "default"),
        lambda: cache.get("key", default=1),
        cache.set,
        lambda: cache.set("key"),
        lambda: cache.set("key", "value", timeouts=5),
        lambda: cache.get_many("key", default=1),
        lambda: cache.get([]),
    ):
        with pytest.raises(TypeError):
            call()


def test_a_key_given_by_name_is_found(cache: Cache, in_app: None) -> None:
    assert cache.set(key="key", value="value") is True
    assert cache.get(key="key") == "value"


def test_get_many_keeps_the_order_and_what_appears_twice(cache: Cache, in_app: None) -> None:
    keys = [f"key {number}" for number in range(40)]
    cache.set_many({key: key.upper() for key in keys})
    asked = [*keys, "missing", keys[3], 5, keys[3]]
    expected = [*(key.upper() for key in keys), None, "KEY 3", None, "KEY 3"]
    assert cache.get_many(*asked) == expected
    assert cache.get_many() == []


def test_without_an_active_application_the_last_one_is_used(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    assert cache.set("key", 1)
    assert cache.get("key") == 1
    assert cache.get_many("key") == [1]
    other = Flask("other")
    cache.init_app(other)
    with app.app_context():
        assert cache.get("key") == 1


@pytest.mark.parametrize("name", ["get", "set", "get_many", "has"])
def test_a_cache_that_is_not_set_up_says_so(name: str) -> None:
    cache = Cache()
    assert not hasattr(cache, "app")
    with pytest.raises(CacheNotInitializedError, match=r"not set up for an application yet"):
        getattr(cache, name)("key", 1)
    with pytest.raises(CacheNotInitializedError, match=r"not set up for an application yet"):
        cache.app  # noqa: B018
    with Flask("x").app_context(), pytest.raises(CacheNotInitializedError, match="'x'"):
        getattr(cache, name)("key", 1)


def test_they_can_be_specified_and_subclassed_with_others(app: Flask, in_app: None) -> None:
    class Loud:
        def get(self, *args: Any, **kwargs: Any) -> Any:
            return str(super().get(*args, **kwargs)).upper()  # type: ignore[misc]

    class LoudCache(Loud, Cache):
        pass

    cache = LoudCache(app, config={"CACHE_TYPE": "SimpleCache"})
    cache.set("key", "value")
    assert cache.get("key") == "VALUE"
    with mock.patch.object(Cache, "set", autospec=True, return_value="patched"):
        assert cache.set("key", 1) == "patched"
    assert list(inspect.signature(Cache.get).parameters) == ["self", "key"]
