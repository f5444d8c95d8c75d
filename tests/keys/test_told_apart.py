"""Arguments that are no plain data: the native table tells them apart as the keys do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from flask_caching import Cache
from flask_caching.calls.memoized import MemoizePolicy
from shown import shown

MOMENT = datetime(2026, 11, 24, 12, 30)


@dataclass
class Point:
    x: int
    y: Any


class Pair(NamedTuple):
    one: Any
    other: Any


class Known:
    """Says what tells it apart."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __caching_id__(self) -> str:
        return self.name


class NamelessZone(tzinfo):
    """Prints its address."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(0)


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions whose calls took the ordinary path."""
    taken: list[str] = []
    description = MemoizePolicy.description

    def noted(self: Any, *args: Any) -> Any:
        taken.append(self.f.__name__)
        return description(self, *args)

    monkeypatch.setattr(MemoizePolicy, "description", noted)
    return taken


@pytest.fixture
def count(cache: Cache, in_app: None) -> Callable[[Any], int]:
    """A memoized function whose result says how often it was run before."""
    runs: list[Any] = []

    @cache.memoize()
    def count(argument: Any) -> int:
        runs.append(argument)
        return len(runs) - 1

    return count


@pytest.mark.parametrize(
    "argument",
    [
        {1, "a"},
        frozenset({1.5}),
        MOMENT,
        MOMENT.date(),
        MOMENT.replace(tzinfo=UTC),
        Decimal("1.10"),
        [Decimal("1.10"), MOMENT],
        {"from": MOMENT.date()},
        Point(1, "a"),
        Point(1, [MOMENT]),
        Pair(1, {2}),
        Known("ada"),
    ],
    ids=shown,
)
def test_a_call_that_was_answered_takes_no_ordinary_path(
    count: Callable[[Any], int], ordinary: list[str], argument: Any
) -> None:
    # What can be changed by the function is known once it was answered.
    assert count(argument) == count(argument) == 0
    ordinary.clear()
    assert count(argument) == 0
    assert ordinary == []


@pytest.mark.parametrize(
    "arguments",
    [
        (Decimal("1"), Decimal("1.0"), 1),
        (MOMENT, MOMENT.replace(tzinfo=UTC), MOMENT.replace(fold=1), MOMENT.date()),
        (MOMENT.replace(tzinfo=UTC), MOMENT.replace(tzinfo=timezone(timedelta(0), "UT"))),
        ({1}, {1.0}, {True}, frozenset({1}), {"1"}, set()),
        ([Decimal(1)], (Decimal(1),), ["Decimal('1')"], {Decimal(1)}),
        (Point(1, 1), Point(1, True), Point(1, [1]), Pair(1, 1), Pair(1, True), (1, 1)),
        (Known("ada"), Known("bob"), "ada"),
    ],
    ids=shown,
)
def test_arguments_that_print_otherwise_are_different_calls(
    count: Callable[[Any], int], arguments: tuple[Any, ...]
) -> None:
    for _ in range(3):
        assert [count(argument) for argument in arguments] == list(range(len(arguments)))


def test_equal_sets_are_one_call(count: Callable[[Any], int]) -> None:
    # Two sets of many strings print alike only if they were made alike.
    names = [str(number) for number in range(100)]
    backwards = names[::-1]
    sets = [set(names), set(backwards), set(names[50:]) | set(names)]
    for _ in range(3):
        assert [count(made) for made in sets] == [0, 0, 0]


def test_an_object_that_changes_is_another_call(count: Callable[[Any], int]) -> None:
    point, known, numbers = Point(1, MOMENT), Known("ada"), {1}
    for expected in range(0, 6, 3):
        for _ in range(3):
            assert [count(point), count(known), count(numbers)] == [
                expected,
                expected + 1,
                expected + 2,
            ]
        point.y = MOMENT.date()
        known.name = "bob"
        numbers.add(2)


def test_a_moment_in_a_zone_without_a_name_is_identified_by_the_zone(
    cache: Cache, in_app: None
) -> None:
    @cache.memoize()
    def printed(argument: Any) -> str:
        return repr(argument)

    for _ in range(3):
        moments = [MOMENT.replace(tzinfo=NamelessZone()) for _ in range(2)]
        for moment in (*moments, *moments):
            assert printed(moment) == repr(moment)
            assert printed([moment]) == repr([moment])


def test_an_instance_is_asked_for_its_caching_id_each_time(cache: Cache, in_app: None) -> None:
    class Greeter(Known):
        @cache.memoize()
        def greet(self) -> str:
            return f"Hello {self.name}"

    greeter = Greeter("ada")
    for name in ("ada", "bob", "ada"):
        greeter.name = name
        for _ in range(3):
            assert greeter.greet() == f"Hello {name}"
            assert Greeter(name).greet() == f"Hello {name}"
    cache.delete_memoized(greeter.greet)
    assert greeter.greet() == "Hello ada"


def test_classes_of_one_name_are_told_apart(count: Callable[[Any], int]) -> None:
    def make() -> Any:
        @dataclass
        class Decimal:
            value: int

        return Decimal

    one, other = make(), make()
    for _ in range(3):
        assert [count(one(1)), count(other(1)), count(Decimal(1))] == [0, 1, 2]
        assert [count([one(1)]), count([other(1)]), count([Decimal(1)])] == [3, 4, 5]


def test_ignored_arguments_are_no_part_of_a_call(
    cache: Cache, in_app: None, ordinary: list[str]
) -> None:
    runs: list[Any] = []

    @cache.memoize(args_to_ignore=["session", "debug"])
    def f(session: Any, x: int, *more: int, debug: bool = False) -> int:
        runs.append(x)
        return x

    assert f(object(), 1) == f(object(), 1) == 1
    ordinary.clear()
    assert f([object()], 1) == f(None, 1, debug=True) == 1
    assert ordinary == []
    assert f(x=1, session=None) == 1
    assert runs == [1]
    assert f(object(), 2) == 2
    assert f(object(), 1, 5) == 1
    assert runs == [1, 2, 1]


def test_a_none_that_is_a_result_takes_no_ordinary_path(
    cache: Cache, in_app: None, ordinary: list[str]
) -> None:
    runs: list[int] = []

    @cache.memoize(cache_none=True)
    def f(x: int) -> None:
        runs.append(x)

    for _ in range(2):
        f(1)
    ordinary.clear()
    f(1)
    assert ordinary == []
    assert runs == [1]


def test_a_call_with_many_arguments_takes_no_ordinary_path(
    cache: Cache, in_app: None, ordinary: list[str]
) -> None:
    @cache.memoize()
    def f(*args: int, **kwargs: int) -> int:
        return len(args) + len(kwargs)

    names = {f"name{number}": number for number in range(20)}
    for _ in range(2):
        assert f(*range(30), **names) == 50
    ordinary.clear()
    assert f(*range(30), **names) == 50
    assert ordinary == []
