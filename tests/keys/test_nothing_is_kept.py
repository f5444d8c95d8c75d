"""Objects, classes and functions that are made for each request leave nothing behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache
from flask_caching.keys import closures as _closures
from flask_caching.keys import tokens as _tokens
from flask_caching.keys.closures import identity_beside_name

MANY = 300


class Nameless:
    """Told apart by its identity."""


@dataclass
class Held:
    number: int


@pytest.fixture(params=["SimpleCache", "FileSystemCache"])
def cached(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[Cache]:
    cache = Cache(app, config={"CACHE_TYPE": request.param, "CACHE_DIR": str(tmp_path)})
    with app.app_context():
        yield cache


def nameless(number: int) -> tuple[Any, Any]:
    value = Nameless()
    return value, value


def class_of_the_request(number: int) -> tuple[Any, Any]:
    class Local:
        pass

    return Local, Local


def class_of_its_own_name(number: int) -> tuple[Any, Any]:
    kind = type(f"Local{number}", (), {})
    return kind, kind


def object_of_a_class_of_the_request(number: int) -> tuple[Any, Any]:
    class Local:
        def __repr__(self) -> str:
            return f"Local({number})"

    return Local(), Local


def dataclass_of_the_request(number: int) -> tuple[Any, Any]:
    kind = make_dataclass("Local", ["number"])
    return kind(number), kind


def subclass_of_a_list(number: int) -> tuple[Any, Any]:
    kind = type("Local", (list,), {})
    return kind([number]), kind


MAKERS = [
    nameless,
    class_of_the_request,
    class_of_its_own_name,
    object_of_a_class_of_the_request,
    dataclass_of_the_request,
    subclass_of_a_list,
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("named", [False, True])
def test_arguments_are_not_kept(
    cached: Cache, make: Callable[[int], tuple[Any, Any]], named: bool
) -> None:
    @cached.memoize()
    def function(*args: Any, **kwargs: Any) -> int:
        return 1

    known: list[weakref.ref[Any]] = []
    before = len(_tokens._tokens)
    for number in range(MANY):
        argument, what = make(number)
        known.append(weakref.ref(what))
        for _ in range(3):
            assert (function(named=argument) if named else function(argument)) == 1
        del argument, what
    gc.collect()
    # Those that were looked at last may be in somebody's hands.
    assert sum(reference() is not None for reference in known) <= 2
    assert len(_tokens._tokens) <= before + 2


def test_instances_are_not_kept(cached: Cache) -> None:
    class Owner:
        @cached.memoize()
        def method(self) -> int:
            return 1

    known = []
    for _ in range(MANY):
        owner = Owner()
        known.append(weakref.ref(owner))
        assert owner.method() == owner.method() == 1
        del owner
    gc.collect()
    assert sum(reference() is not None for reference in known) <= 1


def closure(held: Any) -> Callable[[], Any]:
    def function() -> Any:
        return held

    return function


@pytest.mark.parametrize(
    "hold",
    [Held, lambda number: [Held(number)], lambda number: {"a": Held(number)}],
    ids=["object", "list", "dict"],
)
def test_what_functions_close_over_is_not_kept(hold: Callable[[int], Any]) -> None:
    known: dict[str, Any] = {}
    references: list[weakref.ref[Any]] = []
    names = set()
    for number in range(MANY):
        function = closure(hold(number))
        references.append(weakref.ref(function))
        names.add(identity_beside_name(known, function))
        del function
    gc.collect()
    assert len(known) == 1
    assert len(names) == MANY
    assert not any(reference() for reference in references)


def test_functions_over_one_list_are_one_while_the_first_lives() -> None:
    known: dict[str, Any] = {}
    held = [1]
    first, second, other = closure(held), closure(held), closure([1])
    assert identity_beside_name(known, first) == identity_beside_name(known, second) == ""
    assert identity_beside_name(known, other) != ""
    assert identity_beside_name(known, second) == ""


def test_first_functions_are_known_of_a_bounded_number_of_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_closures, "_MOST_NAMES", 10)
    known: dict[str, Any] = {}
    functions = []
    for number in range(20):
        function = closure(None)
        function.__qualname__ = f"function{number}"
        functions.append(function)
    names = [identity_beside_name(known, function) for function in functions]
    assert names[:10] == [names[0]] * 10
    assert len(known) == 10
    assert names == [identity_beside_name(known, function) for function in functions]


def test_lambdas_over_plain_values_are_not_kept() -> None:
    known: dict[str, Any] = {}

    def make(number: int) -> Callable[[], int]:
        return lambda: number

    names = {identity_beside_name(known, make(number)) for number in range(MANY)}
    assert len(names) == MANY
    assert known == {}
    assert identity_beside_name(known, make(1)) in names


def test_the_objects_of_python_do_not_grow_in_number(cache: Cache, in_app: None) -> None:
    @cache.memoize()
    def function(*args: Any) -> int:
        return 1

    def request(number: int) -> None:
        for make in MAKERS:
            argument = make(number)[0]
            for _ in range(2):
                assert function(argument) == 1
        cache.delete_memoized(function)

    for number in range(100):
        request(number)
    cache.clear()
    gc.collect()
    before = len(gc.get_objects())
    for number in range(100, 400):
        request(number)
    cache.clear()
    gc.collect()
    # A table remembers a weak reference or two of each call; how many calls, is bounded elsewhere.
    assert len(gc.get_objects()) - before < 300 * 6 * 2
