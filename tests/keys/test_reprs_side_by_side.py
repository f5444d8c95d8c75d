"""Objects whose reprs, side by side, look like those of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask_caching import Cache
from flask_caching.keys.identity import NameCollisions, text_of


class User:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<User {self.name}>"


class Bare(User):
    def __repr__(self) -> str:
        return f"Bare {self.name}"


class Known:
    def __init__(self, name: str) -> None:
        self.name = name

    def __caching_id__(self) -> str:
        return self.name


CALLS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (
        lambda call: call(User("x"), User("y>, <User z")),
        lambda call: call(User("x>, <User y"), User("z")),
    ),
    (
        lambda call: call([User("x"), User("y")]),
        lambda call: call([User("x>, <User y")]),
    ),
    (
        lambda call: call({User("x"): 1}),
        lambda call: call({User("x>: 1, <User y"): 1}),
    ),
    (
        lambda call: call(Bare("x"), Bare("y, Bare z")),
        lambda call: call(Bare("x, Bare y"), Bare("z")),
    ),
    (
        lambda call: call(Bare("x['), 'a"), Bare("]")),
        lambda call: call(Bare("x["), "), 'a", Bare("]")),
    ),
    (
        lambda call: call(Known("x"), Known(f"y of {__name__}.Known, z")),
        lambda call: call(Known(f"x of {__name__}.Known, y"), Known("z")),
    ),
    (
        lambda call: call(a=User("x"), b=User("y>, 'c': <User z")),
        lambda call: call(a=User("x>, 'b': <User y"), c=User("z")),
    ),
]


@pytest.mark.parametrize(("one", "other"), CALLS)
def test_calls_that_look_alike_are_two(
    cache: Cache, in_app: None, one: Callable[..., Any], other: Callable[..., Any]
) -> None:
    runs: list[int] = []

    @cache.memoize()
    def function(*args: Any, **kwargs: Any) -> int:
        runs.append(1)
        return len(runs)

    for _ in range(3):
        assert one(function) == 1
        assert other(function) == 2


@pytest.mark.parametrize(
    "name",
    ["5", "O'Brien", "a, b", "a: b", "(a, [b], {c: d})", "-> x", "a, 'b'", 'say "a"', "größe"],
)
def test_a_repr_that_shows_where_it_ends_stands_as_it_is(name: str) -> None:
    assert text_of((User(name),), NameCollisions(lambda value: None)) == f"(<User {name}>,)"
