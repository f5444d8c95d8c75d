"""Threads do at random what they may, for ``SOAK_SECONDS``, and check what they see.

``make soak`` runs this for longer. ``SOAK_SEED`` repeats what each thread does, though not the
order in which they come to their turn.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.utils import make_template_fragment_key

#: Seconds for which each of the tests goes on.
SECONDS = float(os.environ.get("SOAK_SECONDS", "0.6"))
SEED = os.environ.get("SOAK_SEED") or str(random.randrange(10**6))

THREADS = 6
KEYS = 24
#: Fewer entries than there are keys: something is always evicted.
THRESHOLD = 16

Act = Callable[[random.Random], None]


@pytest.fixture(params=["simple", "files", "redis", "memcached"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> dict[str, Any]:
    if kind == "simple":
        return {"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": THRESHOLD}
    if kind == "files":
        folder = str(tmp_path / "cache")
        return {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": folder, "CACHE_THRESHOLD": THRESHOLD}
    if kind == "redis":
        port = request.getfixturevalue("redis_server").port
        return {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": port}
    address = request.getfixturevalue("memcached_server").address
    return {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": [address]}


@pytest.fixture
def cache(app: Flask, settings: dict[str, Any]) -> Iterator[Cache]:
    cache = Cache(app, config={**settings, "CACHE_KEY_PREFIX": "soak_"})
    with app.app_context():
        cache.clear()
        yield cache


@pytest.fixture(autouse=True)
def threads_change_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def any_key(chance: random.Random) -> int:
    """A key; some are asked for by several threads at once."""
    return chance.randrange(chance.choice([2, KEYS]))


def soak(app: Flask, *acts: Act) -> None:
    """Let ``THREADS`` threads, and one for each of ``acts`` at least, act until time is up.

    :raises AssertionError: what a thread has seen that it must not see, and the seed.
    """
    end = time.monotonic() + SECONDS
    failures: list[BaseException] = []

    def work(number: int) -> None:
        chance = random.Random(f"{SEED} {number}")
        try:
            with app.app_context():
                while time.monotonic() < end and not failures:
                    acts[number % len(acts)](chance)
        except BaseException as failure:
            failures.append(failure)

    threads = [
        threading.Thread(target=work, args=(number,), name=f"soak {number}", daemon=True)
        for number in range(max(THREADS, len(acts)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 60)
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"
    if failures:
        raise AssertionError(f"SOAK_SEED={SEED}") from failures[0]


class Source:
    """What results are computed from: numbers that only grow, and those that must be seen."""

    def __init__(self) -> None:
        self.numbers = [0] * KEYS
        self.acknowledged = [0] * KEYS
        self._locks = [threading.Lock() for _ in range(KEYS)]

    def read(self, key: int) -> int:
        """A number, after long enough for others to come to their turn."""
        number = self.numbers[key]
        sum(range(2000 * (1 + number % 30)))
        return number

    def change(self, key: int, delete: Callable[[], object]) -> None:
        """Change a number and delete what was computed from it; from then on nobody finds that."""
        with self._locks[key]:
            new = self.numbers[key] = self.numbers[key] + 1
            delete()
            self.acknowledged[key] = new

    def check(self, key: int, call: Callable[[int], int]) -> None:
        least = self.acknowledged[key]
        found = call(key)
        assert found >= least, f"{found} was deleted: {least} was acknowledged"


def test_what_was_deleted_is_never_found_again(app: Flask, cache: Cache) -> None:
    source = Source()

    @cache.memoize()
    def memoized(key: int) -> int:
        return source.read(key)

    @cache.cached(make_cache_key=lambda key: f"cached {key}")
    def cached(key: int) -> int:
        return source.read(key)

    template = app.jinja_env.from_string(
        "{% cache 60, 'tag', key|string %}{{ number() }}{% endcache %}"
    )

    def fragment(key: int) -> int:
        return int(template.render(key=key, number=lambda: source.read(key)))

    def forget(key: int) -> None:
        cache.delete_memoized(memoized, key)
        cache.delete_many(f"cached {key}", make_template_fragment_key("tag", vary_on=[str(key)]))

    def forget_all(key: int) -> None:
        cache.delete_memoized(memoized)
        cache.delete(f"cached {key}")
        cache.delete(make_template_fragment_key("tag", vary_on=[str(key)]))

    def call(chance: random.Random) -> None:
        source.check(any_key(chance), chance.choice([memoized, cached, fragment]))

    def change(chance: random.Random) -> None:
        key = any_key(chance)
        how = chance.choices([forget, forget_all, lambda key: cache.clear()], [20, 3, 1])[0]
        # Twice: the second overtakes what others compute after the first.
        for _ in range(2):
            source.change(key, lambda: how(key))
        for function in (memoized, cached, fragment) * 10:
            source.check(key, function)

    soak(app, call, change, call)


def test_a_key_has_what_was_written_last_or_nothing(
    app: Flask, cache: Cache, kind: str, settings: dict[str, Any]
) -> None:
    """Each key belongs to one thread, which alone writes it; all read it."""
    owners = [threading.Lock() for _ in range(KEYS)]
    written: list[Any] = [None] * KEYS
    evicts = "CACHE_THRESHOLD" in settings

    def is_of(value: Any, key: int) -> bool:
        return value is None or value[0] == key

    def write(chance: random.Random) -> None:
        key = any_key(chance)
        name = f"key {key}"
        with owners[key]:
            found = cache.get(name)
            assert found == written[key] or (evicts and found is None)
            value = [key, chance.random(), "x" * chance.choice([1, 2000])]
            match chance.randrange(5):
                case 0 | 1:
                    assert cache.set(name, value)
                    written[key] = value
                case 2:
                    if cache.add(name, value):
                        assert written[key] is None or evicts
                        written[key] = value
                case 3:
                    cache.delete(name)
                    written[key] = None
                case 4:
                    cache.delete_many(name)
                    assert not cache.has(name)
                    written[key] = None

    def read(chance: random.Random) -> None:
        keys = chance.sample(range(KEYS), 3)
        values = cache.get_many(*(f"key {key}" for key in keys))
        assert all(map(is_of, values, keys))
        if kind == "simple":
            assert len(cache.cache._cache) <= THRESHOLD

    soak(app, write, read)
    if kind == "files":
        assert cache.cache._file_count == len(list(cache.cache._list_dir())) <= THRESHOLD


def test_no_step_of_a_counter_is_lost(app: Flask, cache: Cache) -> None:
    cache.set("counter", 0)
    sums = [0] * THREADS
    numbers = iter(range(THREADS))
    mine = threading.local()

    def count(chance: random.Random) -> None:
        if not hasattr(mine, "number"):
            mine.number = next(numbers)
        step = chance.randrange(1, 5)
        assert cache.inc("counter", step) is not None
        sums[mine.number] += step

    soak(app, count)
    assert int(cache.get("counter")) == sum(sums)
