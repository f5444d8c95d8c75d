"""Processes read through copies nearby while others write, and servers and connections fail."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis
from compat.reference import Unavailable, Unsupported, reference_python
from near import Nearby
from redis_servers import RedisServer
from servers import program

PROGRAMS = Path(__file__).parents[2] / "support" / "among_processes"
READERS = 8
#: As many as the machine has time for.
SECONDS = float(os.environ.get("SOAK_SECONDS", "8"))
#: After a silence of half a second, and what a busy machine adds, nobody may read an old value.
MOST = 1.5


def cut(server: RedisServer) -> None:
    """Cut the connections by which changes are heard of."""
    for client in server.admin.client_list():
        if "B" in client["flags"]:
            server.admin.client_kill_filter(_id=client["id"])


def freeze(server: RedisServer) -> None:
    server.pause()
    time.sleep(1)
    server.resume()


def restart(server: RedisServer) -> None:
    server.kill()
    server.start()


def empty(server: RedisServer) -> None:
    server.admin.flushall()


def evict(server: RedisServer) -> None:
    """Let the server do without some of what it has."""
    server.admin.config_set("maxmemory-policy", "allkeys-random")
    server.admin.config_set("maxmemory", server.admin.info("memory")["used_memory"] - 1000)
    time.sleep(0.05)
    server.admin.config_set("maxmemory", 0)


FAULTS: list[Callable[[RedisServer], None]] = [cut, empty, evict, cut, freeze, evict, cut, restart]


def test_nobody_reads_what_is_old(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    near = Nearby(server, "checked:")
    with contextlib.ExitStack() as stack:
        stack.callback(server.kill)
        readers = [stack.enter_context(_reader(server.port)) for _ in range(READERS)]
        for reader in readers:
            stack.callback(reader.kill)
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n"
        writer = stack.enter_context(_reference(server.port))
        _write(server, near, readers, writer)
        for reader in readers:
            out, _ = reader.communicate(timeout=60)
            hits, copies, wrong = out.split(" ", 2)
            assert wrong == "[]\n"
            assert int(hits) > 0
            assert int(copies) > 0


def _reader(port: int) -> subprocess.Popen[str]:
    program = [sys.executable, str(PROGRAMS / "near_reader.py"), str(port)]
    return subprocess.Popen(
        [*program, "checked:", str(SECONDS), str(MOST)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def _reference(port: int) -> Iterator[subprocess.Popen[str] | None]:
    """Flask-Caching as published, where there is one for this Flask."""
    try:
        python = reference_python()
    except (Unavailable, Unsupported):
        yield None
        return
    command = [python, PROGRAMS / "near_writer.py", str(port), "checked:"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _write(
    server: RedisServer,
    near: Nearby,
    readers: list[subprocess.Popen[str]],
    reference: subprocess.Popen[str] | None,
) -> None:
    """Write ever larger numbers by several clients, and let something fail now and then."""
    chance, faults = random.Random(7), itertools.cycle(FAULTS)
    other = near.other(CACHE_OPTIONS={"breaker_reset": 0.01, "operation_timeout": 0.2})

    def by_redis_py(key: str, number: int) -> None:
        near.admin.set(f"{near.prefix}{key}", number)

    def by_redis_cli(key: str, number: int) -> None:
        command = [program("redis-cli"), "-p", str(server.port), "set", near.prefix + key]
        done = subprocess.run([*command, str(number)], capture_output=True, check=False)
        if done.stdout != b"OK\n":
            raise RuntimeError(done.stderr)

    def by_flask_caching(key: str, number: int) -> None:
        assert reference is not None
        assert reference.stdin is not None
        assert reference.stdout is not None
        reference.stdin.write(f"{key} {number}\n")
        reference.stdin.flush()
        if reference.stdout.readline() != "True\n":
            raise RuntimeError("Flask-Caching has not written it")

    writers: list[Callable[[str, int], Any]] = [
        *(other.set, near.cache.set, by_redis_py) * 3,
        *([] if reference is None else [by_flask_caching] * 3),
        by_redis_cli,
    ]
    end, fail = time.monotonic() + SECONDS - 1, time.monotonic() + 1
    for number in itertools.count():
        if time.monotonic() > end:
            return
        key = f"k{chance.randrange(8)}"
        try:
            chance.choice(writers)(key, number)
        except (redis.RedisError, RuntimeError):
            # Whether it was written is not known.
            continue
        told = f"{key} {number} {time.monotonic()}\n"
        for reader in readers:
            assert reader.stdin is not None
            reader.stdin.write(told)
            reader.stdin.flush()
        time.sleep(chance.random() * 0.01)
        if time.monotonic() > fail:
            next(faults)(server)
            fail = time.monotonic() + 0.5
