"""SharedCache with many processes: that are killed, stopped and forked, and see the same."""

from __future__ import annotations

import gc
import hashlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask_caching.backends.sharedcache import SharedCache
from flask_caching.errors import CacheBackendError
from servers import wait_until

MIB = 1 << 20


@pytest.fixture
def cache(tmp_path: Path) -> SharedCache:
    return SharedCache(str(tmp_path / "cache"), max_bytes=4 * MIB)


class Workers:
    """Python programs that have a SharedCache called ``cache``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.running: list[subprocess.Popen[str]] = []

    def start(self, program: str) -> subprocess.Popen[str]:
        head = f"""
import hashlib, os, random, sys, time
from flask_caching.backends.sharedcache import SharedCache
cache = SharedCache({str(self._directory / "cache")!r}, max_bytes={4 * MIB})
"""
        command = [sys.executable, "-c", head + textwrap.dedent(program)]
        pipe = subprocess.PIPE
        worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.running.append(worker)
        return worker


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(tmp_path)
    yield workers
    for worker in workers.running:
        if worker.poll() is None:
            worker.kill()
        worker.communicate()


def in_child(act: Callable[[], object]) -> int:
    """Do something in a fork; its exit code: 0 if it was true."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            code = 0 if act() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def failure_of(act: Callable[[], object]) -> str:
    """What a backend's failure says; nothing where it does not fail."""
    try:
        act()
    except CacheBackendError as error:
        return str(error)
    return ""


def test_processes_see_what_others_write(cache: SharedCache, workers: Workers) -> None:
    cache.set("tea", "green")
    out, _ = workers.start("print(cache.get('tea')); cache.set('tea', 'black')").communicate()
    assert out == "green\n"
    assert cache.get("tea") == "black"


def test_a_child_opens_its_own(cache: SharedCache) -> None:
    cache.set("tea", "green")
    assert in_child(lambda: cache.get("tea") == "green" and cache.set("tea", "black")) == 0
    assert cache.get("tea") == "black"
    # Also the child of a child, and many at once.
    assert in_child(lambda: in_child(lambda: cache.set("tea", "white")) == 0) == 0
    assert cache.get("tea") == "white"


def test_a_child_that_ends_leaves_its_parents_store_open(cache: SharedCache) -> None:
    for number in range(20):
        assert in_child(lambda number=number: cache.set(f"of child {number}", number)) == 0
        cache.set("own", number)
    assert [cache.get(f"of child {number}") for number in range(20)] == list(range(20))


def test_children_forked_while_threads_work(cache: SharedCache) -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            cache.set("busy", "x" * 100)
            cache.get("busy")

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(25):
            assert in_child(lambda: cache.set("child", 1) and cache.get("child") == 1) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_two_caches_of_one_directory_in_one_process(tmp_path: Path) -> None:
    one = SharedCache(str(tmp_path / "cache"))
    two = SharedCache(str(tmp_path / "elsewhere" / ".." / "cache"))
    one.set("tea", "green")
    assert two.get("tea") == "green"
    del one
    gc.collect()
    two.set("tea", "black")
    assert SharedCache(str(tmp_path / "cache")).get("tea") == "black"
    assert two.get("tea") == "black"


def test_a_stopped_writer_is_waited_for_two_seconds_and_no_reader_waits(
    cache: SharedCache, workers: Workers
) -> None:
    cache.set("tea", "green")
    # It writes for long: many entries in one transaction.
    program = """
        many = {f"key {n}": "x" * 100 for n in range(1000)}
        print("ready", flush=True)
        while True:
            cache.set_many(many)
    """
    worker = workers.start(program)
    assert worker.stdout is not None
    worker.stdout.readline()
    for _ in range(50):
        os.kill(worker.pid, signal.SIGSTOP)
        refusal = failure_of(lambda: cache.set("own", 1))
        found = cache.get("tea")
        # Who comes then reads as well: opening needs no turn to write.
        newcomer = refusal and workers.start("print(cache.get('tea'))").communicate()[0]
        os.kill(worker.pid, signal.SIGCONT)
        assert found == "green"
        if refusal:
            break
        time.sleep(0.005)
    assert "stopped" in refusal
    assert newcomer == "green\n"
    # Who was stopped may need a moment to end what he was doing.
    wait_until(lambda: not failure_of(lambda: cache.set("own", 2)), "the writer to go on", 30)
    assert cache.get("own") == 2


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


def test_the_file_never_grows_past_its_bound(cache: SharedCache, tmp_path: Path) -> None:
    chance = random.Random(7)
    for number in range(8000):
        assert cache.set(f"key {number}", b"x" * chance.choice([10, 100, 1000, 20000]))
    [data] = (tmp_path / "cache").glob("store-*/data.mdb")
    assert data.stat().st_size <= 4 * MIB * 1.1
    entries, size, evictions = cache._store.held()
    assert evictions > 1000
    assert size <= 4 * MIB
    assert entries > 200
    assert cache.get("key 7999") is not None
