"""Random programs do the same under Flask-Caching and under this package.

``COMPAT_SEED`` chooses other programs, ``COMPAT_PROGRAMS`` how many for each kind of world.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from .conftest import Worker
from .programs import Generator, Program, smallest

SEED = int(os.environ.get("COMPAT_SEED", "20240229"))
PROGRAMS = int(os.environ.get("COMPAT_PROGRAMS", "12"))
LENGTH = 120


@pytest.mark.parametrize("subclass", [False, True], ids=["plain", "subclass"])
@pytest.mark.parametrize(
    "backend", ["SimpleCache", "FileSystemCache", "RedisCache", "MemcachedCache"]
)
def test_random_programs_do_the_same(
    backend: str,
    subclass: bool,
    reference: Worker,
    ours: Worker,
    request: pytest.FixtureRequest,
) -> None:
    settings: dict[str, Any] = {"CACHE_TYPE": backend}
    if backend == "RedisCache":
        settings["CACHE_REDIS_PORT"] = request.getfixturevalue("redis_server").port
    if backend == "MemcachedCache":
        if not reference.call("stored_table", "has_pylibmc"):
            pytest.skip("the reference has no pylibmc, which its Memcached backend needs")
        port = request.getfixturevalue("memcached_server").port
        settings["CACHE_MEMCACHED_SERVERS"] = [f"127.0.0.1:{port}"]

    def outcomes(program: Program) -> tuple[list[object], list[object]]:
        arguments = (settings, subclass, program)
        return reference.call("world", "run", *arguments), ours.call("world", "run", *arguments)

    def differs(program: Program) -> bool:
        theirs, own = outcomes(program)
        return theirs != own

    for seed in range(SEED, SEED + PROGRAMS):
        program = Generator(seed, backend).program(LENGTH)
        if differs(program):
            program = smallest(program, differs)
            theirs, own = outcomes(program)
            steps = "\n".join(
                f"{step}\n    2.5.1 {their}\n    ours  {our}"
                for step, their, our in zip(program, theirs, own, strict=True)
            )
            pytest.fail(f"seed {seed}:\n{steps}")
