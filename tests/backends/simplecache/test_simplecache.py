"""SimpleCache: the contract of every backend, and what is its own."""

from __future__ import annotations

import gc
import inspect
import pickle
import threading
import time
import weakref
from collections import OrderedDict, defaultdict, deque
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from cachelib import BaseCache as CachelibBaseCache
from cachelib.serializers import BaseSerializer, JSONSerializer, RedisSerializer, SimpleSerializer
from flask import Flask
from flask_caching._engine import MISSING
from flask_caching.backends import BaseCache
from flask_caching.backends.simplecache import SimpleCache
from flask_caching.errors import CacheConfigError
from flask_caching.testing import BackendContract, manual_clock


class TestContract(BackendContract):
    engine_clock = True

    def make_backend(self) -> SimpleCache:
        return SimpleCache()


class TestContractWithManyShards(BackendContract):
    engine_clock = True

    def make_backend(self) -> SimpleCache:
        return SimpleCache(threshold=1_000_000)


# Construction


def test_signature_and_attributes_are_those_of_flask_caching() -> None:
    parameters = dict(inspect.signature(SimpleCache).parameters)
    assert parameters.pop("max_bytes").kind is inspect.Parameter.KEYWORD_ONLY
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "threshold": 500,
        "default_timeout": 300,
        "ignore_delete_many_errors": False,
        "ignore_errors": None,
    }
    cache = SimpleCache(10, 20, True)
    assert (cache._threshold, cache.default_timeout, cache.ignore_delete_many_errors) == (
        10,
        20,
        True,
    )
    assert isinstance(cache, BaseCache)
    assert isinstance(cache, CachelibBaseCache)


def test_every_method_takes_what_cachelibs_takes() -> None:
    for name, theirs in inspect.getmembers(CachelibBaseCache, inspect.isfunction):
        if not name.startswith("_"):
            ours = inspect.signature(getattr(SimpleCache, name)).parameters
            for parameter in inspect.signature(theirs).parameters.values():
                assert ours[parameter.name].kind in (
                    parameter.kind,
                    inspect.Parameter.POSITIONAL_ONLY,
                ), name
                assert ours[parameter.name].default == parameter.default, name


def test_ignore_errors_is_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match="ignore_delete_many_errors"):
        cache = SimpleCache(ignore_errors=True)
    assert cache.ignore_delete_many_errors is True


@pytest.mark.parametrize("threshold", [-1, "500", 1.5, None])
def test_a_threshold_that_is_none_is_refused(threshold: Any) -> None:
    with pytest.raises(CacheConfigError, match="CACHE_THRESHOLD must be a number of"):
        SimpleCache(threshold=threshold)


def test_a_threshold_of_0_is_500() -> None:
    assert SimpleCache(threshold=0)._threshold == 500


@pytest.mark.parametrize("timeout", [60, 0, -1, 0.5, timedelta(minutes=1)])
def test_default_timeout_is_kept_as_given(timeout: Any) -> None:
    assert SimpleCache(default_timeout=timeout).default_timeout == timeout


def test_a_default_timeout_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="a timeout must be"):
        SimpleCache(default_timeout="soon")  # type: ignore[arg-type]


def test_factory_takes_the_threshold_from_the_configuration() -> None:
    cache = SimpleCache.factory(Flask("app"), {"CACHE_THRESHOLD": 7}, [], {"default_timeout": 9})
    assert (cache._threshold, cache.default_timeout) == (7, 9)


# Eviction


def test_the_threshold_is_never_exceeded() -> None:
    cache = SimpleCache(threshold=10)
    for number in range(100):
        cache.set(f"key{number}", number)
        assert cache.get(f"key{number}") == number
        assert len(cache._cache) <= 10
    assert len(cache._cache) == 10


def test_the_entry_used_most_stays() -> None:
    cache = SimpleCache(threshold=10)
    cache.set("hot", 1, timeout=1)
    for number in range(1000):
        cache.set(f"key{number}", number, timeout=1000)
        assert cache.get("hot") == 1


def test_entries_without_a_timeout_do_not_go_first() -> None:
    cache = SimpleCache(threshold=10)
    for number in range(5):
        cache.set(f"mortal{number}", 1, timeout=1000)
    for number in range(5):
        cache.set(f"forever{number}", 1, timeout=0)
    for number in range(5):
        cache.set(f"new{number}", 1, timeout=1000)
    assert all(cache.has(f"forever{number}") for number in range(5))


