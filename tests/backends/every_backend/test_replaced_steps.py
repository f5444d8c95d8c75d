"""Subclasses that replace a step of cachelib's writes are asked, as under Flask-Caching."""

import os
import random
import sys
import time

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends import FileSystemCache, SimpleCache
from flask_caching.errors import CacheConfigError
from flask_caching.testing import manual_clock


def made(kind, tmp_path, **options):
    args = (str(tmp_path / "cache"),) if issubclass(kind, FileSystemCache) else ()
    return kind(*args, **options)


@pytest.fixture(params=[SimpleCache, FileSystemCache])
def base(request):
    return request.param


def count(cache):
    return len(cache._list_dir()) if isinstance(cache, FileSystemCache) else len(cache._cache)


def test_prune_is_called_before_each_write_and_nothing_else_is_removed(base, tmp_path):
    class Own(base):
        pruned = 0

        def _prune(self):
            self.pruned += 1

    cache = made(Own, tmp_path, threshold=5)
    for number in range(10):
        assert cache.set(str(number), number)
    assert cache.add("added", 1)
    assert cache.set_many({"a": 1, "b": 2}) == ["a", "b"]
    assert cache.pruned == 13
    assert count(cache) == 13
    assert cache._threshold == 5


def test_a_prune_that_asks_the_original_keeps_the_threshold(base, tmp_path):
    class Own(base):
        def _prune(self):
            super()._prune()

    cache = made(Own, tmp_path, threshold=5)
    for number in range(30):
        assert cache.set(str(number), number)
        assert cache.get(str(number)) == number
        # One more, as with cachelib: it is made before the write.
        assert count(cache) <= 6


def test_a_prune_of_its_own_removes_what_it_likes(tmp_path):
    class Own(SimpleCache):
        def _prune(self):
            if len(self._cache) >= self._threshold:
                for key in sorted(self._cache)[:2]:
                    del self._cache[key]

    cache = Own(threshold=4)
    for key in "dcba":
        cache.set(key, key)
    cache.set("e", "e")
    assert set(cache._cache) == {"c", "d", "e"}


def test_timeouts_are_what_the_subclass_makes_of_them(base, tmp_path):
    class AtMost(base):
        def _normalize_timeout(self, timeout):
            if timeout is None or timeout > 60 or timeout == 0:
                timeout = 60
            return super()._normalize_timeout(timeout)

    with manual_clock() as clock:
        cache = made(AtMost, tmp_path, default_timeout=3600)
        cache.set("default", 1)
        cache.set("long", 1, timeout=100)
        cache.set("eternal", 1, timeout=0)
        cache.set("short", 1, timeout=10)
        cache.add("added", 1)
        clock.advance(20)
        keys = ("default", "long", "eternal", "short", "added")
        assert cache.get_many(*keys) == [1, 1, 1, None, 1]
        clock.advance(45)
        assert cache.get_many(*keys) == [None] * 5


def test_timeouts_that_the_subclass_computes_from_the_time(base, tmp_path):
    class Jitter(base):
        def _normalize_timeout(self, timeout):
            return int(time.time() + 100 + random.random())

    cache = made(Jitter, tmp_path)
    assert cache.set("key", 1, timeout=1)
    assert cache.get("key") == 1
    if base is SimpleCache:
        assert 95 < cache._cache["key"][0] - time.time() < 105


def test_a_memoized_function_goes_by_them_too(base, tmp_path, monkeypatch):
    class Own(base):
        pruned = 0

        def _prune(self):
            Own.pruned += 1

        def _normalize_timeout(self, timeout):
            return super()._normalize_timeout(5)

    monkeypatch.setattr(sys.modules[__name__], "Own", Own, raising=False)
    app = Flask(__name__)
    config = {"CACHE_TYPE": f"{__name__}.Own", "CACHE_DIR": str(tmp_path), "CACHE_THRESHOLD": 3}
    cache = Cache(app, config=config)
    calls = []

    @cache.memoize(100)
    def double(number):
        calls.append(number)
        return 2 * number

    with app.app_context(), manual_clock() as clock:
        assert [double(1), double(1), double(2)] == [2, 2, 4]
        assert calls == [1, 2]
        assert Own.pruned >= 2
        clock.advance(6)
        assert double(1) == 2
        assert calls == [1, 2, 1]


