"""One deadline an operation, whatever it waits for, and however many servers it asks."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import busy
import pytest
from busy import Stopwatch
from flask_caching.backends._bytes.owed import owe_guarded
from flask_caching.backends.memcache import (
    MemcachedCache,
    SASLMemcachedCache,
    SpreadSASLMemcachedCache,
)
from flask_caching.backends.rediscache import RedisCache, RedisSentinelCache
from flask_caching.errors import CacheBackendError
from memcached_servers import MemcachedServer
from network import elapsed
from redis_servers import RedisServer

#: Short, so that the tests are; long enough for a busy machine.
DEADLINE = 0.8
#: What may come on top of it; less than a second deadline.
SLACK = 0.75


@contextlib.contextmanager
def silent(count: int) -> Iterator[list[int]]:
    """Servers that let clients connect and never say a word; their ports."""
    with contextlib.ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        yield [listener.getsockname()[1] for listener in listeners]


KEYS = [f"key{number}" for number in range(60)]

OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "get_many": lambda cache: cache.get_many(*KEYS),
    "set_many": lambda cache: cache.set_many(dict.fromkeys(KEYS, 1)),
    "delete_many": lambda cache: cache.delete_many(*KEYS),
    "clear": lambda cache: cache.clear(),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", [MemcachedCache, SASLMemcachedCache, SpreadSASLMemcachedCache])
def test_five_servers_that_hang_cost_one_deadline(
    kind: type[MemcachedCache], operation: str
) -> None:
    with silent(5) as ports:
        servers = [f"127.0.0.1:{port}" for port in ports]
        cache = kind(servers, operation_timeout=DEADLINE)
        start = time.perf_counter()
        took = elapsed(lambda: OPERATIONS[operation](cache))
        assert took < DEADLINE + SLACK
        assert time.perf_counter() - start > DEADLINE * 0.8


@pytest.mark.parametrize("kind", [MemcachedCache, SpreadSASLMemcachedCache])
def test_going_on_with_the_other_keys_costs_one_deadline_too(
    tmp_path: Path, kind: type[MemcachedCache]
) -> None:
    with silent(2) as ports, contextlib.ExitStack() as stack:
        server = MemcachedServer(tmp_path / "memcached")
        server.start()
        stack.callback(server.kill)
        servers = [f"127.0.0.1:{port}" for port in ports]
        options: dict[str, Any] = {"operation_timeout": DEADLINE, "breaker_failures": 0}
        if kind is SpreadSASLMemcachedCache:
            options["maxchunk"] = 2
        cache = kind([*servers, server.address], ignore_delete_many_errors=True, **options)
        watch = Stopwatch()
        gone = cache.delete_many(*KEYS)
        assert watch.seconds() < DEADLINE + SLACK
        # Those of the server that answers, and only they.
        assert 0 < len(gone) < len(KEYS)
        alone = kind([*servers, server.address], **options)
        assert alone.delete_many(*gone) == gone


def test_a_server_that_hangs_takes_no_time_from_the_others(tmp_path: Path) -> None:
    with silent(2) as ports, contextlib.ExitStack() as stack:
        server = MemcachedServer(tmp_path / "memcached")
        server.start()
        stack.callback(server.kill)
        # Placed by the order of the addresses: the one that answers is neither first nor last.
        servers = [f"127.0.0.1:{ports[0]}", server.address, f"127.0.0.1:{ports[1]}"]
        cache = MemcachedCache(servers, operation_timeout=DEADLINE)
        assert elapsed(lambda: cache.set_many(dict.fromkeys(KEYS, 1))) < DEADLINE + SLACK
        answers = []
        for key in KEYS:
            with contextlib.suppress(CacheBackendError):
                answers.append(cache.get(key))
        assert len(answers) > 5, "it is not taken for one that hangs"
        assert set(answers) == {1}, "it did what it was asked"


def test_what_a_server_that_hangs_is_owed_takes_no_time_from_the_others(tmp_path: Path) -> None:
    with silent(1) as (port,), contextlib.ExitStack() as stack:
        server = MemcachedServer(tmp_path / "memcached")
        server.start()
        stack.callback(server.kill)
        servers = [f"127.0.0.1:{port}", server.address]
        cache = MemcachedCache(servers, operation_timeout=DEADLINE, breaker_failures=0)
        near, away = [], []
        for number in range(10):
            try:
                cache.set(f"key{number}", number)
            except CacheBackendError:
                away.append(f"key{number}")
            else:
                near.append(f"key{number}")
            if near and away:
                break
        for _ in range(3):
            # The key to delete cannot be made: what it is made of is on the server that hangs.
            assert owe_guarded(cache, "prefix", away[:1])
            assert cache.get(near[0]) is not None
            with pytest.raises(CacheBackendError):
                cache.get("prefix and more")


@pytest.mark.parametrize("server_kind", ["redis", "memcached"])
def test_readers_of_an_owed_key_wait_for_one_deadline_together(
    tmp_path: Path, server_kind: str
) -> None:
    options = {"operation_timeout": DEADLINE, "breaker_failures": 0}
    server: RedisServer | MemcachedServer
    cache: RedisCache | MemcachedCache
    if server_kind == "redis":
        server = RedisServer(tmp_path / "redis")
        cache = RedisCache("127.0.0.1", server.port, **options)  # type: ignore[arg-type]
    else:
        server = MemcachedServer(tmp_path / "memcached")
        cache = MemcachedCache([server.address], pool_size=16, **options)  # type: ignore[arg-type]
    server.start()
    try:
        cache.set("k", "old")
        server.pause()
        with pytest.raises(CacheBackendError):
            cache.delete("k")
        took: list[float] = []
        readers = [
            threading.Thread(target=lambda: took.append(elapsed(lambda: cache.get("k"))))
            for _ in range(8)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert len(took) == 8
        assert max(took) < DEADLINE + SLACK
        server.resume()
        assert cache.get("k") is None
    finally:
        server.kill()


def test_threads_that_look_for_a_master_wait_for_one_deadline_together() -> None:
    with silent(3) as ports:
        sentinels = [("127.0.0.1", port) for port in ports]
        cache = RedisSentinelCache(sentinels, operation_timeout=DEADLINE, breaker_failures=0)
        took: list[float] = []
        readers = [
            threading.Thread(target=lambda: took.append(elapsed(lambda: cache.get("k"))))
            for _ in range(8)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert len(took) == 8
        assert max(took) < DEADLINE + SLACK


#: Runs where the only name server is on this machine, and never answers.
DEAD_RESOLVER = """
import contextlib, os, socket, subprocess, sys
from flask_caching.backends.memcache import MemcachedCache
from flask_caching.backends.rediscache import RedisCache
from flask_caching.errors import CacheBackendError

