"""``CACHE_NEAR`` where servers, connections or processes are not there any more, or were never."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.backends._leasing.leases import Lease
from flask_caching.errors import CacheBackendError, CacheConfigError
from near import Nearby, is_current, without_hello
from redis_servers import RedisServer
from servers import wait_until

SILENCE = 0.3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path / "server")
    made.start()
    yield made
    made.kill()


def found(cache: Cache, key: str) -> Any:
    """What the cache answers; the error's class where it cannot."""
    try:
        return cache.get(key)
    except CacheBackendError as error:
        return type(error)


def test_a_restarted_server_is_believed(server: RedisServer) -> None:
    near = Nearby(server, CACHE_OPTIONS={"breaker_reset": 0.05})
    cache = near.start()
    cache.set("k", "old")
    near.settle(lambda: cache.get("k"))
    server.kill()
    wait_until(lambda: found(cache, "k") != "old", "the copy to be dropped")
    server.start()
    near.admin.set(f"{near.prefix}k", "1")
    wait_until(lambda: found(cache, "k") == 1, "the server to be asked")
    near.start()
    near.settle(lambda: cache.get("k"))
    assert cache.get("k") == 1


def test_a_frozen_server_is_heard_nothing_of(server: RedisServer) -> None:
    near = Nearby(
        server,
        CACHE_NEAR_SILENCE=SILENCE,
        CACHE_OPTIONS={"operation_timeout": 0.1, "breaker_reset": 0.05},
    )
    cache = near.start()
    cache.set("k", "old")
    near.settle(lambda: cache.get("k"))
    server.pause()
    try:
        wait_until(lambda: not is_current_quietly(cache), "the silence to be noticed")
        assert found(cache, "k") != "old"
    finally:
        server.resume()
    wait_until(lambda: is_current_quietly(cache), "the server to be heard of again")
    near.other().set("k", "new")
    wait_until(lambda: found(cache, "k") == "new", "the change to be seen")


def is_current_quietly(cache: Cache) -> bool:
    try:
        return is_current(cache)
    except CacheBackendError:
        return False


def cut(near: Nearby) -> None:
    """Cut the connection by which changes are heard of."""
    for client in near.admin.client_list():
        if "t" in client["flags"] or "B" in client["flags"]:
            near.admin.client_kill_filter(_id=client["id"])


def test_a_cut_connection_is_made_anew(server: RedisServer) -> None:
    near = Nearby(server)
    cache, other = near.start(), near.other()
    for number in range(5):
        other.set("k", number)
        wait_until(lambda number=number: cache.get("k") == number, "the change to be seen")
        near.settle(lambda: cache.get("k"))
        cut(near)
        other.set("k", -1 - number)
        wait_until(lambda number=number: cache.get("k") == -1 - number, "the change to be seen")
        near.start()


def test_a_server_that_follows_another_is_believed(server: RedisServer, tmp_path: Path) -> None:
    near = Nearby(server)
    cache = near.start()
    cache.set("k", "old")
    near.settle(lambda: cache.get("k"))
    other = RedisServer(tmp_path / "other")
    other.start()
    try:
        other.admin.set(f"{near.prefix}k", 1)
        near.admin.replicaof("127.0.0.1", other.port)
        wait_until(lambda: found(cache, "k") == 1, "the other's entries")
        wait_until(lambda: is_current_quietly(cache), "copies to be kept")
        near.settle(lambda: cache.get("k"))
        other.admin.set(f"{near.prefix}k", 2)
        wait_until(lambda: found(cache, "k") == 2, "the change to be seen")
    finally:
        other.kill()


def test_memoized_functions_outlive_all_of_it(server: RedisServer) -> None:
    near = Nearby(server, CACHE_OPTIONS={"breaker_reset": 0.05})
    cache, runs = near.start(), []

    @cache.memoize(60)
    def double(number: int) -> int:
        runs.append(number)
        return 2 * number

    near.settle(lambda: double(1))
    server.kill()
    wait_until(lambda: double(1) == 2 and len(runs) > 1, "the copy to be dropped")
    server.start()
    near.start()
    near.settle(lambda: double(1))
    before = len(runs)
    assert double(1) == 2
    assert len(runs) == before


