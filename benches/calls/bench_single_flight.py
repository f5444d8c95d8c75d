"""What do the policies cost where nobody asks at once: a miss, and a hit?"""

from __future__ import annotations

import functools
from itertools import count
from typing import Any

from flask import Flask
from flask_caching import Cache
from question import Question, Statement, make


@functools.cache
def world() -> tuple[Flask, Cache]:
    """One application for both sides of a question: only one can be the active one."""
    return make()


def memoized(**options: Any) -> Any:
    """A memoized function with these options, as far as there are any."""
    app, cache = world()
    app.app_context().push()

    def add(a: int, b: int = 0) -> int:
        return a + b

    # Its entries are its own.
    add.__qualname__ = f"add {sorted(options)}"
    try:
        return cache.memoize(300, **options)(add)
    except TypeError:
        # Flask-Caching has none of them.
        return cache.memoize(300)(add)


def miss(**options: Any) -> Statement:
    return Statement("add(next(numbers))", {"add": memoized(**options), "numbers": count()})


def hit(**options: Any) -> Statement:
    return Statement("add(3, 4)", {"add": memoized(**options)})


QUESTIONS = [
    Question(
        "memoize miss with single flight",
        lambda: miss(single_flight=True),
        peers={"without it": lambda: miss(single_flight=False)},
        baseline="without it",
        micros=0.25,
    ),
    *(
        Question(
            f"memoize hit with {name}",
            lambda options=options: hit(**options),  # type: ignore[misc]
            peers={"no options": hit},
            baseline="no options",
            micros=0.05,
        )
        for name, options in {
            "old values": {"stale_while_revalidate": 600, "stale_if_error": 3600, "jitter": 0.1},
            "tags": {"tags": ("user:5", "all")},
            "a lease": {"lease": True},
        }.items()
    ),
]
