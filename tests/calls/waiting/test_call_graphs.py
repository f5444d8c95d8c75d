"""Memoized functions that call each other at random, in many threads at once: nobody waits for
ever, and all values are those of the functions alone."""

from __future__ import annotations

import asyncio
import contextvars
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache

SEED = int(os.environ.get("GRAPHS_SEED", "7"))
FUNCTIONS = 6
DEPTH = 5
#: Seconds; a call that waits for so long is in a circle that was not found.
LONG = 60


def worlds(kind: str, folder: Path, count: int) -> list[Cache]:
    """Caches of as many applications."""
    caches = []
    for number in range(count):
        config = {"CACHE_TYPE": kind, "CACHE_WAIT": LONG, "CACHE_DIR": str(folder / str(number))}
        caches.append(Cache(Flask(f"app{number}"), config=config))
    return caches


def graph(chance: random.Random) -> dict[int, list[tuple[int, int]]]:
    """Which functions each calls, and by how much less deep."""
    return {
        one: [
            (chance.randrange(FUNCTIONS), chance.choice((1, 1, 2)))
            for _ in range(chance.randrange(1, 4))
        ]
        for one in range(FUNCTIONS)
    }


def value(calls: dict[int, list[tuple[int, int]]], one: int, depth: int) -> int:
    """What a function returns."""
    if depth <= 0:
        return one
    return 1 + sum(value(calls, other, depth - less) for other, less in calls[one])


@pytest.mark.parametrize("kind", ["SimpleCache", "FileSystemCache"])
@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_threads(kind: str, seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    calls = graph(chance)
    caches = worlds(kind, tmp_path, 2)
    functions: dict[int, Callable[[int], int]] = {}

    def decorate(one: int) -> None:
        cache = caches[one % len(caches)]

        @cache.memoize(60, tags=["all"] if one % 3 == 0 else (), cache_none=True)
        def f(number: int, depth: int) -> int:
            if depth <= 0:
                return number
            return 1 + sum(functions[other](depth - less) for other, less in calls[number])

        def call(depth: int) -> int:
            with cache.app.app_context():
                return f(one, depth)

        functions[one] = call

    for one in range(FUNCTIONS):
        decorate(one)

    def work(number: int) -> None:
        own = random.Random((seed, number).__repr__())
        start.wait(LONG)
        for _ in range(60):
            one, depth = own.randrange(FUNCTIONS), own.randrange(DEPTH)
            assert functions[one](depth) == value(calls, one, depth)
            if own.random() < 0.1:
                cache = own.choice(caches)
                with cache.app.app_context():
                    own.choice((cache.clear, lambda cache=cache: cache.delete_tags("all")))()

    start = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, number) for number in range(8)]:
            done.result(LONG)


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_executors_that_are_handed_the_context(seed: int, tmp_path: Path) -> None:
    """Each call has its own computed in a pool, and waits for them."""
    calls = graph(random.Random(seed))
    (cache,) = worlds("SimpleCache", tmp_path, 1)
    pool = ThreadPoolExecutor(64)

    @cache.memoize(60)
    def f(one: int, depth: int) -> int:
        if depth <= 0:
            return one
        parts = [
            pool.submit(contextvars.copy_context().run, f, other, depth - less)
            for other, less in calls[one]
        ]
        return 1 + sum(part.result(LONG) for part in parts)

    with cache.app.app_context(), pool:
        for one in range(FUNCTIONS):
            assert f(one, 3) == value(calls, one, 3)


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_tasks(seed: int, tmp_path: Path) -> None:
    calls = graph(random.Random(seed))
    (cache,) = worlds("SimpleCache", tmp_path, 1)

    @cache.memoize(60)
    async def f(one: int, depth: int) -> int:
        await asyncio.sleep(0)
        if depth <= 0:
            return one
        parts = await asyncio.gather(*(f(other, depth - less) for other, less in calls[one]))
        return 1 + sum(parts)

    async def all_at_once() -> list[Any]:
        asked = [(one, DEPTH - 1) for one in range(FUNCTIONS)] * 3
        found = await asyncio.wait_for(asyncio.gather(*(f(*ask) for ask in asked)), LONG)
        return list(zip(asked, found, strict=True))

    with cache.app.app_context():
        for (one, depth), found in asyncio.run(all_at_once()):
            assert found == value(calls, one, depth)
