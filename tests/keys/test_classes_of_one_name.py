"""Classes of one name, one of which its module holds, and numbers too long to be printed."""

from __future__ import annotations

import collections
import dataclasses
import functools
import sys
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from flask_caching import Cache
from flask_caching.keys.collisions import _MOST_NAMES, NameCollisions


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Size:
    x: int
    y: int


def local_classes() -> dict[str, Any]:
    @dataclasses.dataclass
    class Local:
        x: int
        y: int

    Local.__name__ = Local.__qualname__ = "Size"
    return {
        "Point": collections.namedtuple("Point", "x y", module=__name__),
        "Size": Local,
    }


@pytest.fixture
def kind_of(cache: Cache, in_app: None) -> Callable[[Any], Any]:
    kinds: list[type] = []

    @cache.memoize()
    def number_of(value: Any) -> int:
        if type(value) not in kinds:
            kinds.append(type(value))
        return kinds.index(type(value))

    return lambda value: kinds[number_of(value)]


@pytest.mark.parametrize("name", ["Point", "Size"])
@pytest.mark.parametrize("local_first", [True, False])
def test_a_local_class_shares_nothing_with_that_of_the_module(
    kind_of: Callable[[Any], Any], name: str, local_first: bool
) -> None:
    kinds = [globals()[name], local_classes()[name], local_classes()[name]]
    if local_first:
        kinds.reverse()
    for _ in range(3):
        for kind in kinds:
            assert kind_of(kind(1, 2)) is kind
            assert kind_of(kind({1}, 2)) is kind


def test_a_class_of_the_module_that_comes_later_shares_nothing(
    kind_of: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    local = collections.namedtuple("Late", "x", module=__name__)
    assert kind_of(local(1)) is local
    late = collections.namedtuple("Late", "x", module=__name__)
    monkeypatch.setattr(sys.modules[__name__], "Late", late, raising=False)
    for _ in range(3):
        assert kind_of(late(1)) is late
        assert kind_of(local(1)) is local


def test_a_class_whose_module_is_loaded_again_keeps_its_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collisions = NameCollisions(lambda value: None)
    for _ in range(2):
        kind = collections.namedtuple("Again", "x", module=__name__)
        monkeypatch.setattr(sys.modules[__name__], "Again", kind, raising=False)
        assert collisions.suffix_of_name(kind) == ""


def test_first_classes_are_known_of_a_bounded_number_of_names() -> None:
    collisions = NameCollisions(lambda value: None)
    kinds = [type(f"Kind{number}", (), {}) for number in range(_MOST_NAMES + 100)]
    suffixes = [collisions.suffix_of_name(kind) for kind in kinds]
    assert suffixes == [collisions.suffix_of_name(kind) for kind in kinds]
    assert len(collisions._first) == len(collisions._first_of_name) == _MOST_NAMES
    others = [type(kind.__name__, (), {}) for kind in kinds]
    assert not {*suffixes} & {collisions.suffix_of_name(kind) for kind in others} - {""}
    assert "" not in {collisions.suffix_of_name(kind) for kind in others}


class Whole(int):
    pass


class Printing:
    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"Printing({self.number})"


HOLDERS: list[Callable[[int], Any]] = [
    lambda number: number,
    lambda number: [number],
    lambda number: {"a": (number, {number})},
    lambda number: Size(number, 1),
    lambda number: Point(number, 1),
    lambda number: [Size(Point(number, 1), 1)],  # type: ignore[arg-type]
    lambda number: SimpleNamespace(a=number),
    lambda number: collections.deque([number]),
    lambda number: collections.OrderedDict(a=number),
    lambda number: functools.partial(int, number),
    lambda number: Fraction(number, 3),
    lambda number: range(number),
    lambda number: slice(number),
    Whole,
]


@pytest.mark.parametrize("hold", HOLDERS)
def test_integers_of_more_digits_than_python_prints(
    cache: Cache, in_app: None, hold: Callable[[int], Any]
) -> None:
    runs: list[int] = []

    @cache.memoize()
    def function(value: Any) -> int:
        runs.append(1)
        return len(runs)

    long = 10**5000 + 1
    for _ in range(3):
        assert function(hold(long)) == 1
        assert function(value=hold(long)) == 1
        assert function(hold(long + 3)) == 2


def test_what_prints_such_an_integer_itself_is_not_cached(
    cache: Cache, in_app: None, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []

    @cache.memoize()
    def function(value: Any) -> int:
        runs.append(1)
        return len(runs)

    assert [function(Printing(10**5000)) for _ in range(3)] == [1, 2, 3]
    assert [record.message for record in caplog.records] == [
        f"{function.__qualname__} is not cached: an object of {__name__}.Printing prints an "
        "integer of too many digits"
    ]
    assert function(Printing(5)) == function(Printing(5)) == 4


def test_a_closure_over_such_an_integer(cache: Cache, in_app: None) -> None:
    def make(number: int) -> Callable[[], int]:
        @cache.memoize()
        def function() -> int:
            return number

        return function  # type: ignore[no-any-return]

    for number in (10**5000, 10**5000 + 1):
        assert make(number)() == number