def test_what_has_expired_goes_first() -> None:
    cache = SimpleCache(threshold=10)
    with manual_clock() as clock:
        for number in range(9):
            cache.set(f"key{number}", number)
        cache.set("expired", 1, timeout=1)
        clock.advance(1)
        cache.set("new", 1)
        assert all(cache.has(f"key{number}") for number in range(9))


def test_add_to_an_existing_key_evicts_nothing() -> None:
    cache = SimpleCache(threshold=3)
    cache.set_many({"a": 1, "b": 2, "c": 3})
    for key in "abcabc":
        assert not cache.add(key, 0)
    assert cache.get_many("a", "b", "c") == [1, 2, 3]


def test_a_threshold_set_later_holds() -> None:
    cache = SimpleCache(threshold=100)
    cache.set_many({f"key{number}": number for number in range(100)})
    cache._threshold = 10
    assert cache._threshold == 10
    assert len(cache._cache) == 10


# Lifetimes


def test_a_timeout_of_1_is_one_second() -> None:
    cache = SimpleCache()
    with manual_clock() as clock:
        cache.set("key", 1, timeout=1)
        clock.advance(0.99)
        assert cache.get("key") == 1
        clock.advance(0.01)
        assert cache.get("key") is None


def test_expired_values_are_freed_by_reads_of_other_keys() -> None:
    cache = SimpleCache(threshold=5000)
    with manual_clock() as clock:
        for number in range(1000):
            cache.set(f"key{number}", "x", timeout=1)
        clock.advance(2)
        for _ in range(10_000):
            cache.get("other")
        assert cache._held() == 0


def test_lifetimes_do_not_follow_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = SimpleCache()
    cache.set("key", 1, timeout=100)
    now = time.time()
    for there in (now + 10**6, now - 10**6):
        monkeypatch.setattr(time, "time", lambda there=there: there)
        assert cache.get("key") == 1


# Values


@pytest.mark.parametrize("value", ["s", b"b", 10**30, 1.5, True, None, (1, ("a",)), frozenset("a")])
def test_immutable_values_are_handed_out_by_reference(value: Any) -> None:
    cache = SimpleCache()
    cache.set("key", value)
    assert cache.get("key") is value


def test_a_tuple_with_something_mutable_is_copied() -> None:
    cache = SimpleCache()
    value = (1, [2])
    cache.set("key", value)
    cache.get("key")[1].append(3)
    value[1].append(4)
    assert cache.get("key") == (1, [2])


class Text(str):
    pass


class Table(dict[str, int]):
    pass


@pytest.mark.parametrize(
    "value",
    [
        Text("a"),
        Table(a=1),
        OrderedDict(b=1, a=2),
        defaultdict(list, a=[1]),
        deque([1]),
        bytearray(b"a"),
        Decimal("1.0"),
        [Text("a"), {"x": Table(a=1)}],
        {Text("key"): 1},
        (Table(a=1),),
        {Decimal(1), Decimal(2)},
    ],
)
def test_types_are_kept(value: Any) -> None:
    cache = SimpleCache()
    assert cache.set("key", value)
    found = cache.get("key")
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value)


def test_a_tuple_shared_by_many_is_walked_once() -> None:
    value: Any = ("leaf",)
    for _ in range(60):
        value = (value, value)
    cache = SimpleCache()
    assert cache.set("key", value)
    assert cache.get("key") is value


def test_dicts_keep_their_order() -> None:
    cache = SimpleCache()
    value = {"z": [1], "a": {"y": 1, "b": [2]}, "m": 3}
    cache.set("key", value)
    found = cache.get("key")
    assert list(found) == ["z", "a", "m"]
    assert list(found["a"]) == ["y", "b"]


class Renamed:
    """A class that will be gone when its instance is read."""


def test_an_entry_that_cannot_be_read_is_a_miss_logged_and_removed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = SimpleCache()
    cache.set("key", Renamed())
    monkeypatch.delattr(f"{__name__}.Renamed")
    assert cache.get("key") is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "'key'" in caplog.text
    assert "Renamed" in caplog.text
    assert not cache.has("key")


def test_one_entry_that_cannot_be_read_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = SimpleCache()
    cache.set_many({"a": 1, "bad": Renamed(), "c": 3})
    monkeypatch.delattr(f"{__name__}.Renamed")
    assert cache._read_many("a", "bad", "c") == [1, MISSING, 3]
    assert dict(cache._cache).keys() == {"a", "c"}


def test_a_value_that_cannot_be_stored_is_one_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    cache = SimpleCache()
    cache.set("100%", "old")
    assert cache.set("100%", threading.Lock()) is False
    assert cache.get("100%") is None
    (record,) = caplog.records
    assert record.name == "flask_caching"
    assert "'100%'" in record.getMessage()
    assert "_thread.lock" in record.getMessage()
    assert "cannot pickle" in record.getMessage()


