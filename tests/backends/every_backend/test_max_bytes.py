"""``CACHE_MAX_BYTES``: a cache in memory or in files takes no more than that."""

import logging
import os
import pickle
import subprocess
import sys
import threading

import cachelib
import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends import FileSystemCache, SimpleCache
from flask_caching.errors import CacheConfigError


def simple(max_bytes, **options):
    return SimpleCache(threshold=100_000, max_bytes=max_bytes, **options)


class Everything:
    """An object that is pickled."""

    def __init__(self, data):
        self.data = data

    def __reduce__(self):
        return Everything, (self.data,)


def nested():
    part = ("x" * 10_000,)
    for _ in range(50):
        part = (part, part)
    return part


@pytest.mark.parametrize(
    ("value", "at_least"),
    [
        ("x" * 10_000, 10_000),
        (b"x" * 10_000, 10_000),
        (["x" * 100 + str(i) for i in range(100)], 10_000),
        ({str(i): [i, "y" * 100] for i in range(100)}, 1_000),
        (tuple(("x" * 100 + str(i),) for i in range(100)), 10_000),
        (frozenset("x" * 100 + str(i) for i in range(100)), 10_000),
        ({"x" * 100 + str(i) for i in range(100)}, 10_000),
        (Everything("x" * 10_000), 10_000),
        (nested(), 10_000),
        (10**30_000, 10_000),
    ],
    ids=["str", "bytes", "list", "dict", "tuple", "frozenset", "set", "object", "shared", "int"],
)
def test_what_values_take(value, at_least):
    cache = simple(10_000_000)
    assert cache.set("key", value)
    assert at_least <= cache._bytes() < 5 * at_least + 20_000
    cache.delete("key")
    assert cache._bytes() == 0


def test_without_a_limit_nothing_is_weighed():
    cache = SimpleCache()
    cache.set("key", "x" * 1000)
    assert (cache._max_bytes, cache._bytes()) == (0, 0)


def test_it_stays_within_its_bytes_and_keeps_the_newest():
    cache = simple(100_000)
    for number in range(1000):
        assert cache.set(str(number), "x" * 1000)
        assert cache._bytes() <= 100_000
        assert cache.get(str(number)) == "x" * 1000
    assert cache._bytes() > 95_000


def test_large_values_do_not_empty_it(caplog):
    cache = simple(400_000)
    for number in range(500):
        cache.set(str(number), number)
        cache.get(str(number))
    for number in range(50):
        assert cache.set(f"large{number}", "x" * 90_000)
    assert sum(cache.has(str(number)) for number in range(500)) >= 400
    # And what takes more than a quarter takes nobody's place.
    before = cache._len()
    assert not cache.set("larger", "x" * 100_000)
    assert not cache.add("larger", "x" * 100_000)
    assert cache.set_many({"larger": "x" * 100_000, "one": 1}) == ["one"]
    assert cache._len() == before + 1
    warned = [r.message for r in caplog.records if "CACHE_MAX_BYTES" in r.message]
    assert len(warned) == 1
    assert "'larger'" in warned[0]
    assert "100000" in warned[0]


def test_a_value_that_is_too_large_leaves_no_old_one():
    cache = simple(100_000)
    cache.set("key", "old")
    assert not cache.set("key", "x" * 50_000)
    assert cache.get("key") is None


def test_numbers_that_grow_come_to_an_end():
    cache = simple(1000)
    assert cache.inc("n", 10**3000) is None
    cache.set("n", 1)
    assert cache.inc("n", 10**3000) == 1 + 10**3000
    cache.set("other", 1)
    assert cache._bytes() <= 1000


def test_memoized_results_that_are_too_large_are_computed(caplog):
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_MAX_BYTES": "100_000"})
    calls = []

    @cache.memoize()
    def compute(size):
        calls.append(size)
        return "x" * size

    with app.app_context(), caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert len(compute(50_000)) == 50_000
            assert len(compute(50)) == 50
        assert calls == [50_000, 50, 50_000, 50_000]


@pytest.fixture
def files(tmp_path):
    return FileSystemCache(tmp_path, threshold=0, max_bytes=100_000)


def taken(cache):
    return sum(os.stat(path).st_size for path in cache._list_dir())


