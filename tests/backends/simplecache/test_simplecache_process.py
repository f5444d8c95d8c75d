"""SimpleCache in a process: threads, forks, memory, the garbage collector."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import tracemalloc
import weakref
from typing import Any

import pytest
from flask_caching.backends.simplecache import SimpleCache
from flask_caching.testing import manual_clock


@pytest.fixture
def fast_switches() -> Any:
    """Threads take turns so often that what is not atomic breaks."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def _run(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.usefixtures("fast_switches")
@pytest.mark.parametrize("threshold", [50, 100_000])
def test_threads_on_one_cache_read_right_values(threshold: int) -> None:
    cache = SimpleCache(threshold=threshold)
    wrong: list[Any] = []

    def work(name: int) -> None:
        for number in range(1500):
            key = f"key{(number * 7 + name) % 200}"
            value = {"key": key, "list": [key] * 3}
            found = cache.get(key)
            if found is not None and found != value:
                wrong.append(found)
            cache.set(key, value)
            cache.add(key, value)
            cache.inc("counter")
            if number % 50 == 0:
                cache.delete_many(key, "other")
            if len(cache._cache) > threshold:
                wrong.append("too many")

    cache.set("counter", 0, timeout=0)
    # Used by all: it is never evicted.
    _run([threading.Thread(target=work, args=(name,)) for name in range(8)])
    assert wrong == []
    assert cache.get("counter") == 8 * 1500


@pytest.mark.usefixtures("fast_switches")
def test_one_entry_is_evicted_and_written_by_all_threads() -> None:
    cache = SimpleCache(threshold=1)

    def work(name: int) -> None:
        for number in range(2000):
            cache.set(f"{name}", [name, number])
            found = cache.get(f"{name}")
            assert found is None or found[0] == name

    _run([threading.Thread(target=work, args=(name,)) for name in range(8)])
    assert len(cache._cache) == 1


def test_a_fork_while_threads_are_in_the_cache() -> None:
    cache = SimpleCache(threshold=5000)
    cache.set("shared", [1])
    stop = threading.Event()

    def busy(name: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            cache.set(f"{name}-{number % 300}", [number])
            cache.get(f"{name}-{number % 300}")
            cache.inc(f"n{name}")

    threads = [threading.Thread(target=busy, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                _child(cache)
            assert _wait(pid) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert cache.get("shared") == [1], "what a child writes is its own"


def _child(cache: SimpleCache) -> None:
    # A lock that was held at the fork would stop the child here; the alarm ends it then.
    signal.alarm(10)
    status = 1
    try:
        works = cache.get("shared") == [1] and cache.set("shared", [2])
        works = works and cache.get("shared") == [2] and cache.inc("count") == 1
        status = 0 if works and cache.clear() else 2
    finally:
        os._exit(status)


def _wait(pid: int) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -1


class Thing:
    """Something whose end can be seen."""


def test_overwritten_deleted_expired_and_evicted_values_are_let_go() -> None:
    def counts() -> list[int]:
        return [sys.getrefcount(atom) for atom in atoms]

    atoms = [f"an atom of its own {number}" for number in range(5)]
    before = counts()
    cache = SimpleCache(threshold=3)
    with manual_clock() as clock:
        cache.set("overwritten", atoms[0])
        cache.set("overwritten", "new")
        cache.set("deleted", [atoms[1]])
        cache.delete("deleted")
        cache.set("expired", {"k": [atoms[2]]}, timeout=1)
        clock.advance(1)
        cache.get("other")
        cache.set("evicted", (atoms[3], [atoms[3]]))
        for number in range(5):
            cache.set(f"new{number}", number)
        cache.set("cleared", {"k": atoms[4]})
        cache.clear()
        assert counts() == before


def test_no_operation_leaks() -> None:
    cache = SimpleCache(threshold=100)
    nested = {"id": 1, "list": [1, 2, {"x": (3,)}], "set": {1}}

    def round_() -> None:
        for number in range(300):
            key = f"key{number}"
            cache.set(key, nested)
            cache.get(key)
            cache.get(("tuple", number))
            cache.set(("tuple", number % 50), b"x", timeout=60)
            cache.add(key, number)
            cache.set_many({key: [number], "n": number})
            cache.get_many(key, "none")
            cache.get_dict(key, "n")
            cache.inc("n")
            cache.has(key)
            cache._read(key)
            cache._extend(key, 600)
            cache.set("object", Thing())
            cache.get("object")
            cache.delete_many(key, "none")
            len(cache._cache)
        gc.collect()

    for _ in range(3):
        round_()
    tracemalloc.start()
    try:
        round_()
        before = tracemalloc.get_traced_memory()[0]
        blocks = sys.getallocatedblocks()
        for _ in range(5):
            round_()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
        assert sys.getallocatedblocks() - blocks < 200
    finally:
        tracemalloc.stop()


def test_a_cache_that_is_dropped_lets_go_of_everything() -> None:
    cache = SimpleCache()
    atom = "an atom of its own"
    before = sys.getrefcount(atom)
    cache.set("key", atom)
    cache.set("list", [atom])
    cache.set((1, atom), 1)
    end = weakref.ref(cache)
    del cache
    assert end() is None
    assert sys.getrefcount(atom) == before


def test_a_cache_in_a_cycle_is_collected() -> None:
    class Key:
        """Hashable, and part of a cycle."""

        cache: SimpleCache

    key = Key()
    key.cache = SimpleCache()
    key.cache.set(key, 1)
    key.cache.itself = key.cache  # type: ignore[attr-defined]
    end = weakref.ref(key)
    del key
    gc.collect()
    assert end() is None


def test_a_serializer_in_a_cycle_is_collected() -> None:
    class Serializer:
        cache: SimpleCache

        def dumps(self, value: Any) -> bytes:
            return b"x"

        def loads(self, data: bytes) -> Any:
            return "x"

    cache = SimpleCache()
    cache.serializer = serializer = Serializer()  # type: ignore[assignment]
    serializer.cache = cache
    cache.set("key", "x")
    end = weakref.ref(serializer)
    del cache, serializer
    gc.collect()
    assert end() is None


def test_a_collection_in_the_middle_of_every_operation() -> None:
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        cache = SimpleCache(threshold=20)
        for number in range(300):
            cycle: list[Any] = [number]
            cycle.append(cycle)
            cache.set(f"key{number % 30}", {"a": [number, {"b": (number, [number])}]})
            found = cache.get(f"key{number % 30}")
            assert found == {"a": [number, {"b": (number, [number])}]}
            cache.set("cycle", cycle)
            assert cache.get("cycle")[0] == number
            cache.get_many(*(f"key{n}" for n in range(30)))
            len(cache._cache)
    finally:
        gc.set_threshold(*threshold)