class Unreadable(Exception):
    """It can be pickled, and not be unpickled: its arguments are not those of ``__init__``."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)


def test_a_value_that_could_not_be_read_back_is_not_stored() -> None:
    cache = SimpleCache()
    assert cache.set("key", Unreadable(1, "text")) is False
    assert not cache.has("key")


class Interrupting:
    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


def test_an_interrupt_while_pickling_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt):
        SimpleCache().set("key", Interrupting())


class Reentrant:
    """A value whose pickling, unpickling and end call the cache."""

    cache: SimpleCache

    def __reduce__(self) -> Any:
        self.cache.set("other", 1)
        return _restore, ()

    def __del__(self) -> None:
        self.cache.has("key")
        self.cache.set("ended", 1)


def _restore() -> Reentrant:
    Reentrant.cache.get("other")
    return Reentrant()


def test_values_may_call_the_cache() -> None:
    cache = Reentrant.cache = SimpleCache(threshold=3)
    assert cache.set("key", Reentrant())
    assert isinstance(cache.get("key"), Reentrant)
    cache.delete("key")
    cache.clear()
    gc.collect()


def test_a_stored_none_is_told_from_a_miss() -> None:
    cache = SimpleCache()
    cache.set("none", None)
    assert cache._read("none") is None
    assert cache._read("miss") is MISSING
    assert cache._read_many("none", "miss") == [None, MISSING]
    assert cache.get_many("none", "miss") == [None, None]


# Serializers


def test_a_serializer_of_an_instance_makes_bytes_of_all_values() -> None:
    cache = SimpleCache()
    cache.serializer = JSONSerializer()
    assert cache.set("key", {"a": 1})
    assert cache.get("key") == {"a": 1}
    assert cache._cache["key"][1] == b'{"a": 1}'


def test_a_serializer_of_a_subclass_is_used() -> None:
    class Shouting(BaseSerializer):
        def dumps(self, value: Any, protocol: int = 0) -> bytes:
            return str(value).upper().encode()

        def loads(self, bvalue: bytes) -> Any:
            return bvalue.decode()

    class Cache(SimpleCache):
        serializer = Shouting()

    cache = Cache()
    cache.set("key", "TEXT")
    assert cache._cache["key"][1] == b"TEXT"
    assert cache.set("key", "text") is False, "it would come back as something else"


def test_a_json_serializer_refuses_what_it_would_change() -> None:
    cache = SimpleCache()
    cache.serializer = JSONSerializer()
    assert cache.set("key", ["a", 1, None])
    assert cache.get("key") == ["a", 1, None]
    for value in [(1, 2), {1: 2}, b"bytes", object()]:
        assert cache.set("key", value) is False
        assert cache.get("key") is None


def test_counting_goes_through_the_serializer() -> None:
    cache = SimpleCache()
    cache.serializer = JSONSerializer()
    assert cache.inc("n", 2) == 2
    assert cache.inc("n") == 3
    assert cache._cache["n"][1] == b"3"


def test_another_pickling_serializer_changes_nothing() -> None:
    cache = SimpleCache()
    value = ("immutable",)
    cache.serializer = RedisSerializer()
    cache.serializer = SimpleSerializer()
    cache.set("key", value)
    assert cache.get("key") is value


# Keys


def test_other_hashables_are_keys_of_their_own() -> None:
    cache = SimpleCache()
    keys = ["1", 1, b"1", (1,), ("1",), None, frozenset("1"), 1.5, "\ud800", "", int]
    for number, key in enumerate(keys):
        assert cache.set(key, number)
    assert [cache.get(key) for key in keys] == list(range(len(keys)))
    assert set(cache._cache) == set(keys)
    assert cache.get_many(*keys) == list(range(len(keys)))
    assert cache.get(1.0) == cache.get(True) == 1, "keys that are equal are one, as in a dict"
    assert cache.get(Text("1")) == 0
    for key in keys:
        assert cache.delete(key)
        assert not cache.has(key)
    assert cache._held() == 0


def test_an_unhashable_key_is_an_error() -> None:
    cache = SimpleCache()
    for operation in (cache.get, cache.delete, cache.has, cache.inc):
        with pytest.raises(TypeError, match="unhashable"):
            operation([])
    with pytest.raises(TypeError, match="unhashable"):
        cache.set([], 1)


def test_keys_that_are_gone_are_not_kept() -> None:
    class Key:
        """Told apart by identity."""

    cache = SimpleCache(threshold=10)
    keys = [Key() for _ in range(1000)]
    ends = [weakref.ref(key) for key in keys]
    for key in keys:
        cache.set(key, 1)
    del keys, key
    assert sum(end() is not None for end in ends) < 150
    cache.clear()
    assert not any(end() for end in ends)


# Counting


def test_any_number_can_be_counted() -> None:
    cache = SimpleCache()
    for start, delta, total in [
        (2**100, 1, 2**100 + 1),
        (1.5, 2, 3.5),
        (1, 0.5, 1.5),
        (True, 1, 2),
        (Decimal("1.1"), Decimal("2.2"), Decimal("3.3")),
    ]:
        cache.set("n", start)
        assert cache.inc("n", delta) == total
        assert cache.dec("n", delta) == start
    assert cache.dec("new", 3) == -3


@pytest.mark.parametrize("value", ["5", b"5", None, [], "", {}, datetime(2026, 1, 1)])
def test_what_is_not_a_number_is_left_as_it_is(value: Any) -> None:
    cache = SimpleCache()
    cache.set("key", value)
    with pytest.raises(TypeError, match=r"'key' is a \w+, not a number"):
        cache.inc("key")
    with pytest.raises(TypeError):
        cache.dec("key")
    assert cache.get("key") == value


def test_counting_by_what_is_not_a_number_is_an_error() -> None:
    cache = SimpleCache()
    cache.set("n", 1)
    with pytest.raises(TypeError):
        cache.inc("n", "1")  # type: ignore[arg-type]
    assert cache.get("n") == 1


# What applications look into, and subclass


def test_the_view_of_the_entries() -> None:
    cache = SimpleCache()
    with manual_clock() as clock:
        before = round(time.time())
        cache.set("mortal", [1], timeout=60)
        cache.set("forever", "x", timeout=0)
        cache.set("expired", 1, timeout=1)
        clock.advance(1)
        entries = cache._cache
        assert set(entries) == {"mortal", "forever"}
        assert len(entries) == 2
        assert "mortal" in entries
        assert "expired" not in entries
        expires, data = entries["mortal"]
        assert expires == pytest.approx(before + 60, abs=2)
        assert pickle.loads(data) == [1]
        assert entries["forever"][0] == 0
        with pytest.raises(KeyError):
            entries["expired"]
        assert repr(entries) == "<2 entries of SimpleCache>"
        cache.clear()
        assert len(entries) == 0


def test_many_operations_go_through_what_a_subclass_overrides() -> None:
    class Prefixed(SimpleCache):
        def get(self, key: str) -> Any:
            return super().get("p:" + key)

        def set(self, key: str, value: Any, timeout: Any = None) -> bool:
            return super().set("p:" + key, value, timeout)

        def delete(self, key: str) -> bool:
            return super().delete("p:" + key)

        def has(self, key: str) -> bool:
            return super().has("p:" + key)

    cache = Prefixed()
    assert cache.set_many({"a": 1, "b": 2}) == ["a", "b"]
    assert set(cache._cache) == {"p:a", "p:b"}
    assert cache.get_many("a", "b") == [1, 2]
    assert cache.get_dict("a") == {"a": 1}
    assert cache.inc("a") == 2
    assert cache.dec("a") == 1
    assert cache.delete_many("a", "b") == ["a", "b"]
    assert len(cache._cache) == 0


def test_a_subclass_may_have_arguments_of_its_own() -> None:
    class Named(SimpleCache):
        def __init__(self, name: str, *, size: int) -> None:
            self.name = name
            super().__init__(threshold=size)

    cache = Named("n", size=3)
    assert (cache.name, cache._threshold) == ("n", 3)
    assert cache.set("key", 1)


def test_set_many_takes_any_mapping() -> None:
    cache = SimpleCache()
    assert cache.set_many(OrderedDict(a=1)) == ["a"]
    assert cache.set_many(MappingProxyType({"b": 2})) == ["b"]
    with pytest.raises(AttributeError):
        cache.set_many([("c", 3)])  # type: ignore[arg-type]


def test_extend_lets_an_entry_live_longer_never_shorter() -> None:
    cache = SimpleCache()
    with manual_clock() as clock:
        cache.set("key", 1, timeout=10)
        assert cache._extend("key", 20) is True
        assert cache._extend("key", 5) is True
        assert cache._extend("none", 5) is False
        clock.advance(15)
        assert cache.get("key") == 1
        clock.advance(5)
        assert cache.get("key") is None
