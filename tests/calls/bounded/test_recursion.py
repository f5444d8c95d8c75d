"""A recursion through cached functions has its result or a RecursionError, and never crashes."""

from __future__ import annotations

import json
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


#: A thread's stack, in kB, and the depth for it; the main thread's, and what is far too deep.
SMALL, MAIN = (470, 768), (5000, 0)

#: Each level prints, once more, all that are below it: twice as deep takes five times as long.
PRINTED = 600

Case = tuple[str, int, int]
CASES: list[Case] = [
    *((kind, *size) for kind in OF_FUNCTIONS for size in (SMALL, MAIN)),
    *((kind, *size) for kind in OF_CALLBACKS for size in (SMALL, MAIN, (8, 768))),
    ("printed", PRINTED, 0),
]
CASES.remove(("printed", *MAIN))


@pytest.fixture(scope="module")
def outcomes() -> dict[Case, str]:
    """What each has printed. One process has imported what they need, and forks."""
    program = Path(__file__).with_name("recursions.py")
    command = [sys.executable, str(program), json.dumps(CASES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    outcomes = dict(zip(CASES, json.loads(done.stdout), strict=True))
    return {
        case: printed.strip() if ended == 0 else f"ended by {ended}: {done.stderr[-2000:]}"
        for case, (ended, printed) in outcomes.items()
    }


@pytest.mark.parametrize("kind", OF_FUNCTIONS)
def test_a_deep_recursion_of_functions_has_its_result(kind: str, outcomes: dict[Case, str]) -> None:
    assert outcomes[kind, *SMALL] == "470"
    # CPython 3.12 and 3.13 count what a plain decorator takes of the C stack, too.
    assert outcomes[kind, *MAIN] in ("5000", "RecursionError")


@pytest.mark.parametrize("kind", OF_CALLBACKS)
@pytest.mark.parametrize(("depth", "stack"), [SMALL, MAIN])
def test_a_deep_recursion_of_callbacks_is_no_crash(
    kind: str, depth: int, stack: int, outcomes: dict[Case, str]
) -> None:
    if kind == "printed":
        depth = min(depth, PRINTED)
    assert outcomes[kind, depth, stack] in (str(depth), "RecursionError")


@pytest.mark.parametrize("kind", OF_CALLBACKS)
def test_a_shallow_recursion_has_its_result(kind: str, outcomes: dict[Case, str]) -> None:
    assert outcomes[kind, 8, 768] == "8"
