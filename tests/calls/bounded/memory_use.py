"""Calls that must not cost memory, for ``test_memory.py``: each runs in a child of this process.

A line of the input says what to do, and the configuration, in JSON. One that is printed says what
the child has added, in megabytes, before and after ``cache.clear()``, and how it ended.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from flask_caching import Cache
from werkzeug.test import create_environ, run_wsgi_app

app = Flask("memory")
cache = Cache()
trim_heap = getattr(ctypes.CDLL(None), "malloc_trim", lambda padding: 0)  # glibc's


def resident() -> int:
    """The bytes of memory that this process uses, without those that malloc keeps for later."""
    gc.collect()
    trim_heap(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@cache.memoize()
def function(*args: Any, **kwargs: Any) -> int:
    return 1


@app.route("/")
@cache.cached(query_string=True)
def view() -> str:
    return "page"


class Instance:
    def __init__(self, number: int) -> None:
        self.number = number

    @cache.memoize()
    def method(self) -> int:
        return 1


class Printed(Instance):
    def __repr__(self) -> str:
        return f"Printed({self.number}, {'x' * 2000})"


def long_arguments() -> None:
    for number in range(250):
        text = f"{number}" + "x" * 100_000
        function(text), function(text)


def long_keywords() -> None:
    for number in range(250):
        text = f"{number}" + "x" * 100_000
        function(text=text), function(text=text)


def long_queries() -> None:
    # Not by a test client, which takes four times as long to take such an address apart.
    environ = create_environ("/")
    for number in range(500):
        environ["QUERY_STRING"] = f"{number}=" + "x" * 60_000
        for _ in range(2):
            run_wsgi_app(app, environ.copy())


def many_calls() -> None:
    for number in range(2_500):
        function(number), function(number)


def instances() -> None:
    for number in range(750):
        instance = Instance(number)
        instance.method(), instance.method()


def printed_instances() -> None:
    for number in range(750):
        Printed(number).method()


def closures() -> None:
    for number in range(375):

        def closure(a: int, number: int = number) -> int:
            return a + number

        decorated = cache.memoize()(closure)
        decorated(1), decorated(1)
        keyed = cache.cached(key_prefix=f"key {number}")(lambda: number)  # noqa: B023
        keyed(), keyed()


def applications() -> None:
    config = app.extensions["memory"]
    for number in range(100):
        other = Flask(f"thrown away {number}")
        cache.init_app(other)
        with other.app_context():
            for each in range(20):
                function(each), function(each)
        own = Cache(other, config=config)
        with other.app_context():
            own.memoize()(lambda a: a)(1)


def run(scenario: Callable[[], None], config: dict[str, Any]) -> dict[str, int]:
    app.extensions["memory"] = config
    cache.init_app(app, config)
    with app.app_context():
        # What is made once.
        for number in range(200):
            function(number), function(number), Instance(number).method()
        app.test_client().get("/?a=b")
        before = resident()
        scenario()
        most = resident() - before
        cache.clear()
        left = resident() - before
        return {
            "most": most >> 20,
            "left": left >> 20,
            "policies": len(cache._policies),
            "states": len(list(cache._states)),
            "names": len(cache._first_of_name),
        }


if __name__ == "__main__":
    for line in sys.stdin:
        name, config = json.loads(line)
        child = os.fork()
        if child == 0:
            print(json.dumps(run(globals()[name], config)), flush=True)
            os._exit(0)
        if ended := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            print(json.dumps({"ended": ended}), flush=True)
