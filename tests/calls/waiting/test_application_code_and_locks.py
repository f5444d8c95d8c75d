"""Code of the application that the cache calls, and that deletes or locks: nothing dead-locks.

Every test ends by a deadline. A deletion wins over the result that was on its way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.base import BaseCache
from flask_caching.signals import cache_memoize_hit, cache_memoize_miss

#: Seconds after which a thread is taken to be stuck.
PATIENCE = 20


class Foreign(BaseCache):
    """An application's backend, whose `set` calls what a test puts there."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[Any, Any] = {}
        self.on_set: Callable[[Any], object] = lambda key: None

    @classmethod
    def factory(cls, *_: Any) -> Foreign:
        return cls()

    def get(self, key: Any) -> Any:
        return self.stored.get(key)

    def set(self, key: Any, value: Any, timeout: Any = None) -> bool:
        self.stored[key] = value
        self.on_set(key)
        return True

    def delete(self, key: Any) -> bool:
        return self.stored.pop(key, None) is not None

    def has(self, key: Any) -> bool:
        return key in self.stored

    def clear(self) -> bool:
        self.stored.clear()
        return True


@pytest.fixture(params=["SimpleCache", "FileSystemCache", "RedisCache", Foreign])
def cache(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[Cache]:
    config = {"CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path)}
    if request.param == "RedisCache":
        server = request.getfixturevalue("redis_server")
        config |= {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": server.port}
    cache = Cache(app, config=config)
    with app.app_context():
        cache.clear()
        yield cache


def all_end(app: Flask, *actions: Callable[[], object]) -> None:
    """Run each in a thread of its own, and see them all end without an error."""
    errors: list[BaseException] = []

    def run(action: Callable[[], object]) -> None:
        try:
            with app.app_context():
                action()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "dead-lock"
    if errors:
        raise errors[0]


class Value:
    """What pickling it does is in :attr:`on_pickle`; what its end does, in :attr:`on_end`."""

    on_pickle: Callable[[], object]
    on_end: Callable[[], object]

    def __getstate__(self) -> dict[str, Any]:
        type(self).on_pickle()
        return {"a": 1}

    def __del__(self) -> None:
        type(self).on_end()


@pytest.fixture(autouse=True)
def harmless() -> Iterator[None]:
    def nothing() -> None:
        pass

    Value.on_pickle = Value.on_end = staticmethod(nothing)
    yield
    Value.on_pickle = Value.on_end = staticmethod(nothing)


DELETIONS: list[Callable[[Cache, Any], object]] = [
    lambda cache, function: cache.delete_memoized(function),
    lambda cache, function: cache.delete_memoized(function, 1),
    lambda cache, function: cache.delete_memoized_verhash(function),
    lambda cache, function: cache.clear(),
]
deletions = pytest.mark.parametrize(
    "delete", DELETIONS, ids=["function", "arguments", "verhash", "clear"]
)


@deletions
def test_a_result_that_locks_itself_while_it_is_pickled(
    app: Flask, cache: Cache, delete: Callable[[Cache, Any], object]
) -> None:
    lock = threading.Lock()
    pickling, runs = threading.Event(), []

    def pickle() -> None:
        pickling.set()
        with lock:
            pass

    @cache.memoize()
    def function(a: int) -> Value:
        runs.append(a)
        return Value()

    def deletes() -> None:
        with lock:
            function_runs.start()
            if not isinstance(cache.cache, Foreign):
                assert pickling.wait(PATIENCE)
            delete(cache, function)

    def runs_function() -> None:
        with app.app_context():
            function(1)

    Value.on_pickle = staticmethod(pickle)
    function_runs = threading.Thread(target=runs_function, daemon=True)
    all_end(app, deletes)
    function_runs.join(PATIENCE)
    assert not function_runs.is_alive(), "dead-lock"
    if not isinstance(cache.cache, Foreign):
        function(1)
        assert runs == [1, 1]
    assert cache.stats().under_way == 0


def test_two_stores_whose_pickling_clears_the_cache(app: Flask, cache: Cache) -> None:
    if isinstance(cache.cache, Foreign):
        pytest.skip("it pickles nothing")
    together = threading.Barrier(2)
    runs: list[int] = []

    def pickle() -> None:
        together.wait(PATIENCE)
        cache.clear()

    @cache.memoize()
    def function(a: int) -> Value:
        runs.append(a)
        return Value()

    Value.on_pickle = staticmethod(pickle)
    all_end(app, lambda: function(1), lambda: function(2))
    Value.on_pickle = staticmethod(lambda: None)
    assert sorted(runs) == [1, 2]
    function(1), function(2)
    assert sorted(runs) == [1, 1, 2, 2]
    assert cache.stats().superseded == 2


@deletions
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in-a-thread"])
def test_a_set_that_deletes(
    app: Flask, delete: Callable[[Cache, Any], object], elsewhere: bool
) -> None:
    cache = Cache(app, config={"CACHE_TYPE": Foreign})
    runs: list[int] = []

    @cache.memoize()
    def function(a: int) -> int:
        runs.append(a)
        return 10 * a

    def on_set(key: Any) -> None:
        if cache.cache.stored.get(key) == 10:  # type: ignore[attr-defined]
            if elsewhere:
                all_end(app, lambda: delete(cache, function))
            else:
                delete(cache, function)

    with app.app_context():
        cache.cache.on_set = on_set  # type: ignore[attr-defined]
        all_end(app, lambda: function(1))
        cache.cache.on_set = lambda key: None  # type: ignore[attr-defined]
        assert function(1) == 10
        assert runs == [1, 1]
        assert cache.stats().superseded == 1


@deletions
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in-a-thread"])
@pytest.mark.parametrize("by", ["filter", "signal", "end"])
def test_callbacks_that_delete(
    app: Flask, cache: Cache, delete: Callable[[Cache, Any], object], elsewhere: bool, by: str
) -> None:
    runs: list[int] = []
    active = [False]

    def act(*_: Any, **__: Any) -> bool:
        if active[0]:
            active[0] = False
            if elsewhere:
                all_end(app, lambda: delete(cache, function))
            else:
                delete(cache, function)
        return True

    @cache.memoize(response_filter=act if by == "filter" else None)
    def function(a: int) -> Any:
        runs.append(a)
        return Value()

    if by == "end":
        Value.on_end = staticmethod(act)
    elif by == "signal":
        cache.enable_signals = True
    with cache_memoize_miss.connected_to(act), cache_memoize_hit.connected_to(act):
        for _ in range(3):
            active[0] = by != "end"
            all_end(app, lambda: function(1))
            active[0] = True
            cache.delete_memoized(function, 1)
    active[0] = False
    assert cache.stats().under_way == 0
    before = len(runs)
    cache.clear()
    function(1), function(1)
    assert len(runs) == before + 1
