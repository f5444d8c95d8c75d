"""The documentation's chapters on memoization."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.testing import manual_clock


@pytest.fixture
def cache() -> Iterator[Cache]:
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    with app.app_context():
        yield cache


@pytest.fixture
def numbers() -> Iterator[int]:
    """A new number for each call of a function."""
    return count(1)


def test_arguments_are_part_of_the_key(cache: Cache, numbers: Iterator[int]) -> None:
    @cache.memoize(timeout=50)
    def f(a: int, b: int = 2) -> int:
        return next(numbers)

    assert [f(1), f(1, 2), f(1, b=2), f(a=1)] == [1, 1, 1, 1]
    assert f(1, 3) == 2


def test_without_arguments_it_caches_one_result(cache: Cache, numbers: Iterator[int]) -> None:
    @cache.memoize(50)
    def f() -> int:
        return next(numbers)

    with manual_clock() as clock:
        assert [f(), f()] == [1, 1]
        clock.advance(50)
        assert f() == 2


def test_instances_are_identified_by_their_repr(cache: Cache, numbers: Iterator[int]) -> None:
    class Person:
        def __init__(self, number: int) -> None:
            self.number = number

        def __repr__(self) -> str:
            return f"{self.__class__.__name__}({self.number})"

        @cache.memoize(50)
        def has_membership(self, role: str) -> int:
            return next(numbers)

    assert Person(1).has_membership("admin") == 1
    assert Person(2).has_membership("admin") == 2
    assert Person(1).has_membership("admin") == 1
    assert Person(1).has_membership("user") == 3


def test_a_caching_id_replaces_the_repr(cache: Cache, numbers: Iterator[int]) -> None:
    class User:
        def __init__(self, number: int) -> None:
            self.number = number

        def __caching_id__(self) -> str:
            return f"user {self.number}"

        @cache.memoize(50)
        def rights(self) -> int:
            return next(numbers)

    assert [User(1).rights(), User(1).rights(), User(2).rights()] == [1, 1, 2]


def test_deleting_one_call_and_all_calls(cache: Cache, numbers: Iterator[int]) -> None:
    @cache.memoize(50)
    def user_has_membership(name: str, role: str) -> int:
        return next(numbers)

    assert user_has_membership("demo", "admin") == 1
    assert user_has_membership("demo", "user") == 2
    cache.delete_memoized(user_has_membership, "demo", "user")
    assert user_has_membership("demo", "admin") == 1
    assert user_has_membership("demo", "user") == 3
    cache.delete_memoized(user_has_membership)
    assert user_has_membership("demo", "admin") == 4
    user_has_membership.delete_memoized()
    assert user_has_membership("demo", "admin") == 5
    cache.delete_memoized_verhash(user_has_membership)
    assert user_has_membership("demo", "admin") == 6


def test_a_classmethod_is_deleted_with_its_class(cache: Cache, numbers: Iterator[int]) -> None:
    class Foobar:
        @classmethod
        @cache.memoize(5)
        def big_foo(cls, a: int, b: int) -> int:
            return next(numbers)

    assert [Foobar.big_foo(5, 2), Foobar.big_foo(5, 3)] == [1, 2]
    cache.delete_memoized(Foobar.big_foo, Foobar, 5, 2)
    assert [Foobar.big_foo(5, 2), Foobar.big_foo(5, 3)] == [3, 2]


def test_a_staticmethod(cache: Cache, numbers: Iterator[int]) -> None:
    class Budget:
        @staticmethod
        @cache.memoize(50)
        def calculate() -> int:
            return next(numbers)

    assert [Budget.calculate(), Budget().calculate()] == [1, 1]


class Adders:
    """Two instances whose methods are memoized."""

    def __init__(self, cache: Cache) -> None:
        numbers = count(1)

        class Adder:
            def __init__(self, name: str) -> None:
                self.name = name

            def __repr__(self) -> str:
                return self.name

            @cache.memoize(5)
            def add(self, b: int) -> int:
                return next(numbers)

        self.cls = Adder
        self.one, self.two = Adder("one"), Adder("two")

    def results(self) -> list[int]:
        return [self.one.add(3), self.one.add(4), self.two.add(3)]


def test_deleting_through_an_instance_and_through_the_class(cache: Cache) -> None:
    adders = Adders(cache)
    assert adders.results() == [1, 2, 3]
    cache.delete_memoized(adders.one.add)
    assert adders.results() == [4, 5, 3]
    cache.delete_memoized(adders.one.add, 3)
    assert adders.results() == [6, 5, 3]
    cache.delete_memoized(adders.cls.add, adders.one, 3)
    assert adders.results() == [7, 5, 3]
    cache.delete_memoized(adders.cls.add)
    assert adders.results() == [8, 9, 10]
    adders.one.add.delete_memoized()
    assert adders.results()[2] == 13


def test_make_name_names_the_function_in_the_key(cache: Cache, numbers: Iterator[int]) -> None:
    def versioned(name: str) -> str:
        return f"{name}.v2"

    @cache.memoize(50, make_name=versioned)
    def f(a: int) -> int:
        return next(numbers)

    @cache.memoize(50)
    def g(a: int) -> int:
        return next(numbers)

    assert f.make_cache_key(f.uncached, 1) != g.make_cache_key(g.uncached, 1)
    assert [f(1), f(1)] == [1, 1]


def test_ignored_arguments_are_not_part_of_the_key(cache: Cache, numbers: Iterator[int]) -> None:
    @cache.memoize(timeout=50, args_to_ignore=["session"])
    def get_user(session: str, user_id: int) -> int:
        return next(numbers)

    assert [get_user("a", 1), get_user("b", 1), get_user("b", 2)] == [1, 1, 2]


def test_unless_and_forced_update(cache: Cache, numbers: Iterator[int]) -> None:
    @cache.memoize(50, unless=lambda f, a: a == 0, forced_update=lambda a: a == 9)
    def f(a: int) -> int:
        return next(numbers)

    assert [f(1), f(1)] == [1, 1]
    assert [f(0), f(0)] == [2, 3]
    assert [f(9), f(9)] == [4, 5]


def test_is_stale_is_given_the_value_and_the_calls_arguments(
    cache: Cache, numbers: Iterator[int]
) -> None:
    def is_stale(report: int, user_id: int) -> bool:
        return user_id == 7

    @cache.memoize(timeout=86400, is_stale=is_stale)
    def build_report(user_id: int) -> int:
        return next(numbers)

    assert [build_report(1), build_report(1)] == [1, 1]
    assert [build_report(7), build_report(7)] == [2, 3]


def test_response_filter_and_cache_none(cache: Cache, numbers: Iterator[int]) -> None:
    @cache.memoize(50, response_filter=lambda result: result > 1)
    def filtered(a: str) -> int:
        return next(numbers)

    @cache.memoize(50, cache_none=True)
    def nothing() -> None:
        next(numbers)

    assert [filtered("x"), filtered("x"), filtered("x")] == [1, 2, 2]
    assert nothing() is None
    assert nothing() is None
    assert next(numbers) == 4


def test_the_hash_and_the_source_are_part_of_the_key(cache: Cache) -> None:
    def body(a: int) -> int:
        return a

    keys = {
        decorate(body).make_cache_key(body, 1)
        for decorate in (
            cache.memoize(50),
            cache.memoize(50, hash_method=hashlib.sha512),
            cache.memoize(50, source_check=True),
        )
    }
    assert len(keys) == 3


def test_a_subclass_sees_what_the_decorators_do(numbers: Iterator[int]) -> None:
    class InstrumentedCache(Cache):
        def __init__(self, app: Flask, config: dict[str, object]) -> None:
            self.trace: list[str] = []
            super().__init__(app, config=config)

        def get(self, *args: object, **kwargs: object) -> object:
            self.trace.append("get")
            return super().get(*args, **kwargs)

        def set(self, *args: object, **kwargs: object) -> bool | None:
            self.trace.append("set")
            return super().set(*args, **kwargs)

    app = Flask(__name__)
    cache = InstrumentedCache(app, config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize(50)
    def f() -> int:
        return next(numbers)

    with app.app_context():
        assert [f(), f()] == [1, 1]
    assert cache.trace == ["get", "set", "get"]
