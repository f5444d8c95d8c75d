"""RedisCache in many processes, threads and greenlets: nobody gets what another asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask_caching.backends.rediscache import RedisCache
from gunicorn_server import serving
from redis_servers import RedisServer

HERE = Path(__file__).parent


def test_after_a_fork_nobody_shares_a_connection(redis_server: RedisServer) -> None:
    cache = RedisCache("127.0.0.1", redis_server.port, key_prefix="fork_")
    cache.set("before", os.getpid())

    def check(name: str) -> bool:
        for number in range(300):
            value = f"{name} {number} " * 50
            cache.set(name, value)
            if cache.get(name) != value or cache.get_many(name, "none") != [value, None]:
                return False
        return True

    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            os._exit(0 if check(f"child{number}") else 1)
        children.append(child)
    parent = check("parent")
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0, 0]
    assert parent


def test_a_fork_while_other_threads_are_in_the_cache(redis_server: RedisServer) -> None:
    cache = RedisCache("127.0.0.1", redis_server.port, key_prefix="busy_")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            cache.set("k", "v")
            cache.get("k")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                # A lock that another thread held would keep the child here for ever.
                os._exit(0 if cache.set("c", 1) and cache.get("c") == 1 else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_threads(redis_server: RedisServer) -> None:
    cache = RedisCache("127.0.0.1", redis_server.port, key_prefix="threads_")
    cache.clear()

    def work(thread: int) -> list[object]:
        for number in range(200):
            key = f"{thread}-{number}"
            cache.set(key, key)
            cache.inc("sum")
            if cache.get(key) != key:
                return [key]
        return []

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [[]] * 8
    assert cache.get("sum") == 1600


def test_greenlets_go_on_while_one_waits(redis_server: RedisServer) -> None:
    script = """
        from gevent import monkey; monkey.patch_all()
        import os, signal, sys, gevent
        from flask_caching.backends.rediscache import RedisCache
        from flask_caching.errors import CacheBackendError
        port, server = map(int, sys.argv[1:])
        cache = RedisCache("127.0.0.1", port, key_prefix="g_", operation_timeout=5)
        cache.set("k", 1)
        assert [job.get() for job in [gevent.spawn(cache.get, "k") for _ in range(50)]] == [1] * 50
        os.kill(server, signal.SIGSTOP)
        try:
            job = gevent.spawn(cache.get, "k")
            for ticks in range(30):
                gevent.sleep(0.01)
                assert not job.ready()
        finally:
            os.kill(server, signal.SIGCONT)
        assert job.get() == 1
        # Nor does a failure print anything but its lines of log.
        gone = RedisCache("127.0.0.1", 1, key_prefix="g_")
        for _ in range(20):
            try:
                gone.get("k")
            except CacheBackendError:
                continue
            raise AssertionError("nobody listens there")
    """
    assert redis_server.process is not None
    arguments = (redis_server.port, redis_server.process.pid)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ("--preload", "--workers", "3"),
        ("--preload", "--workers", "2", "--threads", "4"),
        ("--preload", "--workers", "2", "--worker-class", "gevent"),
    ],
    ids=["processes", "threads", "gevent"],
)
def test_gunicorn(
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    monkeypatch.setenv("TEST_REDIS_PORT", str(redis_server.port))
    with serving(tmp_path, HERE / "redis_app.py", *options) as server:

        def visit(number: int) -> bool:
            who = f"visitor-{number % 37}"
            return (
                server.ask(f"/page/{who}") == f"page of {who}"
                and server.ask(f"/value/{who}") == who * 100
            )

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(visit, range(400)))
        # The workers are not the process that connected first.
        worker, master = server.ask("/pid").split()[:2]
        assert worker != master
