"""Calls without number, no two of them alike, leave nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

#: How many of each: enough for what a call leaves in a table to come to more than the bounds.
KINDS = {
    "calls": 25_000,
    "keywords": 12_500,
    "objects": 5_000,
    "classes": 2_500,
    "instances": 10_000,
    "deleted_instances": 5_000,
    "closures": 2_500,
    "failures": 15_000,
    "own_keys": 25_000,
    "proxies": 25_000,
    "computed_values": 15_000,
    "tags": 5_000,
    "unknown_tags": 25_000,
    "fragments": 10_000,
    "pages": 2_500,
}

#: Bytes, and objects, by which a full table may differ from another, or malloc from itself.
MOST = {"bytes": 650_000, "objects": 2_000}


@pytest.fixture(scope="module")
def program() -> Iterator[subprocess.Popen[str]]:
    """It has imported what they need, and forks for each."""
    command = [sys.executable, str(Path(__file__).with_name("distinct_calls.py"))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.stdin.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left(program: subprocess.Popen[str], kind: str) -> None:
    assert program.stdin is not None
    assert program.stdout is not None
    print(json.dumps([kind, KINDS[kind]]), file=program.stdin, flush=True)
    added = json.loads(program.stdout.readline())
    assert "ended" not in added, added
    assert all(added[what] < most for what, most in MOST.items()), added