@pytest.mark.parametrize("refusal", ["old", "no tracking"])
def test_a_server_that_tells_nothing_is_warned_of_once(
    server: RedisServer, refusal: str, caplog: pytest.LogCaptureFixture
) -> None:
    right = "-client|tracking" if refusal == "no tracking" else "+client"
    words = ["on", ">secret", "~*", "&*", "+@all", right]
    server.admin.execute_command("ACL SETUSER", "limited", *words)
    who = {"username": "limited", "password": "secret"}
    with contextlib.ExitStack() as stack, caplog.at_level(logging.WARNING, "flask_caching.engine"):
        port = stack.enter_context(without_hello(server.port)) if refusal == "old" else server.port
        near = Nearby(server, CACHE_REDIS_PORT=port, CACHE_OPTIONS=who)
        cache = near.cache

        def warnings() -> list[str]:
            cache.set("k", 1)
            assert cache.get("k") == 1
            texts = [record.getMessage() for record in caplog.records]
            return [text for text in texts if "CACHE_NEAR" in text]

        wait_until(warnings, "a warning")
        for _ in range(20):
            [warning] = warnings()
        assert "Redis 6" in warning
        assert "secret" not in warning
        health = cache.health().near
        assert health is not None
        assert not health.is_current
        assert health.trouble

        @cache.memoize(60)
        def double(number: int) -> int:
            return 2 * number

        assert [double(2), double(2)] == [4, 4]


def test_a_forked_child_hears_for_itself(server: RedisServer) -> None:
    near = Nearby(server)
    cache, other = near.start(), near.other()
    cache.set("k", 1)
    near.settle(lambda: cache.get("k"))
    child = os.fork()
    if not child:
        code = 1
        try:
            assert not cache.cache._quick.state()[0]
            assert cache.get("k") == 1
            near.start()
            near.settle(lambda: cache.get("k"))
            other.set("k", 2)
            wait_until(lambda: cache.get("k") == 2, "the change to be seen")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    wait_until(lambda: cache.get("k") == 2, "the change to be seen")
    assert is_current(cache)


PRELOADED = """
    import os, sys, time, types
    from near import Nearby
    import redis

    server = types.SimpleNamespace(port=int(sys.argv[1]), admin=redis.Redis(port=int(sys.argv[1])))
    Nearby(server).start()
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""


def test_a_killed_parent_is_sent_nothing_any_more(server: RedisServer) -> None:
    """A child does not keep open what its parent heard of changes by."""
    command = [sys.executable, "-c", textwrap.dedent(PRELOADED), str(server.port)]
    parent = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            assert len(listeners(server)) == 1
            parent.kill()
            wait_until(lambda: not listeners(server), "the connection to be closed")
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


def listeners(server: RedisServer) -> list[int]:
    """The connections by which changes are heard of, the oldest first."""
    clients = server.admin.client_list()
    return sorted(int(client["id"]) for client in clients if "B" in client["flags"])


def test_prefixes_are_heard_of_each_by_itself(server: RedisServer) -> None:
    near = Nearby(server)
    cache = near.start()
    cache.cache.key_prefix = f"second {near.prefix}"
    near.start()
    first, _ = listeners(server)
    # The first prefix finds no way back, and the second goes on.
    near.admin.config_set("maxclients", len(near.admin.client_list()) - 1)
    near.admin.client_kill_filter(_id=first)
    cache.set("k", 1)
    near.settle(lambda: cache.get("k"))


def test_copies_that_are_gone_are_heard_of_no_more(server: RedisServer) -> None:
    near = Nearby(server, CACHE_NEAR_SILENCE=SILENCE)
    near.start()
    assert len(listeners(server)) == 1
    del near
    gc.collect()
    wait_until(lambda: not listeners(server), "the connection to be closed")


GREENLETS = """
    from gevent import monkey; monkey.patch_all()
    import sys, types, gevent
    from near import Nearby
    from redis_servers import RedisServer
    from servers import wait_until
    import redis

    server = types.SimpleNamespace(port=int(sys.argv[1]), admin=redis.Redis(port=int(sys.argv[1])))
    near = Nearby(server)
    cache, other = near.start(), near.other()
    for number in range(20):
        other.set("k", number)
        wait_until(lambda: cache.get("k") == number, "the change to be seen")
        near.settle(lambda: cache.get("k"))
    print("seen")