def test_files_stay_within_it(files):
    for number in range(300):
        assert files.set(str(number), "x" * 1000)
        assert files.get(str(number)) == "x" * 1000
        assert taken(files) <= 100_000
    assert taken(files) > 80_000


def test_large_files_do_not_empty_it(files, caplog):
    for number in range(200):
        files.set(str(number), number)
    for number in range(30):
        assert files.set(f"large{number}", "x" * 20_000)
    assert sum(files.has(str(number)) for number in range(200)) >= 150
    # One that is written without a pickle between, and one with.
    for size in (70_000, 30_000):
        assert not files.set("large0", "x" * size)
        assert files.get("large0") is None
    assert not files.add("larger", ["x" * 30_000])
    assert sum("CACHE_MAX_BYTES" in r.message for r in caplog.records) == 1


def test_the_count_of_entries_stays_cachelibs(tmp_path):
    files = FileSystemCache(tmp_path, threshold=10, max_bytes=100_000)
    for number in range(30):
        files.set(str(number), number)
    assert (
        len(files._list_dir())
        == files._file_count
        == cachelib.FileSystemCache(str(tmp_path), threshold=10)._file_count
        == 10
    )


_FILL = """
import sys
from flask_caching.backends import FileSystemCache
cache = FileSystemCache(sys.argv[1], threshold=0, max_bytes=100_000)
print("ready", flush=True)
number = 0
while True:
    number += 1
    cache.set(f"{sys.argv[2]}-{number % 200}", "x" * (number * 37 % 3000))
    if number == 100:
        print("full", flush=True)
"""


def test_processes_stay_within_it_whatever_becomes_of_them(tmp_path, files):
    for _ in range(3):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", _FILL, str(tmp_path), str(number)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(2)
        ]
        try:
            for writer in writers:
                assert writer.stdout.readline() == "ready\n"
                assert writer.stdout.readline() == "full\n"
        finally:
            for writer in writers:
                writer.kill()
                writer.wait()
                writer.stdout.close()
    assert files.set("one", "x" * 3000)
    assert taken(files) <= 100_000
    assert files.get("one") == "x" * 3000


def test_it_is_kept_by_a_copy(files):
    copy = pickle.loads(pickle.dumps(files))
    assert not copy.set("large", "x" * 30_000)


def test_threads_stay_within_it():
    cache = simple(50_000)
    errors = []

    def work(seed):
        for step in range(2000):
            key = str((step * 7 + seed) % 300)
            if step % 7 == 0:
                cache.delete(key)
            else:
                cache.set(key, ["x" * (step % 500)], timeout=0)
            if cache._bytes() > 50_000:
                errors.append(step)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    cache.clear()
    assert cache._bytes() == 0


@pytest.mark.parametrize("value", ["many", -1, 1.5, "-3"])
@pytest.mark.parametrize("backend", ["SimpleCache", "FileSystemCache"])
def test_what_is_no_number_of_bytes(backend, value, tmp_path):
    config = {"CACHE_TYPE": backend, "CACHE_DIR": str(tmp_path), "CACHE_MAX_BYTES": value}
    with pytest.raises(CacheConfigError, match="CACHE_MAX_BYTES"):
        Cache(Flask(__name__), config=config)


@pytest.mark.parametrize("value", [None, "", 0, "0"])
def test_no_limit(value):
    app = Flask(__name__)
    Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_MAX_BYTES": value})


@pytest.mark.parametrize("kind", [SimpleCache, FileSystemCache])
def test_the_constructor_says_what_is_wrong(kind, tmp_path):
    args = (tmp_path,) if kind is FileSystemCache else ()
    with pytest.raises(CacheConfigError, match="CACHE_MAX_BYTES"):
        kind(*args, max_bytes="1k")


def test_a_subclass_without_the_option(monkeypatch):
    class Own(SimpleCache):
        def __init__(self, threshold=5, default_timeout=1, ignore_delete_many_errors=False):
            super().__init__(threshold, default_timeout)

    app = Flask(__name__)
    monkeypatch.setattr(sys.modules[__name__], "Own", Own, raising=False)
    cache = Cache(app, config={"CACHE_TYPE": f"{__name__}.Own"})
    with app.app_context():
        assert cache.set("a", 1)
