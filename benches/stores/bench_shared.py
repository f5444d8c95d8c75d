"""What does SharedCache cost? Flask-Caching has FileSystemCache for what it is for."""

from __future__ import annotations

import atexit
import functools
import tempfile
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from typing import Any

from flask import Flask
from flask_caching import Cache
from question import Question, Statement, make

HAS_SHARED = find_spec("flask_caching.backends.sharedcache") is not None


def folder() -> str:
    made = tempfile.TemporaryDirectory()
    atexit.register(made.cleanup)
    return made.name


@functools.cache
def application() -> Flask:
    return make()[0]


def cache_of(kind: str) -> Cache:
    # Of one application: whichever is asked, it is the active one.
    app = application()
    app.app_context().push()
    cache = Cache(app, config={"CACHE_TYPE": kind, "CACHE_DIR": f"{folder()}/cache"})
    cache.set_many({f"key{number}": f"value {number}" for number in range(100)})
    return cache


def shared() -> Cache:
    return cache_of("SharedCache" if HAS_SHARED else "FileSystemCache")


def diskcache_store() -> Any:
    store: Any = import_module("diskcache").Cache(folder())
    store["key1"] = "value 1"
    return store


def view() -> Statement:
    @shared().cached(timeout=300, key_prefix="view")
    def page() -> str:
        return "<h1>page</h1>"

    page()
    return Statement("page()", {"page": page})


def fragment() -> Statement:
    cache = shared()
    text = "{% cache 300, 'part' %}text{% endcache %}"
    template = cache.app.jinja_env.from_string(text)
    template.render()
    return Statement("template.render()", {"template": template})


def hit() -> Statement:
    @shared().memoize(timeout=300)
    def double(number: int) -> int:
        return number + number

    double(7)
    return Statement("double(7)", {"double": double})


QUESTIONS = [
    Question(
        "SharedCache get of a str",
        lambda: Statement("cache.get('key1')", {"cache": shared()}),
        micros=1.5,
        peers={
            "FileSystemCache": lambda: Statement(
                "cache.get('key1')", {"cache": cache_of("FileSystemCache")}
            ),
            "diskcache": lambda: Statement("store.get('key1')", {"store": diskcache_store()}),
        },
    ),
    Question(
        "SharedCache set of a str",
        lambda: Statement(
            "cache.set(f'key{next(numbers) % 100}', 'a value')",
            {"cache": shared(), "numbers": count()},
        ),
        micros=15,
        peers={
            "diskcache": lambda: Statement(
                "store.set('key1', 'a value', expire=300)", {"store": diskcache_store()}
            ),
        },
    ),
    Question(
        "SharedCache set of a str, a new key each time",
        lambda: Statement(
            "cache.set(f'new{next(numbers)}', 'a value')",
            {"cache": shared(), "numbers": count()},
        ),
        micros=15,
        peers={
            "diskcache": lambda: Statement(
                "store.set(f'new{next(numbers)}', 'a value', expire=300)",
                {"store": diskcache_store(), "numbers": count()},
            ),
        },
    ),
    Question("SharedCache memoize hit", hit, micros=3),
    Question("SharedCache cached function, key_prefix, hit", view, micros=3),
    Question("SharedCache template with a fragment, whole", fragment),
]
