"""What Python says of a method that is wrongly called, and whose method it says that is."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cachelib import BaseCache as CachelibBaseCache
from flask import Flask
from flask_caching import Cache
from flask_caching.backends import BaseCache, _registry
from flask_caching.backends.memcache import MemcachedCache
from flask_caching.backends.rediscache import RedisCache
from flask_caching.backends.simplecache import SimpleCache

BACKENDS = {spec.name: _registry.find(spec.name) for spec in _registry.specs()}

#: What public classes inherit from, and nobody has to know.
PRIVATE = ("MemoryBackend", "ByteBackend", "RedisBackend", "Wrapping", "NativeProxies")


def methods(backend: Any) -> list[str]:
    return [
        name
        for name, method in inspect.getmembers(backend, callable)
        if name[0] != "_" and not inspect.isclass(method)
    ]


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
def test_no_method_is_called_by_the_name_of_a_class_that_nobody_knows(backend: Any) -> None:
    public = {cls.__name__ for cls in (*BACKENDS.values(), BaseCache, CachelibBaseCache)}
    for name in methods(backend):
        owner, _, last = getattr(backend, name).__qualname__.rpartition(".")
        assert last == name
        assert owner in public, getattr(backend, name)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda cache: cache.set("a", 1, timout=5), "'timout'. Did you mean 'timeout'?"),
        (lambda cache: cache.add("a", 1, timeot=5), "'timeot'. Did you mean 'timeout'?"),
        (lambda cache: cache.set("a", 1, tag=["x"]), "'tag'. Did you mean 'tags'?"),
        (lambda cache: cache.set(ky="a", value=1), "unexpected keyword argument 'ky'"),
        (lambda cache: cache.set_many({"a": 1}, timout=5), "'timout'. Did you mean 'timeout'?"),
        (lambda cache: cache.set("a"), "'value'"),
        (lambda cache: cache.set("a", 1, 2, 3, 4, 5), "positional argument"),
        (lambda cache: cache.add("a"), "'value'"),
        (lambda cache: cache.get(), "'key'"),
        (lambda cache: cache.get("a", "b", "c", "d"), "positional argument"),
        (lambda cache: cache.has(), "'key'"),
        (lambda cache: cache.delete(), "'key'"),
        (lambda cache: cache.get_many(kye="a"), "'kye'"),
        (lambda cache: cache.set_many(), "'mapping'"),
        (lambda cache: cache.inc("a", 1, 2), "argument"),
        (lambda cache: cache.set("a", 1, ttl=5), "'ttl'. Did you mean 'timeout'?"),
        (lambda cache: cache.add("a", 1, expire=5), "'expire'. Did you mean 'timeout'?"),
        (lambda cache: cache.set_many({"a": 1}, ex=5), "'ex'. Did you mean 'timeout'?"),
        (lambda cache: cache.get("a", "default"), "for several: get_many(*keys)"),
        (lambda cache: cache.delete("a", "b"), "for several: delete_many(*keys)"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
@pytest.mark.parametrize("kind", ["SimpleCache", "FileSystemCache", "RedisCache", "NullCache"])
def test_a_wrong_call_names_the_public_class(
    tmp_path: Path, kind: str, call: Callable[[Any], Any], said: str
) -> None:
    config = {"CACHE_TYPE": kind, "CACHE_DIR": str(tmp_path), "CACHE_NO_NULL_WARNING": True}
    cache = Cache(Flask("x"), config={**config, "CACHE_KEY_PREFIX": "x"})
    with pytest.raises(TypeError) as failure:
        call(cache)
    message = str(failure.value)
    assert said in message
    assert not any(name in message for name in PRIVATE)


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda backend: backend.set("a", 1, timout=5), "timeout"),
        (lambda backend: backend.add("a", 1, time_out=5), "timeout"),
        (lambda backend: backend.set_many({"a": 1}, tiemout=5), "timeout"),
        (lambda backend: backend.set("a", 1, tag=["x"]), "tags"),
        (lambda backend: backend.inc("a", detla=5), "delta"),
        (lambda backend: backend.dec("a", dleta=5), "delta"),
    ],
)
def test_what_was_meant_is_said_of_a_backend_itself(call: Callable[[Any], Any], meant: str) -> None:
    with pytest.raises(
        TypeError, match=rf"unexpected keyword .*Did you mean '{meant}'\?"
    ) as failure:
        call(SimpleCache())
    assert str(failure.value).startswith("SimpleCache.")


def test_what_was_meant_is_said_of_a_backend_of_the_applications_own() -> None:
    class Backend(CachelibBaseCache):
        def set(self, key: str, value: Any, timeout: Any = None, colour: str = "") -> bool:
            raise TypeError("unexpected keyword argument 'inside'") if colour else None

    cache = Cache(Flask("x"), config={"CACHE_TYPE": lambda app, args, kwargs: Backend()})
    with pytest.raises(TypeError, match=r"'color'. Did you mean 'colour'\?"):
        cache.set("a", 1, color="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"argument 'inside'\Z"):
        cache.set("a", 1, colour="red")  # type: ignore[call-arg]


def test_the_methods_have_signatures_and_documentation() -> None:
    for backend in BACKENDS.values():
        for name in ("get", "set", "add", "delete", "has", "get_many", "set_many", "clear"):
            method = getattr(backend, name)
            assert next(iter(inspect.signature(method).parameters)) == "self"
            assert method.__doc__, method
    expected = "(self, /, key, value, timeout=None, tags=None)"
    assert str(inspect.signature(SimpleCache.set)) == expected
    assert str(inspect.signature(SimpleCache.inc)) == "(self, /, key, delta=1)"


@pytest.mark.parametrize("cls", [*BACKENDS.values(), Cache], ids=lambda cls: cls.__name__)
def test_the_methods_are_pickled_by_name(cls: type) -> None:
    for name in methods(cls):
        method = inspect.getattr_static(cls, name)
        if inspect.isfunction(method):
            assert pickle.loads(pickle.dumps(method)) is method


def test_a_method_under_another_name_is_not_taken_for_an_override() -> None:
    class Own(RedisCache):
        pass

    class Overriding(RedisCache):
        def get(self, key: str) -> Any:
            return "own"

    assert Own.set is RedisCache.set
    assert Overriding.get_many is RedisCache.get_many
    # One that is patched on a class of ours is that of the classes below it.
    assert "set" not in vars(_registry.find("SASLMemcachedCache"))
    assert _registry.find("SASLMemcachedCache").set is MemcachedCache.set
