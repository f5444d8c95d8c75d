"""The lock of cachelib's SimpleCache, for subclasses and applications that use it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends import SimpleCache


class CountingLock:
    """A lock that is none of Python's, and counts."""

    def __init__(self) -> None:
        self.entered = 0
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        self.lock.acquire()
        self.entered += 1

    def __exit__(self, *error: object) -> None:
        self.lock.release()


class WithOwnLock(SimpleCache):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lock = CountingLock()


class Counter(SimpleCache):
    """Counts by several steps under the lock, as a subclass of cachelib's may."""

    def count(self, key: str) -> int:
        with self._lock:
            total = (self.get(key) or 0) + 1
            self.set(key, total)
            return total


class OwnSetToo(WithOwnLock):
    pruned = 0

    def _prune(self) -> None:
        self.pruned += 1

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        return super().set(key, value, timeout)


def test_a_lock_of_its_own_is_taken_by_every_method() -> None:
    cache = WithOwnLock()
    calls = [
        lambda: cache.set("a", 1),
        lambda: cache.get("a"),
        lambda: cache.add("b", 1),
        lambda: cache.has("a"),
        lambda: cache.inc("a"),
        lambda: cache.dec("a"),
        lambda: cache.get_many("a", "b"),
        lambda: cache.get_dict("a", "b"),
        lambda: cache.set_many({"c": 1}),
        lambda: cache.delete("a"),
        lambda: cache.delete_many("b"),
        lambda: cache.clear(),
    ]
    for call in calls:
        before = cache._lock.entered
        call()
        assert cache._lock.entered > before


@pytest.mark.parametrize("kind", [SimpleCache, Counter])
def test_who_holds_the_lock_keeps_the_others_out(kind: type[SimpleCache]) -> None:
    cache = kind()
    lock = cache._lock
    done = threading.Event()
    writer = threading.Thread(target=lambda: (cache.set("a", 2), done.set()))
    with lock:
        cache.set("a", 1)
        writer.start()
        assert not done.wait(0.05)
        assert cache.get("a") == 1
    assert done.wait(60)
    writer.join()
    assert cache.get("a") == 2


def test_several_steps_under_the_lock_are_one() -> None:
    cache = Counter()
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        for _ in range(200):
            cache.count("n")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("n") == 800


@pytest.mark.parametrize("use", ["_lock of the class", "_lock of the backend"])
def test_calls_take_it_as_well(use: str) -> None:
    backend: Any = WithOwnLock() if use == "_lock of the class" else SimpleCache()
    if use != "_lock of the class":
        backend._lock = CountingLock()
    cache = Cache(Flask("x"), config={"CACHE_TYPE": lambda app, args, kwargs: backend})
    f = cache.memoize()(lambda a: a)
    with cache.app.app_context():
        for call in (lambda: f(1), lambda: f(1), lambda: cache.get("a"), lambda: cache.set("a", 1)):
            before = backend._lock.entered
            call()
            assert backend._lock.entered > before


def test_a_lock_that_nobody_asks_for_costs_nothing() -> None:
    cache = SimpleCache()
    cache.set("a", 1)
    assert "_own_lock" not in vars(cache)
    assert type(cache).__mro__.index(SimpleCache) == 0
    assert "get" not in vars(cache)


def test_a_step_and_the_lock_of_one_subclass_are_both_used() -> None:
    cache = OwnSetToo()
    assert cache.set("a", 1)
    assert (cache.pruned, cache._lock.entered) == (1, 1)
    assert cache.add("b", 1)
    assert (cache.pruned, cache._lock.entered) == (2, 2)
    assert isinstance(cache, SimpleCache)
