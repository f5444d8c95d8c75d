"""``cache.lock``: of all who share a backend, one does something at a time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cachelib import BaseCache as CachelibBaseCache
from flask import Flask
from flask_caching import Cache, CacheLockError
from flask_caching.backends.simplecache import SimpleCache
from flask_caching.testing import manual_clock
from memcached_servers import MemcachedServer
from redis_servers import RedisServer

LONG = 30.0


@pytest.fixture(params=["SimpleCache", "FileSystemCache", "RedisCache", "MemcachedCache"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    config: dict[str, Any] = {"CACHE_TYPE": request.param}
    if request.param == "FileSystemCache":
        config["CACHE_DIR"] = str(tmp_path)
    if request.param == "RedisCache":
        redis: RedisServer = request.getfixturevalue("redis_server")
        redis.admin.flushall()
        config |= {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": redis.port}
    if request.param == "MemcachedCache":
        memcached: MemcachedServer = request.getfixturevalue("memcached_server")
        config["CACHE_MEMCACHED_SERVERS"] = [f"127.0.0.1:{memcached.port}"]
        config["CACHE_KEY_PREFIX"] = f"{tmp_path}_"
    return config


@pytest.fixture
def cache(app: Flask, config: dict[str, Any]) -> Iterator[Cache]:
    cache = Cache(app, config=config)
    with app.app_context():
        yield cache


def test_one_has_it_until_it_is_left(cache: Cache) -> None:
    lock = cache.lock("import")
    with lock as entered:
        assert entered is lock
        with pytest.raises(CacheLockError, match="'import' could not be had; somebody has it"):
            cache.lock("import", wait=0).__enter__()
        with cache.lock("export", wait=0):
            pass
        lock.renew()
    with cache.lock("import", wait=0), pytest.raises(CacheLockError, match="not held"):
        lock.renew()
    with lock:
        pass


def test_an_exception_frees_it(cache: Cache) -> None:
    with pytest.raises(ZeroDivisionError), cache.lock("import"):
        1 // 0  # noqa: B018
    with cache.lock("import", wait=0):
        pass


def test_whoever_lost_it_frees_nobody_elses(cache: Cache) -> None:
    late = cache.lock("import")
    with late:
        cache.clear()
        with cache.lock("import", wait=0) as other:
            with pytest.raises(CacheLockError, match="not held any more"):
                late.renew()
            late.__exit__(None, None, None)
            other.renew()


def test_it_cannot_be_entered_twice(cache: Cache) -> None:
    with cache.lock("import") as lock, pytest.raises(CacheLockError, match="entered already"):
        lock.__enter__()


def test_whoever_waits_gets_it(app: Flask, cache: Cache) -> None:
    entered, done = threading.Event(), threading.Event()

    def hold() -> None:
        with app.app_context(), cache.lock("import"):
            entered.set()
            assert done.wait(LONG)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert entered.wait(LONG)
    with pytest.raises(CacheLockError, match=r"within 0\.05 seconds"):
        cache.lock("import", wait=timedelta(milliseconds=50)).__enter__()
    done.set()
    with cache.lock("import", wait=LONG):
        thread.join(LONG)


def test_tasks_wait_without_keeping_the_loop(cache: Cache) -> None:
    inside: list[int] = []

    async def work() -> None:
        async with cache.lock("import", wait=LONG) as lock:
            inside.append(1)
            assert len(inside) == 1
            await asyncio.sleep(0)
            await asyncio.to_thread(lock.renew)
            inside.pop()

    async def main() -> None:
        await asyncio.gather(*(work() for _ in range(5)))

    asyncio.run(main())


class Slow(SimpleCache):
    """Its server answers when it may, and then does what it was asked to."""

    _is_remote = True
    asked, may_answer = threading.Event(), threading.Event()
    answered = threading.Event()

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.asked.set()
        assert self.may_answer.wait(LONG)
        return super().add(key, value, timeout)

    def delete(self, key: str) -> bool:
        try:
            return super().delete(key)
        finally:
            self.answered.set()


def test_a_task_that_is_cancelled_leaves_no_lock_behind(app: Flask) -> None:
    backend = Slow()
    cache = Cache(app, config={"CACHE_TYPE": lambda app, config, args, kwargs: backend})

    async def enter() -> None:
        async with cache.lock("import", timeout=3600):
            raise AssertionError("it was cancelled before")

    async def main() -> None:
        entering = asyncio.create_task(enter())
        await asyncio.to_thread(backend.asked.wait, LONG)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        backend.may_answer.set()
        # The thread that still asked has it now, and lets go of it.
        assert await asyncio.to_thread(backend.answered.wait, LONG)

    with app.app_context():
        asyncio.run(main())
        with cache.lock("import", wait=0):
            pass


def test_a_killed_holder_costs_its_timeout(cache: Cache, config: dict[str, Any]) -> None:
    if config["CACHE_TYPE"] == "SimpleCache":
        pytest.skip("one of a single process")
    code = (
        "import os, signal, sys\n"
        "from flask import Flask\n"
        "from flask_caching import Cache\n"
        "app = Flask('killed')\n"
        f"cache = Cache(app, config={config!r})\n"
        "with app.app_context(), cache.lock('import', timeout=1):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with cache.lock("import", wait=LONG):
        pass


def test_time_ends_it(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with manual_clock() as clock, app.app_context(), cache.lock("import", timeout=10) as lock:
        clock.advance(9)
        lock.renew()
        clock.advance(9)
        with pytest.raises(CacheLockError):
            cache.lock("import", wait=0).__enter__()
        clock.advance(2)
        with cache.lock("import", wait=0), pytest.raises(CacheLockError, match="any more"):
            lock.renew()


@pytest.mark.parametrize("bad", [{"timeout": 0}, {"timeout": -1}, {"wait": -1}, {"timeout": "x"}])
def test_what_is_no_time_is_named(app: Flask, bad: dict[str, Any]) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with app.app_context(), pytest.raises(ValueError, match=next(iter(bad))):
        cache.lock("import", **bad)


def test_a_backend_without_an_atomic_add_has_none(app: Flask) -> None:
    class Plain(CachelibBaseCache):
        pass

    cache = Cache(app, config={"CACHE_TYPE": lambda app, config, args, kwargs: Plain()})
    with app.app_context(), pytest.raises(CacheLockError, match="Plain has no add"):
        cache.lock("import")
    with app.app_context(), pytest.raises(TypeError, match="must be a str"):
        cache.lock(1)  # type: ignore[arg-type]


def test_a_lock_that_is_not_entered_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache(Flask("x"), config={"CACHE_TYPE": "SimpleCache"})
    with cache.app.app_context():
        with cache.lock("entered"):
            pass
        lock = cache.lock("tried")
        with cache.lock("tried"), pytest.raises(CacheLockError), cache.lock("tried", wait=0):
            pass
        lock.__enter__()
        lock.__exit__(None, None, None)
        del lock
        assert not caplog.records
        cache.lock("forgotten")
    (record,) = caplog.records
    assert "The lock 'forgotten' was made and not entered" in record.getMessage()
    assert "with cache.lock(...)" in record.getMessage()


def test_a_lock_is_no_lock_of_threads() -> None:
    cache = Cache(Flask("x"), config={"CACHE_TYPE": "SimpleCache"})
    with cache.app.app_context(), cache.lock("x") as lock:
        for name in ("acquire", "release"):
            with pytest.raises(AttributeError, match=rf"no {name}\(\): .*with cache.lock"):
                getattr(lock, name)
        with pytest.raises(TypeError, match=r"neither true nor false: .*with cache.lock"):
            bool(lock)
        with pytest.raises(AttributeError, match="no attribute 'name_of_nothing'"):
            lock.name_of_nothing  # noqa: B018
        assert repr(lock) == "<CacheLock 'x', held>"
    assert repr(lock) == "<CacheLock 'x', not held>"


def test_whoever_waits_gives_up_while_the_clock_stands_still(app: Flask) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with manual_clock(), app.app_context(), cache.lock("import"):
        with pytest.raises(CacheLockError, match=r"within 0\.05 seconds"):
            cache.lock("import", wait=0.05).__enter__()

        async def main() -> None:
            async with cache.lock("import", wait=0.05):
                pass

        with pytest.raises(CacheLockError, match=r"within 0\.05 seconds"):
            asyncio.run(main())
