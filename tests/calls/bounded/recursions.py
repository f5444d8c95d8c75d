"""Recursions through cached functions, each in a process of its own; for ``test_recursion.py``.

The argument is JSON: for each its kind, its depth, and the size of the stack in kB (0: the main
thread's). Prints for each, in JSON, how its process ended and what it printed: the result, or
RecursionError.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any

from flask import Flask, render_template_string
from flask_caching import Cache
from flask_caching.signals import cache_memoize_miss

app = Flask("recursive")
cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 100_000})

Recursion = Callable[[int], Any]


def counting(decorate: Callable[..., Any]) -> Any:
    @decorate
    def function(n: int) -> int:
        return 0 if n == 0 else function(n - 1) + 1

    return function


def memoized() -> Recursion:
    return counting(cache.memoize())


def asking() -> Recursion:
    return counting(cache.memoize(unless=lambda: False, forced_update=lambda: False))


def refreshed() -> Recursion:
    return counting(cache.memoize(forced_update=lambda: True))


def bypassed() -> Recursion:
    return counting(cache.memoize(unless=lambda: True))


def method() -> Recursion:
    class Kind:
        def __repr__(self) -> str:
            return "Kind()"

        @cache.memoize()
        def method(self, n: int) -> int:
            return 0 if n == 0 else self.method(n - 1) + 1

    return Kind().method


def by_name() -> Recursion:
    @cache.memoize()
    def function(*, n: int) -> int:
        return 0 if n == 0 else function(n=n - 1) + 1

    return lambda n: function(n=n)


def view() -> Recursion:
    return counting(cache.cached(make_cache_key=str))


def awaited() -> Recursion:
    @cache.memoize()
    async def function(n: int) -> int:
        return 0 if n == 0 else await function(n - 1) + 1

    async def main(n: int) -> int:
        return await function(n)

    return lambda n: asyncio.run(main(n))


def fragment() -> Recursion:
    source = (
        "{% macro m(n) %}{% cache 5, 'f', n %}{% if n %}{{ m(n - 1) }}{% endif %}."
        "{% endcache %}{% endmacro %}{{ m(n) }}"
    )

    def render(n: int) -> int:
        with app.test_request_context():
            return len(render_template_string(source, n=n)) - 1

    return render


# Code of the application that the cache calls, and that calls a cached function.


def key() -> Recursion:
    @cache.cached(make_cache_key=lambda n: f"k{function(n - 1)}" if n else "k")
    def function(n: int) -> int:
        return n

    return function


def key_prefix() -> Recursion:
    left = [0]

    def prefix() -> str:
        left[0] -= 1
        return f"k{function() if left[0] > 0 else 0}"

    @cache.cached(key_prefix=prefix)
    def function() -> str:
        return "result"

    def call(n: int) -> Any:
        left[0] = n
        return n if function() == "result" else None

    return call


def staleness() -> Recursion:
    @cache.memoize(is_stale=lambda value, n: bool(n) and function(n - 1) < 0)
    def function(n: int) -> int:
        return n

    def call(n: int) -> Any:
        for each in range(n + 1):
            cache.set(function.make_cache_key(function.uncached, each), each)
        return function(n)

    return call


def response_filter() -> Recursion:
    @cache.memoize(response_filter=lambda n: n == 0 or function(n - 1) >= 0)
    def function(n: int) -> int:
        return n

    return function


class Printed:
    """Its repr asks a cached function."""

    function: Any

    def __init__(self, n: int) -> None:
        self.n = n

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.n}, {self.n and self.function(type(self)(self.n - 1))})"
        )


class Identified(Printed):
    """So does what tells it apart."""

    def __caching_id__(self) -> str:
        return repr(self)


def argument(kind: type[Printed]) -> Recursion:
    @cache.memoize()
    def function(printed: Printed) -> int:
        return printed.n

    kind.function = staticmethod(function)
    return lambda n: function(kind(n))


def printed() -> Recursion:
    return argument(Printed)


def identified() -> Recursion:
    return argument(Identified)


class Pickled:
    function: Any

    def __init__(self, n: int) -> None:
        self.n = n

    def __reduce__(self) -> Any:
        if self.n:
            self.function(self.n - 1)
        return Pickled, (self.n,)


def pickled() -> Recursion:
    function = cache.memoize()(lambda n: Pickled(n))
    Pickled.function = staticmethod(function)
    return lambda n: function(n).n


def signal() -> Recursion:
    cache.enable_signals = True

    @cache.memoize()
    def function(n: int) -> int:
        return n

    def receive(sender: Any, args: Any = (), **kwargs: Any) -> None:
        if args[0]:
            function(args[0] - 1)

    cache_memoize_miss.connect(receive, weak=False)
    return function


def main(kind: str, depth: int, stack: int) -> None:
    def run() -> None:
        with app.app_context():
            try:
                print(globals()[kind]()(depth))
            except RecursionError:
                print("RecursionError")

    sys.setrecursionlimit(1_000_000)
    threading.stack_size(stack * 1024)
    if stack:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    else:
        run()


def in_a_child(kind: str, depth: int, stack: int) -> tuple[int, str]:
    with tempfile.TemporaryFile() as printed:
        child = os.fork()
        if child == 0:
            os.dup2(printed.fileno(), 1)
            main(kind, depth, stack)
            sys.stdout.flush()
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        printed.seek(0)
        return ended, printed.read().decode()


if __name__ == "__main__":
    print(json.dumps([in_a_child(*each) for each in json.loads(sys.argv[1])]))
