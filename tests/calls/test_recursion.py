"""A recursion through cached functions has its result or a RecursionError, and never crashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: The function calls itself: only its own frames count, as without a cache.
OF_FUNCTIONS = [
    "memoized",
    "asking",
    "refreshed",
    "bypassed",
    "method",
    "by_name",
    "view",
    "awaited",
]
#: Code that the cache calls in between takes of the C stack.
OF_CALLBACKS = [
    "key",
    "key_prefix",
    "staleness",
    "response_filter",
    "printed",
    "identified",
    "pickled",
    "signal",
    "fragment",
]


def outcome(kind: str, depth: int, stack: int) -> str:
    program = Path(__file__).with_name("recursions.py")
    command = [sys.executable, str(program), kind, str(depth), str(stack)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, f"ended by {ended.returncode}: {ended.stderr[-2000:]}"
    return ended.stdout.strip()


@pytest.mark.parametrize("kind", OF_FUNCTIONS)
def test_a_deep_recursion_of_functions_has_its_result(kind: str) -> None:
    assert outcome(kind, 470, 768) == "470"
    # CPython 3.12 and 3.13 count what a plain decorator takes of the C stack, too.
    assert outcome(kind, 5000, 0) in ("5000", "RecursionError")


@pytest.mark.parametrize("kind", OF_CALLBACKS)
@pytest.mark.parametrize(("depth", "stack"), [(470, 768), (5000, 0)])
def test_a_deep_recursion_of_callbacks_is_no_crash(kind: str, depth: int, stack: int) -> None:
    if kind == "printed":
        # Each level prints, once more, all that are below it.
        depth = min(depth, 1000)
    assert outcome(kind, depth, stack) in (str(depth), "RecursionError")


@pytest.mark.parametrize("kind", OF_CALLBACKS)
def test_a_shallow_recursion_has_its_result(kind: str) -> None:
    assert outcome(kind, 8, 768) == "8"