def test_what_is_new_and_gone_is_counted(tmp_path):
    class Counting(FileSystemCache):
        def __init__(self, *args, **kwargs):
            self.told = []
            super().__init__(*args, **kwargs)

        def _update_count(self, delta=None, value=None):
            self.told.append((delta, value))
            super()._update_count(delta, value)

    cache = made(Counting, tmp_path)
    cache.set("a", 1)
    cache.set("a", 2)
    cache.add("b", 1)
    cache.add("b", 1)
    cache.delete("a")
    cache.delete("a")
    cache.clear()
    assert cache.told == [(1, None), (1, None), (-1, None), (None, 0)]
    assert cache._file_count == 0


def test_files_have_the_names_that_the_subclass_gives_them(tmp_path):
    class Readable(FileSystemCache):
        def _get_filename(self, key):
            path = super()._get_filename(key)
            return os.path.join(self._path, f"shop-{os.path.basename(path)[:20]}.cache")

    (tmp_path / "cache").mkdir()
    other = tmp_path / "cache" / "notes.txt"
    other.write_text("somebody else's")
    cache = made(Readable, tmp_path, threshold=5)
    for number in range(10):
        cache.set(str(number), number)
    assert cache.get("9") == 9
    assert os.path.exists(cache._get_filename("9"))
    assert len(cache._list_dir()) == 5
    assert all(path.endswith(".cache") for path in cache._list_dir())
    cache.delete("9")
    assert not cache.has("9")
    assert cache.clear()
    assert other.exists()
    assert cache._list_dir() == []


def test_files_are_in_the_directory_itself(tmp_path):
    class Elsewhere(FileSystemCache):
        def _get_filename(self, key):
            return os.path.join(self._path, "below", "key")

    with pytest.raises(CacheConfigError, match=r"Elsewhere\._get_filename"):
        made(Elsewhere, tmp_path)


def test_a_step_is_taken_where_the_subclass_has_a_set_of_its_own(base, tmp_path):
    class Own(base):
        pruned = 0

        def _prune(self):
            self.pruned += 1
            super()._prune()

        def _normalize_timeout(self, timeout):
            return super()._normalize_timeout(7 if timeout is None else timeout)

        def set(self, key, value, timeout=None):
            return super().set(f"own-{key}", value, timeout)

    cache = made(Own, tmp_path, threshold=5)
    with manual_clock() as clock:
        for number in range(12):
            assert cache.set(str(number), number)
        assert cache.pruned == 12
        assert count(cache) <= 6
        assert cache.get("own-11") == 11
        clock.advance(8)
        assert cache.get("own-11") is None


def test_a_step_of_a_class_in_between_and_one_below_it(base, tmp_path):
    class Middle(base):
        def set(self, key, value, timeout=None):
            return super().set(key, [value], timeout)

    class Own(Middle):
        pruned = 0

        def _prune(self):
            self.pruned += 1

    cache = made(Own, tmp_path)
    assert cache.set("a", 1)
    assert cache.get("a") == [1]
    assert cache.pruned == 1


def test_the_proxies_take_the_steps(base, tmp_path):
    class Own(base):
        pruned = 0

        def _prune(self):
            self.pruned += 1

    backend = made(Own, tmp_path)
    cache = Cache(Flask("x"), config={"CACHE_TYPE": lambda app, args, kwargs: backend})
    with cache.app.app_context():
        cache.set("a", 1)
        cache.set("a", 1, timeout=5)
        cache.add("b", 1)
        cache.set_many({"c": 1})
    assert backend.pruned == 4


def test_steps_of_making_room_are_each_taken():
    class Own(SimpleCache):
        taken = ()

        def _remove_older(self):
            self.taken += ("older",)
            super()._remove_older()

        def _remove_expired(self, now):
            self.taken += ("expired",)
            super()._remove_expired(now)

    cache = Own(threshold=2)
    for number in range(5):
        cache.set(str(number), number)
    assert set(cache.taken) == {"older", "expired"}
    assert len(cache._cache) <= 3
