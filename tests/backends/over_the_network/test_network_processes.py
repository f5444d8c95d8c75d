"""Redis or memcached in many processes, threads and greenlets: nobody gets another's answer."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask_caching.backends.memcache import MemcachedCache
from flask_caching.errors import CacheBackendError
from gunicorn_server import serving
from memcached_servers import MemcachedServer
from network import KINDS, Kind

HERE = Path(__file__).parent


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def server(request: pytest.FixtureRequest, kind: Kind) -> Any:
    return request.getfixturevalue(kind.shared)


def test_after_a_fork_nobody_shares_a_connection(kind: Kind, server: Any) -> None:
    cache = kind.backend(kind.address(server), key_prefix="fork_")
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


def test_a_fork_while_other_threads_are_in_the_cache(kind: Kind, server: Any) -> None:
    # A small pool, so that threads wait for one another where there is a choice.
    options = {"max_connections" if kind.name == "redis" else "pool_size": 2}
    cache = kind.backend(kind.address(server), key_prefix="busy_", **options)
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


@pytest.mark.parametrize("connections", [None, 1, 4])
def test_threads(kind: Kind, server: Any, connections: int | None) -> None:
    options: dict[str, Any] = {}
    if connections is not None:
        options["max_connections" if kind.name == "redis" else "pool_size"] = connections
    cache = kind.backend(kind.address(server), key_prefix="threads_", **options)
    cache.clear()
    before = _connections(server)

    def work(thread: int) -> list[object]:
        for number in range(200):
            key = f"{thread}-{number}"
            cache.set(key, key)
            cache.inc("up")
            cache.dec("down")
            if cache.get(key) != key:
                return [key]
        return []

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [[]] * 8
    assert cache.get_many("up", "down") == [1600, -1600]
    if connections is not None:
        assert _connections(server) <= before + connections


def _connections(server: Any) -> int:
    if isinstance(server, MemcachedServer):
        return int(server.stats()["curr_connections"])
    return len(server.admin.client_list())


def test_an_exhausted_pool_fails_at_once_where_it_does_not_block(
    memcached_server: MemcachedServer,
) -> None:
    outcomes: dict[bool, list[object]] = {True: [], False: []}
    for blocking, seen in outcomes.items():
        cache: Any = MemcachedCache(
            [memcached_server.address], pool_size=1, pool_blocking=blocking, key_prefix="pool_"
        )
        cache.set("large", "x" * 900_000)

        def work(cache: Any = cache, seen: list[object] = seen) -> None:
            for _ in range(60):
                try:
                    seen.append(cache.get("large") is not None)
                except CacheBackendError as error:
                    seen.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(outcomes[True]) == {True}
    failures = [seen for seen in outcomes[False] if seen is not True]
    assert failures
    assert all("pool_size: 1" in str(failure) for failure in failures)


def test_greenlets_go_on_while_one_waits(kind: Kind, server: Any) -> None:
    if importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not installed")
    script = """
        from gevent import monkey; monkey.patch_all()
        import os, signal, sys, gevent
        from flask_caching.errors import CacheBackendError
        from network import KINDS
        from servers import stop
        kind, address, server = KINDS[sys.argv[1]], sys.argv[2], int(sys.argv[3])
        options = {} if kind.name == "redis" else {"pool_size": 5}
        cache = kind.backend(address, key_prefix="g_", operation_timeout=5, **options)
        cache.set("k", 1)
        assert [job.get() for job in [gevent.spawn(cache.get, "k") for _ in range(50)]] == [1] * 50
        stop(server)
        try:
            job = gevent.spawn(cache.get, "k")
            for ticks in range(30):
                gevent.sleep(0.01)
                assert not job.ready()
        finally:
            os.kill(server, signal.SIGCONT)
        assert job.get() == 1
        # Nor does a failure print anything but its lines of log.
        gone = kind.backend("127.0.0.1:1", key_prefix="g_")
        for _ in range(20):
            try:
                gone.get("k")
            except CacheBackendError:
                continue
            raise AssertionError("nobody listens there")
    """
    assert server.process is not None
    arguments = (kind.name, kind.address(server), server.process.pid)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
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
@pytest.mark.parametrize("kind", [KINDS["redis"], KINDS["memcached"]], ids=["redis", "memcached"])
def test_gunicorn(
    kind: Kind,
    server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    if options[-1] == "gevent" and importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not installed")
    monkeypatch.setenv("TEST_CACHE", json.dumps(kind.config(kind.address(server))))
    with serving(tmp_path, HERE / "network_app.py", *options) as gunicorn:

        def visit(number: int) -> bool:
            who = f"visitor-{number % 37}"
            return (
                gunicorn.ask(f"/page/{who}") == f"page of {who}"
                and gunicorn.ask(f"/value/{who}") == who * 100
            )

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(visit, range(150)))
        # The workers are not the process that connected first.
        worker, master = gunicorn.ask("/pid").split()[:2]
        assert worker != master
