"""What does a memoize hit cost?"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Any

from flask_caching import Cache
from question import Question, Statement, make


def scalars() -> Statement:
    _, cache = make()

    @cache.memoize(timeout=300)
    def add(a: int, b: int) -> int:
        return a + b

    return Statement("add(3, 4)", {"add": add})


def scalars_cachetools() -> Statement:
    import cachetools

    @cachetools.cached(cachetools.TTLCache(maxsize=500, ttl=300))
    def add(a: int, b: int) -> int:
        return a + b

    return Statement("add(3, 4)", {"add": add})


def scalars_cachebox() -> Statement:
    import cachebox

    @cachebox.cached(cachebox.TTLCache(500, 300))
    def add(a: int, b: int) -> int:
        return a + b

    return Statement("add(3, 4)", {"add": add})


def scalars_lru_cache() -> Statement:
    @functools.lru_cache(maxsize=500)
    def add(a: int, b: int) -> int:
        return a + b

    return Statement("add(3, 4)", {"add": add})


def method() -> Statement:
    _, cache = make()

    class Person:
        def __init__(self, number: int) -> None:
            self.number = number

        def __repr__(self) -> str:
            return f"Person({self.number})"

        @cache.memoize(timeout=300)
        def is_member(self, group: str) -> bool:
            return self.number < 10

    return Statement("ada.is_member('admin')", {"ada": Person(1)})


def list_argument() -> Statement:
    _, cache = make()

    @cache.memoize(timeout=300)
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    return Statement("total(numbers)", {"total": total, "numbers": [1, 2, 3, 4, 5]})


@dataclass
class Row:
    number: int
    name: str


def dataclasses() -> Statement:
    _, cache = make()

    @cache.memoize(timeout=300)
    def rows() -> list[Row]:
        return [Row(number, f"row {number}") for number in range(100)]

    return Statement("rows()", {"rows": rows})


def dicts() -> Statement:
    _, cache = make()

    @cache.memoize(timeout=300)
    def rows(page: int) -> list[dict[str, Any]]:
        return [{"id": i, "name": f"name {i}", "price": i * 1.5} for i in range(100)]

    return Statement("rows(1)", {"rows": rows})


def with_options(**options: Any) -> Statement:
    _, cache = make()

    @cache.memoize(timeout=300, **options)
    def add(a: int, b: int) -> int:
        return a + b

    return Statement("add(3, 4)", {"add": add})


def signals() -> Statement:
    _, cache = make(CACHE_ENABLE_SIGNALS=True)

    @cache.memoize(timeout=300)
    def add(a: int, b: int) -> int:
        return a + b

    return Statement("add(3, 4)", {"add": add})


def subclass() -> Statement:
    class OwnCache(Cache):
        def get(self, *args: Any, **kwargs: Any) -> Any:
            return super().get(*args, **kwargs)

    _, cache = make(OwnCache)

    @cache.memoize(timeout=300)
    def add(a: int, b: int) -> int:
        return a + b

    return Statement("add(3, 4)", {"add": add})


def _never() -> bool:
    return False


QUESTIONS = [
    Question(
        "memoize hit, scalar arguments",
        scalars,
        ratio=100,
        micros=0.45,
        peers={
            "cachebox": scalars_cachebox,
            "cachetools": scalars_cachetools,
            "lru_cache": scalars_lru_cache,
        },
    ),
    Question("memoize hit, method with a Python __repr__", method, ratio=85, micros=0.55),
    Question("memoize hit, a list as argument", list_argument, ratio=33, micros=1.4),
    Question("memoize hit returning 100 small dicts", dicts, ratio=9, micros=5.3),
    Question("memoize hit returning 100 small dataclass objects", dataclasses),
    Question("memoize hit with unless", lambda: with_options(unless=_never), ratio=15, micros=3),
    Question(
        "memoize hit with forced_update",
        lambda: with_options(forced_update=_never),
        ratio=15,
        micros=3,
    ),
    Question("memoize hit with signals", signals, ratio=15, micros=3),
    Question(
        "memoize hit with a custom hash",
        lambda: with_options(hash_method=hashlib.blake2b),
        ratio=15,
        micros=3,
    ),
    Question("memoize hit, subclassed Cache", subclass, ratio=15, micros=3),
]