"""


def test_greenlets_share_copies(server: RedisServer) -> None:
    pytest.importorskip("gevent")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(GREENLETS), str(server.port)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "seen\n", done.stderr


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"CACHE_TYPE": "MemcachedCache"}, "Memcached tells nobody what changes"),
        ({"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": "x"}, "a file tells nobody"),
        ({"CACHE_TYPE": "SimpleCache"}, "the memory of this process already"),
        ({"CACHE_TYPE": "SharedCache", "CACHE_DIR": "x"}, "the memory of this machine already"),
        ({"CACHE_TYPE": "cachelib.SimpleCache"}, "nobody tells this process"),
        ({"CACHE_KEY_PREFIX": lambda: "p"}, "CACHE_KEY_PREFIX that is a string"),
        ({"CACHE_OPTIONS": {"retry_on_error": [OSError]}}, "connections that are the cache's own"),
        ({"CACHE_NEAR": "maybe"}, "CACHE_NEAR must be True or False"),
        ({"CACHE_NEAR_THRESHOLD": -1}, "CACHE_NEAR_THRESHOLD must be a whole number"),
        ({"CACHE_NEAR_MAX_BYTES": "much"}, "CACHE_NEAR_MAX_BYTES must be a whole number"),
        ({"CACHE_NEAR_TIMEOUT": 0}, "CACHE_NEAR_TIMEOUT must be a positive number"),
        ({"CACHE_NEAR_SILENCE": 0}, "CACHE_NEAR_SILENCE must be a positive number"),
        ({"CACHE_OPTIONS": {"near_timeout": -1}}, "near_timeout"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*redis-py does the work")
def test_what_cannot_be_is_said(config: dict[str, Any], message: str) -> None:
    settings = {"CACHE_TYPE": "RedisCache", "CACHE_NEAR": "on", **config}
    with pytest.raises(CacheConfigError, match=message):
        Cache(Flask("near"), config=settings)


def test_nothing_is_copied_of_nothing() -> None:
    settings = {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True, "CACHE_NEAR": True}
    cache = Cache(Flask("near"), config=settings)
    assert cache.get("k") is None


def test_a_client_object_has_no_copies(redis_server: RedisServer) -> None:
    settings = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_HOST": redis_server.admin,
        "CACHE_NEAR": True,
    }
    with pytest.raises(CacheConfigError, match="a client object"):
        Cache(Flask("near"), config=settings)


def test_a_server_that_hangs_up_is_warned_of(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A proxy that closes the connection where it is asked for what it does not know."""
    with (
        without_hello(server.port, hangs_up=True) as port,
        caplog.at_level(logging.WARNING, "flask_caching.engine"),
    ):
        cache = Nearby(server, CACHE_REDIS_PORT=port).cache

        def warned() -> bool:
            assert cache.get("k") is None
            return any("nothing is heard" in record.getMessage() for record in caplog.records)

        wait_until(warned, "a warning")


def test_a_lease_is_asked_of_the_server(server: RedisServer) -> None:
    near = Nearby(server)
    backend = near.start().cache
    lease = Lease(backend, "leased", 60)
    assert lease.take()
    near.settle(lambda: backend.get("leased"))
    for _ in range(100):
        # By another client, whose change is not heard of yet.
        near.admin.delete(f"{near.prefix}leased")
        assert not lease.is_held()
        assert lease.take()
        assert lease.is_held()
        backend.get("leased")


def test_a_lost_server_is_warned_of_once_where_copies_are_wanted(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"CACHE_OPTIONS": {"breaker_reset": 0.05}}
    left = Nearby(server, CACHE_REDIS_HOST="localhost", **options)
    wanted = Nearby(server, CACHE_REDIS_HOST="127.0.0.1", **options)
    left.start()
    wanted.start()
    with caplog.at_level(logging.DEBUG, "flask_caching.engine"):
        server.kill()

        def said(what: str, host: str) -> list[str]:
            found(wanted.cache, "k")
            texts = [record.getMessage() for record in caplog.records]
            return [text for text in texts if what in text and host in text]

        def were_many() -> bool:
            hosts = ("localhost", "127.0.0.1")
            return all(len(said("not heard of any more", host)) > 30 for host in hosts)

        wait_until(were_many, "many attempts", patience=120)
        assert len(said("CACHE_NEAR", "127.0.0.1")) == 1
        assert not said("CACHE_NEAR", "localhost")
