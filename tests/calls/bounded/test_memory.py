"""What was called does not cost memory beyond what the cache holds, and nothing after `clear`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: What is done, and the megabytes that tables, and the caches of URLs that CPython and Werkzeug
#: have, may keep: less than the long ones would add, were they kept.
BOUNDS = {
    "long_arguments": 11,
    "long_keywords": 11,
    "long_queries": 20,
    "many_calls": 11,
    "instances": 11,
    "printed_instances": 11,
    "closures": 11,
    "applications": 11,
}


@pytest.fixture(scope="module")
def program() -> Iterator[subprocess.Popen[str]]:
    """It has imported what they need, and forks for each."""
    command = [sys.executable, str(Path(__file__).with_name("memory_use.py"))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.stdin.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("scenario", BOUNDS)
@pytest.mark.parametrize("kind", ["SimpleCache", "FileSystemCache", "RedisCache"])
def test_calls_leave_nothing_behind(
    request: pytest.FixtureRequest,
    program: subprocess.Popen[str],
    kind: str,
    scenario: str,
    tmp_path: Path,
) -> None:
    config: dict[str, Any] = {
        "CACHE_TYPE": kind,
        "CACHE_THRESHOLD": 100,
        "CACHE_DIR": str(tmp_path),
    }
    if kind == "RedisCache":
        server = request.getfixturevalue("redis_server")
        config |= {"CACHE_REDIS_HOST": "127.0.0.1", "CACHE_REDIS_PORT": server.port}
        config["CACHE_KEY_PREFIX"] = "memory_"
    assert program.stdin is not None
    assert program.stdout is not None
    print(json.dumps([scenario, config]), file=program.stdin, flush=True)
    used = json.loads(program.stdout.readline())
    assert "ended" not in used, used
    assert used["most"] < BOUNDS[scenario], used
    assert used["left"] < BOUNDS[scenario], used
    assert used["policies"] < 20, used
    assert used["states"] <= 3, used
    assert used["names"] < 20, used
