"""SharedCache with many processes: that are stopped and forked, and see the same."""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask_caching.backends.sharedcache import SharedCache
from flask_caching.errors import CacheBackendError
from servers import wait_until
from sharing import MIB, Workers


@pytest.fixture
def cache(tmp_path: Path) -> SharedCache:
    return SharedCache(str(tmp_path / "cache"), max_bytes=4 * MIB)


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
