"""What the tests of the contract are written with."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["in_threads", "mutate", "plain_values", "raises", "same"]


def plain_values() -> Iterator[Any]:
    yield from ("", "text", "日本 \0 \r\n", "x" * 10_000)
    yield from (b"", b"\0\xff bytes", 0, 1, -1, 2**31, 2**63, -(2**200), 0.5, float("inf"), -0.0)
    yield from (True, False, None)
    yield from ([], {}, (), [1, "a", None, True], {"a": 1, "b": [2, {"c": 3.5}]})
    yield from ((1, (2, [3])), set(), {1, 2}, frozenset({"a"}), {"nested": ({"set": {1}},)})


def same(found: Any, value: Any) -> bool:
    """Whether two values are equal and of the same types all through."""
    if isinstance(value, BaseException):
        return type(found) is type(value) and found.args == value.args
    return type(found) is type(value) and repr(found) == repr(value)


def mutate(value: dict[str, Any]) -> None:
    value["list"].append(2)
    value["dict"]["set"].add(2)
    value["dict"]["new"] = 2
    value["new"] = 2


def in_threads(number: int, work: Callable[[int], Any]) -> list[Any]:
    """What ``work`` returned in ``number`` threads that began together."""
    barrier = threading.Barrier(number)

    def begin(n: int) -> Any:
        barrier.wait()
        return work(n)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(begin, range(number)))


@contextlib.contextmanager
def raises(exception: type[BaseException]) -> Iterator[None]:
    try:
        yield
    except exception:
        return
    raise AssertionError(f"{exception.__name__} was not raised")
