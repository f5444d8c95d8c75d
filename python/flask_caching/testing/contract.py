"""What every cache backend does, as a class of tests; public as ``flask_caching.testing``."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, partial
from typing import Any
from unittest import SkipTest

from cachelib import BaseCache

from ._support import in_threads, mutate, plain_values, raises, same
from .clock import manual_clock

__all__ = ["BackendContract"]


@dataclass
class _Record:
    """A value that only pickle can write."""

    name: str
    tags: list[str]


class BackendContract:
    """The tests of a cache backend, for pytest. Subclass it, and say how the backend is made::

        from flask_caching.testing import BackendContract

        class TestMyCache(BackendContract):
            def make_backend(self):
                return MyCache()

    Each test finds the backend, empty, in ``self.cache``. What a backend cannot do is switched off
    by a class attribute, and its tests are skipped::

        class TestMyCache(BackendContract):
            counts = False          # no inc and dec
            refuses_unstorable = False

            def make_backend(self):
                return MyCache()

    A test waits for an entry to expire with :meth:`pass_time`; override it where the backend's
    clock can be set, or the tests take as long as the lifetimes they try.
    """

    #: ``inc`` and ``dec`` work.
    counts = True
    #: ``add`` and ``inc`` are atomic among the threads of a process.
    atomic = True
    #: What ``get`` returns is the caller's own: changing it does not change the cache.
    copies = True
    #: Entries expire.
    expires = True
    #: ``clear`` empties the cache.
    clears = True
    #: Values are any Python objects, not only plain data.
    stores_objects = True
    #: A value that cannot be stored makes ``set`` return False and leaves no old value.
    refuses_unstorable = True
    #: ``delete`` returns whether there was an entry, and ``has`` whether there is one.
    tells_presence = True

    #: The backend keeps the engine's time, as those of this package in memory and in files do.
    engine_clock = False
    #: The lifetime of entries that are to expire, in seconds.
    lifetime = 2
    #: How much longer than its lifetime an entry may be there, in seconds.
    tolerance = 0.0

    def make_backend(self) -> BaseCache:
        """Make the backend under test. What it holds is cleared before a test."""
        raise NotImplementedError("say how the backend is made: def make_backend(self): ...")

    def pass_time(self, seconds: float) -> None:
        """Let ``seconds`` pass for the backend."""
        if self.engine_clock:
            self._clock.advance(seconds)
        else:
            time.sleep(seconds)

    @cached_property
    def cache(self) -> Any:
        """The backend under test."""
        if self.engine_clock:
            self._clock = self._cleanup.enter_context(manual_clock())
        backend = self.make_backend()
        if self.clears:
            backend.clear()
            self._cleanup.callback(backend.clear)
        return backend

    @cached_property
    def _cleanup(self) -> contextlib.ExitStack:
        return contextlib.ExitStack()

    def teardown_method(self) -> None:
        self._cleanup.close()

    def _requires(self, feature: str) -> None:
        if not getattr(self, feature):
            raise SkipTest(f"{type(self).__name__}.{feature} is off")

    def _expire(self) -> None:
        self.pass_time(self.lifetime + self.tolerance)

    # Values

    def test_a_key_never_written_is_a_miss(self) -> None:
        assert self.cache.get("key") is None

    def test_values_come_back_as_they_were(self) -> None:
        for value in plain_values():
            assert self.cache.set("key", value), value
            assert same(self.cache.get("key"), value), value

    def test_objects_come_back_as_they_were(self) -> None:
        self._requires("stores_objects")
        for value in (_Record("a", ["b"]), date(2026, 1, 2), {1: {(2, 3): {4}}}, ValueError("no")):
            assert self.cache.set("key", value), value
            assert same(self.cache.get("key"), value), value

    def test_parts_that_are_one_object_stay_one(self) -> None:
        self._requires("stores_objects")
        shared = ["shared"]
        self.cache.set("key", {"first": shared, "second": [shared]})
        found = self.cache.get("key")
        assert found == {"first": shared, "second": [shared]}
        assert found["first"] is found["second"][0]

    def test_a_value_that_contains_itself(self) -> None:
        self._requires("stores_objects")
        value: list[Any] = [1]
        value.append(value)
        assert self.cache.set("key", value)
        found = self.cache.get("key")
        assert found[0] == 1
        assert found[1] is found
        assert found is not value

    def test_a_stored_none_is_there(self) -> None:
        self._requires("tells_presence")
        assert self.cache.set("key", None)
        assert self.cache.get("key") is None
        assert self.cache.has("key")

    def test_a_write_replaces(self) -> None:
        self.cache.set("key", "a longer value than the next")
        self.cache.set("key", ["new"])
        assert self.cache.get("key") == ["new"]

    def test_changing_what_was_stored_does_not_change_the_cache(self) -> None:
        self._requires("copies")
        value = {"list": [1], "dict": {"set": {1}}}
        self.cache.set("key", value)
        mutate(value)
        assert self.cache.get("key") == {"list": [1], "dict": {"set": {1}}}

    def test_changing_what_was_read_does_not_change_the_cache(self) -> None:
        self._requires("copies")
        self.cache.set("key", {"list": [1], "dict": {"set": {1}}})
        for read in (self.cache.get, lambda key: self.cache.get_many(key)[0]):
            mutate(read("key"))
            assert self.cache.get("key") == {"list": [1], "dict": {"set": {1}}}

    def test_a_value_that_cannot_be_stored_is_refused(self) -> None:
        self._requires("refuses_unstorable")
        self.cache.set("key", "old")
        assert not self.cache.set("key", threading.Lock())
        assert self.cache.get("key") is None
        assert not self.cache.add("key", threading.Lock())
        assert self.cache.get("key") is None

    def test_a_value_that_is_nested_too_deep_is_refused(self) -> None:
        self._requires("refuses_unstorable")
        value: list[Any] = []
        for _ in range(100_000):
            value = [value]
        try:
            assert not self.cache.set("key", value)
        finally:
            # From the outside in, as deleting it whole might be too deep, too.
            while value:
                value = value.pop()
        assert self.cache.get("key") is None

    # Keys

    def test_any_string_is_a_key(self) -> None:
        keys = [
            "plain",
            "with space",
            "with\r\nline",
            "nul\0nul",
            "päth/日本",
            "../../etc/passwd",
            "glob*[a-z]?",
            "%s %(x)s {}",
            "x" * 250,
            "x" * 251,
            "view//path?query=1&other=ä",
        ]
        for number, key in enumerate(keys):
            assert self.cache.set(key, number), key
        assert [self.cache.get(key) for key in keys] == list(range(len(keys)))
        assert self.cache.get_many(*keys) == list(range(len(keys)))
        for key in keys:
            self.cache.delete(key)
        assert self.cache.get_many(*keys) == [None] * len(keys)

    # Deleting

    def test_delete_removes(self) -> None:
        self.cache.set("key", 1)
        self.cache.set("other", 2)
        assert self.cache.delete("key")
        assert self.cache.get("key") is None
        assert self.cache.get("other") == 2

    def test_delete_and_has_tell_whether_there_is_an_entry(self) -> None:
        self._requires("tells_presence")
        assert not self.cache.has("key")
        assert not self.cache.delete("key")
        self.cache.set("key", 1)
        assert self.cache.has("key")
        assert self.cache.delete("key")
        assert not self.cache.has("key")

    def test_clear_removes_every_entry(self) -> None:
        self._requires("clears")
        for number in range(20):
            self.cache.set(f"key{number}", number)
        assert self.cache.clear()
        assert self.cache.get_many(*(f"key{number}" for number in range(20))) == [None] * 20

    # add

    def test_add_stores_only_where_there_is_nothing(self) -> None:
        assert self.cache.add("key", "first")
        assert not self.cache.add("key", "second")
        assert self.cache.get("key") == "first"
        self.cache.delete("key")
        assert self.cache.add("key", "third")
        assert self.cache.get("key") == "third"

    def test_add_stores_where_the_entry_has_expired(self) -> None:
        self._requires("expires")
        self.cache.set("key", "old", timeout=self.lifetime)
        self._expire()
        assert self.cache.add("key", "new")
        assert self.cache.get("key") == "new"

    # Many at once

    def test_many_operations_keep_the_order_of_their_keys(self) -> None:
        assert sorted(self.cache.set_many({"one": 1, "two": [2]})) == ["one", "two"]
        assert self.cache.get_many("two", "none", "one", "two") == [[2], None, 1, [2]]
        assert self.cache.get_dict("two", "none") == {"two": [2], "none": None}
        assert self.cache.get_many() == []
        assert self.cache.get_dict() == {}
        assert self.cache.set_many({}) == []

    def test_delete_many_returns_the_keys_that_are_gone(self) -> None:
        self.cache.set_many({"one": 1, "two": 2, "three": 3})
        assert self.cache.delete_many("one", "none", "two") == ["one", "none", "two"]
        assert self.cache.get_many("one", "two", "three") == [None, None, 3]
        assert self.cache.delete_many() == []

    def test_set_many_gives_every_entry_the_lifetime(self) -> None:
        self._requires("expires")
        self.cache.set_many({"one": 1, "two": 2}, timeout=self.lifetime)
        assert self.cache.get_many("one", "two") == [1, 2]
        self._expire()
        assert self.cache.get_many("one", "two") == [None, None]

    def test_set_many_stores_the_others_of_one_that_is_refused(self) -> None:
        self._requires("refuses_unstorable")
        self.cache.set("bad", "old")
        values = {"one": 1, "bad": threading.Lock(), "two": 2}
        assert sorted(self.cache.set_many(values)) == ["one", "two"]
        assert self.cache.get_many("one", "bad", "two") == [1, None, 2]

    # Lifetimes

    def test_an_entry_lives_as_long_as_its_timeout(self) -> None:
        self._requires("expires")
        self.cache.set("short", 1, timeout=self.lifetime)
        self.cache.set("long", 1, timeout=100)
        assert self.cache.get("short") == 1
        self._expire()
        assert self.cache.get("short") is None
        assert self.cache.get("long") == 1
        if self.tells_presence:
            assert not self.cache.has("short")
            assert not self.cache.delete("short")

    def test_a_timeout_is_a_number_or_a_timedelta(self) -> None:
        self._requires("expires")
        self.cache.set("float", 1, timeout=float(self.lifetime))
        self.cache.set("timedelta", 1, timeout=timedelta(seconds=self.lifetime))
        self.cache.add("added", 1, timeout=timedelta(seconds=self.lifetime))
        assert self.cache.get_many("float", "timedelta", "added") == [1, 1, 1]
        self._expire()
        assert self.cache.get_many("float", "timedelta", "added") == [None, None, None]

    def test_without_a_timeout_the_default_applies(self) -> None:
        self._requires("expires")
        self.cache.default_timeout = self.lifetime
        self.cache.set("set", 1)
        self.cache.set("none", 1, timeout=None)
        self.cache.add("add", 1)
        self._expire()
        assert self.cache.get_many("set", "none", "add") == [None, None, None]

    def test_a_timeout_of_0_is_for_ever(self) -> None:
        self._requires("expires")
        self.cache.default_timeout = self.lifetime
        self.cache.set("set", 1, timeout=0)
        self.cache.add("add", 1, timeout=timedelta(0))
        self._expire()
        assert self.cache.get_many("set", "add") == [1, 1]

    def test_a_negative_timeout_is_expired_at_once(self) -> None:
        self._requires("expires")
        self.cache.set("key", "old")
        assert self.cache.set("key", "new", timeout=-2)
        assert self.cache.get("key") is None
        self.cache.add("key", "new", timeout=timedelta(seconds=-1))
        assert self.cache.get("key") is None

    def test_a_write_renews_the_lifetime(self) -> None:
        self._requires("expires")
        self.cache.set("key", 1, timeout=self.lifetime)
        self.cache.set("key", 2, timeout=100)
        self._expire()
        assert self.cache.get("key") == 2

    # Counting

    def test_inc_and_dec_count(self) -> None:
        self._requires("counts")
        assert self.cache.inc("counter") == 1
        assert self.cache.inc("counter", 5) == 6
        assert self.cache.dec("counter") == 5
        assert self.cache.dec("counter", 2) == 3
        assert self.cache.get("counter") == 3
        assert self.cache.inc("counter", delta=1) == 4

    def test_inc_counts_from_what_was_set(self) -> None:
        self._requires("counts")
        self.cache.set("counter", 41)
        assert self.cache.inc("counter") == 42
        assert self.cache.get("counter") == 42

    def test_inc_keeps_the_lifetime(self) -> None:
        self._requires("counts")
        self._requires("expires")
        self.cache.set("counter", 1, timeout=self.lifetime)
        assert self.cache.inc("counter") == 2
        self._expire()
        assert self.cache.get("counter") is None

    def test_a_new_counter_gets_the_default_timeout(self) -> None:
        self._requires("counts")
        self._requires("expires")
        self.cache.default_timeout = self.lifetime
        self.cache.inc("counter")
        self._expire()
        assert self.cache.get("counter") is None

    def test_what_is_not_a_number_is_not_counted(self) -> None:
        self._requires("counts")
        for value in ("text", ["list"]):
            self.cache.set("key", value)
            with raises(TypeError):
                self.cache.inc("key")
            assert self.cache.get("key") == value

    # Threads

    def test_of_many_threads_that_add_one_succeeds(self) -> None:
        self._requires("atomic")
        for round_ in range(5):
            added = in_threads(8, partial(self.cache.add, f"key{round_}"))
            assert sum(map(bool, added)) == 1

    def test_many_threads_lose_no_count(self) -> None:
        self._requires("atomic")
        self._requires("counts")
        self.cache.set("counter", 0)

        def count(_: int) -> None:
            for _ in range(25):
                self.cache.inc("counter")

        in_threads(8, count)
        assert self.cache.get("counter") == 200

    def test_many_threads_read_what_was_written(self) -> None:
        cache = self.cache  # made by this thread: a cached property has no lock

        def work(number: int) -> bool:
            mine = [f"key{number}-{i}" for i in range(20)]
            for key in mine:
                cache.set(key, [key])
            return bool(cache.get_many(*mine) == [[key] for key in mine])

        assert all(in_threads(8, work))
