"""What every backend on a store of bytes does with keys and values, over a store in a dict."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest
from cachelib.serializers import JSONSerializer, RedisSerializer
from flask_caching._engine import MISSING, Signer
from flask_caching.backends._bytes.backend import ByteBackend
from flask_caching.errors import CacheBackendError, CacheConfigError


class DictStore:
    """A ``ByteStore`` in a dict that expires nothing; ``broken`` keys cannot be deleted."""

    def __init__(self) -> None:
        self.entries: dict[bytes, tuple[bytes, int]] = {}
        self.timeouts: list[Any] = []
        self.broken: set[bytes] = set()

    def get(self, key):
        return self.entries.get(key)

    def get_many(self, keys):
        return [self.entries.get(key) for key in keys]

    def set(self, key, data, flags=0, timeout=None):
        self.timeouts.append(timeout)
        self.entries[key] = (data, flags)
        return True

    def add(self, key, data, flags=0, timeout=None):
        return key not in self.entries and self.set(key, data, flags, timeout)

    def set_many(self, entries, timeout=None):
        return [self.set(key, data, flags, timeout) for key, data, flags in entries]

    def delete(self, key):
        if key in self.broken:
            raise CacheBackendError("delete on dict failed")
        return self.entries.pop(key, None) is not None

    def delete_many(self, keys):
        return [self.delete(key) for key in keys]

    def has(self, key):
        return key in self.entries

    def incr(self, key, delta, timeout=None):
        self.entries[key] = (b"%d" % (int(self.entries.get(key, (b"0",))[0]) + delta), 0)
        return int(self.entries[key][0])

    def compare_exchange(self, key, expected, new, timeout=None):
        if self.entries.get(key) != expected:
            return False
        if new is None:
            del self.entries[key]
        else:
            self.entries[key] = new
        return True

    def clear(self):
        self.entries.clear()
        return True


class DictBackend(ByteBackend):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._store = DictStore()


@pytest.fixture
def cache() -> DictBackend:
    return DictBackend()


def test_values_are_pickled_and_come_back_as_copies(cache):
    value = {"a": [1, 2.5, None, b"x", ("t",)]}
    assert cache.set("k", value) is True
    assert cache._store.entries[b"k"] == (pickle.dumps(value, pickle.HIGHEST_PROTOCOL), 0)
    assert cache.get("k") == value
    assert cache.get("k") is not cache.get("k")


def test_a_stored_none_is_told_from_a_miss(cache):
    cache.set("none", None)
    assert cache._read("none") is None
    assert cache._read("nothing") is MISSING
    assert cache._read_many("none", "nothing") == [None, MISSING]
    assert cache.get_many("none", "nothing") == [None, None]


def test_many_forms_return_what_cachelib_returns(cache):
    assert cache.set_many({"a": 1, "b": 2}) == ["a", "b"]
    assert cache.set_many({}) == []
    assert cache.get_many("b", "x", "a") == [2, None, 1]
    assert cache.get_many() == []
    assert cache.get_dict("a", "x") == {"a": 1, "x": None}
    assert cache.delete_many("a", "x") == ["a", "x"]
    assert cache.delete_many() == []
    assert not cache.has("a")
    assert cache.has("b")


def test_the_default_timeout_is_read_when_it_is_used(cache):
    cache.set("k", 1)
    cache.default_timeout = 7
    cache.set("k", 1)
    cache.set("k", 1, 0)
    assert cache._store.timeouts == [300, 7, 0]


@pytest.mark.parametrize("value", [lambda: None, (i for i in "ab"), open])
def test_an_unstorable_value_is_refused_and_leaves_no_old_one(cache, caplog, value):
    if value is open:
        value = {"nested": lambda: 0}
    cache.set("k", "old")
    assert cache.set("k", value) is False
    assert cache.get("k") is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "'k'" in record.getMessage()
    assert type(value).__name__ in record.getMessage()


def test_an_unstorable_value_is_not_added_and_does_not_disturb(cache):
    cache.set("k", "old")
    assert cache.add("k", lambda: 0) is False
    assert cache.get("k") == "old"
    assert cache.add("new", lambda: 0) is False
    assert not cache.has("new")


def test_one_unstorable_value_does_not_keep_the_others_back(cache):
    cache.set("bad", "old")
    assert cache.set_many({"a": 1, "bad": lambda: 0, "b": 2}) == ["a", "b"]
    assert cache.get_many("a", "bad", "b") == [1, None, 2]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        pickle.dumps("whole")[:-3],
        b"not ours",
        b"\x80\x05cnowhere\nNothing\n.",
        pickle.dumps("text", 0),
    ],
)
def test_an_unreadable_entry_is_a_logged_miss_and_is_removed(cache, caplog, data):
    cache.set("good", 1)
    cache._store.entries[b"bad"] = (data, 0)
    assert cache.get_many("good", "bad", "good") == [1, None, 1]
    assert b"bad" not in cache._store.entries
    assert len(caplog.records) == 1
    assert "'bad'" in caplog.text


def test_an_unreadable_entry_that_was_replaced_meanwhile_stays(cache):
    store = cache._store
    store.entries[b"k"] = (b"garbage", 0)
    read = store.get

    def get_then_replace(key):
        found = read(key)
        cache.set("k", "fresh")
        return found

    store.get = get_then_replace
    assert cache.get("k") is None
    store.get = read
    assert cache.get("k") == "fresh"


@pytest.mark.parametrize("key", ["", "a b", "\r\n", "\0", "\udc80", "ä" * 300, "__wz_cache_count"])
def test_any_str_is_a_key(cache, key):
    assert cache.set(key, "v")
    assert cache.get(key) == "v"
    assert cache.has(key)
    assert cache.delete(key) is True


@pytest.mark.parametrize("key", [1, b"bytes", None])
def test_what_is_no_str_is_no_key(cache, key):
    for call in (cache.get, cache.has, cache.delete, cache.get_many, cache.delete_many, cache.inc):
        with pytest.raises(TypeError, match="key must be a str"):
            call(key)
    with pytest.raises(TypeError, match="key must be a str"):
        cache.set(key, 1)


def test_delete_many_stops_at_an_error_or_goes_on():
    stopping = DictBackend()
    going_on = DictBackend(ignore_delete_many_errors=True)
    for cache in (stopping, going_on):
        cache.set_many({"a": 1, "bad": 2, "b": 3})
        cache._store.broken.add(b"bad")
    with pytest.raises(RuntimeError):
        stopping.delete_many("a", "bad", "b")
    assert going_on.delete_many("a", "bad", "b") == ["a", "b"]
    assert not going_on.has("b")


def test_a_json_serializer_stores_only_what_it_gives_back(cache, caplog):
    cache.serializer = JSONSerializer()
    assert cache.set("plain", {"a": [1, "x", None]})
    assert cache._store.entries[b"plain"][0] == b'{"a": [1, "x", null]}'
    assert cache.get("plain") == {"a": [1, "x", None]}
    assert cache.set("none", None)
    assert cache._read("none") is None
    for changed in [("a", 1), {1: "a"}, b"bytes", {1, 2}]:
        assert cache.set("changed", changed) is False
        assert not cache.has("changed")
    assert len(caplog.records) == 4


def test_what_a_json_serializer_cannot_read_is_a_miss(cache):
    cache.serializer = JSONSerializer()
    cache._store.entries[b"k"] = (b"{half", 0)
    assert cache._read("k") is MISSING


def test_foreign_bytes_are_no_value_of_the_redis_serializer(cache):
    cache.serializer = RedisSerializer()
    cache.set("n", 12)
    assert cache._store.entries[b"n"] == (b"12", 0)
    assert cache.get("n") == 12
    cache._store.entries[b"k"] = (b"somebody else's", 0)
    assert cache._read("k") is MISSING


@pytest.mark.parametrize("native", [True, False])
def test_counters(native):
    cache = DictBackend()
    cache.serializer = RedisSerializer()
    cache._native_counters = native
    assert cache.inc("n") == 1
    assert cache.inc("n", 5) == 6
    assert cache.dec("n", 2) == 4
    assert cache.get("n") == 4
    assert cache.dec("m") == -1


def test_a_counter_is_read_here_unless_the_store_counts_in_these_bytes(cache):
    # Those of the serializer that a backend has where it names none.
    assert cache.inc("n") == 1
    assert cache.get("n") == 1
    assert cache.dec("n", 3) == -2


def test_a_counter_read_here_takes_any_number_and_nothing_else():
    cache = DictBackend()
    cache.set("f", 1.5)
    assert cache.inc("f") == 2.5
    cache.set("big", 2**70)
    assert cache.inc("big") == 2**70 + 1
    cache.set("none", None)
    assert cache.inc("none") == 1
    cache.set("text", "1")
    with pytest.raises(TypeError, match="not a number"):
        cache.inc("text")


def test_a_counter_loses_nothing_to_a_faster_writer():
    cache = DictBackend()
    cache._native_counters = False
    store = cache._store
    exchange = store.compare_exchange
    cache.set("n", 10)

    def late(key, expected, new, timeout=None):
        store.compare_exchange = exchange
        cache.inc("n", 100)
        return exchange(key, expected, new, timeout)

    store.compare_exchange = late
    assert cache.inc("n") == 111


def test_a_counter_that_cannot_be_stored_is_none():
    cache = DictBackend()
    cache._native_counters = False
    cache._store.add = lambda *a, **k: False
    assert cache.inc("n") is None


def test_signed_values_come_back_and_others_are_refused(cache, caplog):
    cache.set("before", "unsigned")
    cache.signing_keys = ["secret"]
    cache.set("k", {"a": 1})
    assert cache.get("k") == {"a": 1}
    assert cache.has("k")
    assert not cache.has("before")
    assert "not signed" in caplog.text
    caplog.clear()

    stored = cache._store.entries
    stored[b"moved"] = stored[b"k"]
    assert cache.get("moved") is None
    data, flags = stored[b"k"]
    stored[b"k"] = (data[:-1] + b"!", flags)
    assert cache.get_many("k") == [None]
    assert caplog.text.count("signature does not match") == 2
    assert not stored


def test_a_signed_pickle_is_not_executed_when_it_was_changed(cache):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    cache.signing_keys = [b"secret"]
    cache._store.entries[b"k"] = (pickle.dumps(Trap()), 0)
    assert cache.get("k") is None
    forged = Signer([b"guess"]).sign(b"k", pickle.dumps(Trap()), 0)
    cache._store.entries[b"k"] = (forged, 0)
    assert cache.get("k") is None


def test_signing_keys_are_rotated(cache):
    cache.signing_keys = "old"
    cache.set("k", 1)
    cache.signing_keys = ["new", "old"]
    assert cache.get("k") == 1
    cache.set("fresh", 2)
    cache.signing_keys = ["new"]
    assert cache.get("fresh") == 2
    assert cache.get("k") is None
    cache.signing_keys = []
    assert cache.set("plain", 3)
    assert cache.get("plain") == 3


def test_signed_counters_are_counted_and_checked(cache):
    cache.serializer = RedisSerializer()
    cache.signing_keys = ["secret"]
    assert [cache.inc("n"), cache.inc("n", 4), cache.dec("n")] == [1, 5, 4]
    cache._store.entries[b"n"] = (b"1000", 0)
    assert cache.inc("n") == 1


@pytest.mark.parametrize("keys", ["", [b""], [3], ["good", None]])
def test_a_bad_signing_key_is_named_but_not_shown(cache, keys):
    with pytest.raises(CacheConfigError, match="CACHE_SIGNING_KEY") as info:
        cache.signing_keys = keys
    assert "good" not in str(info.value)
