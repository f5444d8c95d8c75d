"""SharedCache with processes that are killed, whatever they are doing."""

from __future__ import annotations

import hashlib
import os
import random
import time
from pathlib import Path

import pytest
from flask_caching.backends.sharedcache import SharedCache
from sharing import MIB, Workers


@pytest.fixture
def cache(tmp_path: Path) -> SharedCache:
    return SharedCache(str(tmp_path / "cache"), max_bytes=4 * MIB)


def test_kills_lose_and_damage_nothing(cache: SharedCache, workers: Workers) -> None:
    """Processes count, add, delete and write values with their checksum; they are killed."""
    program = """
        me, chance = os.getpid(), random.Random()
        done = 0
        while True:
            number = cache.inc("counter of %d" % me)
            done += 1
            assert number == done, (number, done)
            name = "lock %d" % chance.randrange(10**9)
            assert cache.add(name, me), name
            assert not cache.add(name, 0), name
            assert cache.delete(name)
            assert cache.get(name) is None
            text = "%d " % chance.randrange(10**9) * chance.choice([1, 10, 1000])
            key = "value %d" % chance.randrange(50)
            cache.set(key, (text, hashlib.sha256(text.encode()).hexdigest()))
            found = cache.get("value %d" % chance.randrange(50))
            if found is not None:
                assert hashlib.sha256(found[0].encode()).hexdigest() == found[1]
            print(done, flush=True)
    """
    # The counters must not be evicted: the values are few. So are they, as one of them writes at a
    # time, and each fourth that is killed is in the middle of that.
    running = [workers.start(program) for _ in range(4)]
    chance = random.Random()
    for _ in range(12):
        worker = running.pop(chance.randrange(len(running)))
        assert worker.stdout is not None
        assert worker.stdout.readline(), "it failed"
        time.sleep(chance.random() / 20)
        assert worker.poll() is None, "it failed"
        worker.kill()
        out = worker.stdout.read()
        # What it has printed is all there; one more may have been counted.
        acknowledged = int(out.rpartition("\n")[0].rpartition("\n")[2] or 1)
        counted = cache.get(f"counter of {worker.pid}") or 0
        assert counted in (acknowledged, acknowledged + 1)
        running.append(workers.start(program))
    for worker in running:
        assert worker.poll() is None, "it failed"
    for number in range(50):
        found = cache.get(f"value {number}")
        if found is not None:
            assert hashlib.sha256(found[0].encode()).hexdigest() == found[1]
    assert cache.set("still", "writable")


def test_readers_that_were_killed_are_forgotten(cache: SharedCache, workers: Workers) -> None:
    program = """
        print("ready", flush=True)
        while True:
            cache.get("tea")
    """
    cache.set("tea", "green")
    for _ in range(5):
        worker = workers.start(program)
        assert worker.stdout is not None
        worker.stdout.readline()
        worker.kill()
        worker.communicate()
    # Were their snapshots kept, the file would run out of room.
    for number in range(3000):
        assert cache.set(f"key {number % 50}", os.urandom(2000))
