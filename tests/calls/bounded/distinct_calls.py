"""Calls that are never made twice, for ``test_distinct_calls.py``: each kind in a child process.

A line of the input is a kind and how many, in JSON. One that is printed says what the last
three quarters of them have added: bytes of memory, and objects that Python's collector knows.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable

from memory_use import Instance, app, cache, function, resident
from werkzeug.test import create_environ, run_wsgi_app

cache.init_app(app, {"CACHE_TYPE": "SimpleCache", "CACHE_PAGES_IN_FRONT": True})
TEMPLATE = app.jinja_env.from_string("{% cache 60, 'name', number %}text{% endcache %}")


@cache.memoize(tags=lambda number: [f"tag {number}"])
def tagged(number: int) -> int:
    return number


@cache.memoize(response_filter=lambda result: False)
def refused(number: int) -> int:
    return number


@cache.memoize()
def failing(number: int) -> int:
    raise ValueError(number)


@cache.cached(make_cache_key=lambda number: f"own {number}")
def keyed(number: int) -> int:
    return number


@app.route("/page/<int:number>")
@cache.page(timeout=60, in_front=True)
def page(number: int) -> str:
    return "page"


class Object:
    """Nothing but its identity tells it apart."""


class Printed(Instance):
    def __repr__(self) -> str:
        return f"Printed({self.number})"


def calls(number: int) -> None:
    function(number), function(number)


def keywords(number: int) -> None:
    function(**{f"name{number % 100}": f"text {number}"})


def objects(number: int) -> None:
    function(Object())


def classes(number: int) -> None:
    function(type("Local", (), {}))


def instances(number: int) -> None:
    instance = Printed(number)
    instance.method(), instance.method()


def deleted_instances(number: int) -> None:
    instance = Printed(number)
    instance.method()
    cache.delete_memoized(instance.method)


def closures(number: int) -> None:
    decorated = cache.memoize()(lambda argument: argument + number)
    decorated(1), decorated(1)


def failures(number: int) -> None:
    try:
        failing(number)
    except ValueError:
        refused(number)


def own_keys(number: int) -> None:
    keyed(number), keyed(number)


def proxies(number: int) -> None:
    key = f"key {number}"
    cache.set(key, number), cache.get(key), cache.get(f"no {key}"), cache.delete(f"no {key}")


def computed_values(number: int) -> None:
    cache.get_or_set(f"key {number}", lambda: number)


def tags(number: int) -> None:
    tagged(number)
    cache.delete_tags(f"tag {number}")


def unknown_tags(number: int) -> None:
    cache.delete_tags(f"unknown {number}")


def fragments(number: int) -> None:
    TEMPLATE.render(number=number)


def pages(number: int) -> None:
    run_wsgi_app(app, create_environ(f"/page/{number}"))


def measure(call: Callable[[int], None], times: int) -> dict[str, int]:
    for number in range(times // 4):
        call(number)
    before = resident(), len(gc.get_objects())
    for number in range(times // 4, times):
        call(number)
    after = resident(), len(gc.get_objects())
    return {"bytes": after[0] - before[0], "objects": after[1] - before[1]}


if __name__ == "__main__":
    for line in sys.stdin:
        name, times = json.loads(line)
        child = os.fork()
        if child == 0:
            with app.app_context():
                print(json.dumps(measure(globals()[name], times)), flush=True)
            os._exit(0)
        if ended := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            print(json.dumps({"ended": ended}), flush=True)
