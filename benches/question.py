"""What a benchmark is: a question with a statement to time, on whichever package is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask_caching import Cache

COMPARISON = (
    "calls.bench_memoize_hit",
    "calls.bench_memoize_miss",
    "calls.bench_single_flight",
    "calls.bench_get_set",
    "calls.bench_view",
    "calls.bench_page",
    "calls.bench_template",
    "stores.bench_file",
    "stores.bench_shared",
    "stores.bench_redis",
    "stores.bench_near",
    "stores.bench_memcached",
)
GROWTH = ("stores.bench_growth",)


@dataclass(frozen=True)
class Statement:
    """Code to time, as `timeit` takes it."""

    code: str
    names: dict[str, Any]


Build = Callable[[], Statement]

#: In place of a peer's name: what a question is asked without.
WITHOUT = "without"


@dataclass(frozen=True)
class Question:
    """One row of the table.

    :param text: the question, in the reader's words.
    :param build: makes the statement; called once a process.
    :param ratio: how many times as fast as Flask-Caching is asked for.
    :param micros: how many microseconds are asked for, on a quiet machine.
    :param without: the same without what is asked about, of either package: its time is taken off.
    :param peers: other answers to the same question, by name.
    :param baseline: a peer that is timed beside this package; at most ``micros`` more than it takes
        are asked for.
    :param at_most_twice: the text of an earlier question, of whose time at most twice is asked for.
    :param runs: how often one run of the statement does what is asked.
    :param needs: the name of an environment variable without which it cannot be asked.
    """

    text: str
    build: Build
    ratio: float | None = None
    micros: float | None = None
    without: Build | None = None
    peers: dict[str, Build] = field(default_factory=dict)
    baseline: str | None = None
    at_most_twice: str | None = None
    runs: int = 1
    needs: str | None = None

    def builds(self) -> dict[str | None, Build]:
        """What makes the statements: the question's own under None, its peers' by their names."""
        builds: dict[str | None, Build] = {None: self.build}
        builds.update(self.peers)
        if self.without is not None:
            builds[WITHOUT] = self.without
        return builds


def load(modules: Iterable[str]) -> list[Question]:
    """The questions of these modules, in the order of the table."""
    return [q for name in modules for q in importlib.import_module(name).QUESTIONS]


def make(cache_class: type[Cache] = Cache, **config: Any) -> tuple[Flask, Cache]:
    """An application whose context is pushed, and its cache, SimpleCache by default."""
    app = Flask("bench")
    cache = cache_class(app, config={"CACHE_TYPE": "SimpleCache", **config})
    app.app_context().push()
    return app, cache
