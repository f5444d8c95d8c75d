"""What does a hit cost on Redis through a copy nearby, and how soon is a change seen?

``python -m stores.bench_near PORT`` in ``benches/`` answers the second: it asks a busy process, on
the Redis server at PORT, how long after another process began a change it still reads the old
value.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask_caching import Cache
from question import Question, Statement, make

from stores.bench_redis import PORT

#: Seconds in which copies are kept, and what was written just now is heard of.
_PATIENCE = 5.0


def _near_cache(**config: Any) -> tuple[Flask, Cache]:
    settings = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_PORT": int(os.environ[PORT]),
        "CACHE_KEY_PREFIX": f"bench_near{os.getpid()}_",
        "CACHE_NEAR": True,
        **config,
    }
    return make(**settings)


def _simple_cache() -> tuple[Flask, Cache]:
    return make()


def _settled(cache: Cache, statement: Statement) -> Statement:
    """The statement, when copies answer it; Flask-Caching has none."""
    until = time.monotonic() + _PATIENCE
    while hasattr(cache, "health") and time.monotonic() < until:
        exec(statement.code, dict(statement.names))
        near = cache.health().near
        if near is None or (near.is_current and near.entries > 0):
            break
        time.sleep(0.01)
    time.sleep(0.1)
    for _ in range(3):
        exec(statement.code, dict(statement.names))
    return statement


def _asks(make_cache: Callable[[], tuple[Flask, Cache]]) -> list[Callable[[], Statement]]:
    def memoized() -> Statement:
        cache = make_cache()[1]

        @cache.memoize(timeout=300)
        def add(a: int, b: int) -> int:
            return a + b

        return _settled(cache, Statement("add(3, 4)", {"add": add}))

    def got() -> Statement:
        cache = make_cache()[1]
        cache.set("key", "a value")
        return _settled(cache, Statement("cache.get('key')", {"cache": cache}))

    def viewed() -> Statement:
        app, cache = make_cache()

        @app.get("/")
        @cache.cached(timeout=300)
        def view() -> str:
            return "a page"

        app.test_request_context("/").push()
        return _settled(cache, Statement("view()", {"view": view}))

    def rendered() -> Statement:
        app, cache = make_cache()
        app.test_request_context("/").push()
        template = app.jinja_env.from_string("{% cache 300, 'name' %}text{% endcache %}")
        return _settled(cache, Statement("template.render()", {"template": template}))

    return [memoized, got, viewed, rendered]


_near, _simple = _asks(_near_cache), _asks(_simple_cache)

QUESTIONS = [
    question
    for at, (name, ratio) in enumerate(
        [("memoize hit", 200), ("get of a str", None), ("view hit", None), ("fragment hit", None)]
    )
    for question in (
        Question(f"SimpleCache {name}", _simple[at]),
        Question(
            f"Redis {name}, copy nearby",
            _near[at],
            ratio=ratio,
            at_most_twice=f"SimpleCache {name}",
            needs=PORT,
        ),
    )
]


def _change(port: int, prefix: str, times: int, pipe: Any) -> None:
    os.environ[PORT] = str(port)
    cache = _near_cache(CACHE_KEY_PREFIX=prefix, CACHE_NEAR=False)[1]
    # What is needed only once is no part of a change.
    cache.set("key", -1)
    pipe.send(None)
    for number in range(times):
        pipe.recv()
        begun = time.monotonic()
        cache.set("key", number)
        pipe.send(begun)


def seen_after(port: int, times: int, threads: int = 1) -> list[float]:
    """How many seconds after each of some changes began a busy process read the old value last.

    :param times: how many changes.
    :param threads: how many of the process's threads are busy with something else.
    """
    os.environ[PORT] = str(port)
    prefix = f"bench_seen{os.getpid()}_"
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    changer = context.Process(target=_change, args=(port, prefix, times, other), daemon=True)
    changer.start()
    pipe.recv()
    cache = _near_cache(CACHE_KEY_PREFIX=prefix)[1]
    _settled(cache, Statement("cache.get('key')", {"cache": cache}))
    over = threading.Event()

    def keep_busy() -> None:
        while not over.is_set():
            sum(range(1000))

    for _ in range(threads):
        threading.Thread(target=keep_busy, daemon=True).start()
    waits = []
    for number in range(times):
        # A copy is kept, and stays: what was written before has been heard of.
        for _ in range(3):
            cache.get("key")
            time.sleep(0.02)
        pipe.send(None)
        last = 0.0
        while cache.get("key") != number:
            last = time.monotonic()
        waits.append(max(0.0, last - pipe.recv()))
    over.set()
    return sorted(waits)


if __name__ == "__main__":
    for busy in (0, 1, 3):
        found = seen_after(int(sys.argv[1]), times=200, threads=busy)
        at = {part: found[min(int(part * len(found)), len(found) - 1)] for part in (0.5, 0.99, 1)}
        said = ", ".join(f"{part:.0%} within {wait * 1e3:.2f} ms" for part, wait in at.items())
        print(f"{busy} more threads are busy: of the changes were seen {said}")