sys.path.append(sys.argv[3])
from busy import Stopwatch
with contextlib.suppress(ImportError):
    import redis  # whose errors ours are, where it is there

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
resolver.bind(("127.0.0.1", 53))
deadline, slack = float(sys.argv[1]), float(sys.argv[2])
options = {"operation_timeout": deadline, "breaker_failures": 0}
caches = [
    MemcachedCache(["cache.example:11211"], **options),
    MemcachedCache(["one.example", "two.example", "three.example"], **options),
    RedisCache("cache.example", **options),
]
for cache in caches:
    for _ in range(3):
        watch = Stopwatch()
        try:
            cache.get_many(*(f"key{number}" for number in range(20)))
        except CacheBackendError as error:
            assert ".example" in str(error), error
        else:
            raise AssertionError("there is no such server")
        took = watch.seconds()
        assert took < deadline + slack, took
# One thread a name, not one a call.
names = [open(f"/proc/self/task/{task}/comm").read().strip()
         for task in os.listdir("/proc/self/task")]
assert names.count("cache-resolve") <= 4, names
print("held")
# The system's resolver is still waiting in threads of its own.
sys.stdout.flush()
os._exit(0)
"""


def test_a_resolver_that_does_not_answer_costs_one_deadline(tmp_path: Path) -> None:
    if any(shutil.which(tool) is None for tool in ("unshare", "ip", "mount")):
        pytest.skip("needs unshare, ip and mount, to have a name server of its own")
    config = tmp_path / "resolv.conf"
    config.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:1\n")
    switch = tmp_path / "nsswitch.conf"
    switch.write_text("hosts: files dns\n")
    script = textwrap.dedent(DEAD_RESOLVER)
    mounts = f"mount --bind {config} /etc/resolv.conf"
    if Path("/etc/nsswitch.conf").exists():
        mounts += f" && mount --bind {switch} /etc/nsswitch.conf"
    enter = ["unshare", "--map-root-user", "--mount", "--net", "sh", "-c"]
    if subprocess.run([*enter, f"{mounts} && ip link set lo up"], capture_output=True).returncode:
        pytest.skip("namespaces are not allowed here")
    command = [*enter, f'{mounts} && exec "$@"', "sh", sys.executable, "-c", script]
    done = subprocess.run(
        [*command, str(DEADLINE), str(SLACK), str(Path(busy.__file__).parent)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "held\n", done.stderr
